/**
 * Injects an ObjectClient that works inside this process with full rights: validation and admission apply, authorization
 * does not. Provided by ResourcesModule, which is global.
 *
 *   constructor(@Inject(OBJECT_CLIENT) private readonly objects: ObjectClient) {}
 */
export const OBJECT_CLIENT = Symbol('ObjectClient');
