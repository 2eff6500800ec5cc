import { objectExists, type Write } from '@corral/api-machinery';
import { isProblem, type KindDefinition, type KubeObject, type ObjectClient } from '@corral/contracts';
import type { Admission, AdmissionRequest } from '../../platform/objects/admission.ts';
import type { ChargedStore } from '../quota/charged-store.ts';
import { Turns } from './turns.ts';
import type { WriteOptions } from './write-options.ts';

/** Somebody else was faster with an object that a creation takes something of. */
export class CompanionConflict extends Error {
  override readonly name = 'CompanionConflict';
  constructor(readonly refusal: unknown) {
    super('what the creation takes with it changed meanwhile', { cause: refusal });
  }
}

/** What to tell whoever wanted to create something, when it is not tried again. */
export const refusalOf = (error: unknown): unknown => (error instanceof CompanionConflict ? error.refusal : error);

/** Whether a transaction was refused because of one of these: it changed, or is gone. */
function isAboutAny(writes: readonly Write[], error: unknown): boolean {
  if (!isProblem(error, 'object.conflict', 'object.not-found', 'object.exists')) return false;
  const { kind, name } = error.details ?? {};
  return writes.some((write) => write.kind.plural === kind && (write.type === 'Create' ? write.object : write.current).metadata.name === name);
}

/** Objects on their way into the store, each together with what its creation takes of others. */
export class Creations {
  readonly #store: ChargedStore;
  readonly #admission: Admission;
  readonly #objects: ObjectClient;
  readonly #turns = new Turns();

  constructor(store: ChargedStore, admission: Admission, objects: ObjectClient) {
    this.#store = store;
    this.#admission = admission;
    this.#objects = objects;
  }

  /** After the creations before it that want the same. */
  async inTurn<T>(kind: KindDefinition, object: KubeObject, create: () => Promise<T>): Promise<T> {
    const turn = this.#admission.companionsOf(kind).map((companion) => companion.turnOf(object)).find((name) => name !== undefined);
    return turn === undefined ? create() : this.#turns.take(turn, create);
  }

  /** On a dry run only what would be is answered. */
  async store(kind: KindDefinition, object: KubeObject, options: WriteOptions): Promise<KubeObject> {
    const { dryRun, beside } = options;
    const companions = await this.#companionWrites(kind, object, options);
    if (!dryRun) {
      const before = beside?.(kind, object) ?? [];
      const written = await this.#store.transact([...before, { type: 'Create', kind, object }, ...companions]).catch((error: unknown) => {
        throw isAboutAny(companions, error) ? new CompanionConflict(error) : error;
      });
      const created = written[before.length];
      if (!created) throw new Error('a write was acknowledged without its object');
      for (const companion of this.#admission.companionsOf(kind)) await companion.answerWhen?.(created);
      return created;
    }
    if (await this.#store.get(kind, object.metadata.namespace, object.metadata.name)) throw objectExists(kind, object.metadata.name);
    await this.#store.check({ type: 'Create', kind, object });
    return object;
  }

  async #companionWrites(kind: KindDefinition, object: KubeObject, { user, dryRun }: WriteOptions): Promise<readonly Write[]> {
    const request: AdmissionRequest = { operation: 'Create', user, isDryRun: dryRun, objects: this.#objects, reveal: () => undefined };
    const writes: Write[] = [];
    for (const companion of this.#admission.companionsOf(kind)) {
      try {
        writes.push(...(await companion.writesFor(object, request)));
      } catch (error) {
        throw isProblem(error, 'object.conflict') ? new CompanionConflict(error) : error;
      }
    }
    return writes;
  }
}
