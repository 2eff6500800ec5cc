import { Inject, Injectable, Logger, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { Problem, type KindDefinition, type KubeObject, type ObjectKey } from '@corral/contracts';
import { Controller, EventRecorder, type ReconcileResult } from '@corral/reconcile';
import { Informers } from './informers.ts';

export const DONE: ReconcileResult = { type: 'Done' };
export const after = (delayMs: number): ReconcileResult => ({ type: 'RequeueAfter', delayMs });

/** Changes of a kind, and which keys of the reconciler they call for. */
export interface Trigger {
  readonly kind: KindDefinition;
  keysOf(key: ObjectKey, object: KubeObject | undefined): readonly ObjectKey[];
}

/** Builds a Trigger with the kind's own types; without `keysOf` each object calls for itself. */
export function on<Spec, Status>(
  kind: KindDefinition<Spec, Status>,
  keysOf: (key: ObjectKey, object: KubeObject<Spec, Status> | undefined) => readonly ObjectKey[] = (key) => [key],
): Trigger {
  return { kind: kind as unknown as KindDefinition, keysOf: keysOf as Trigger['keysOf'] };
}

/** Brings objects of one kind closer to what they should be. Level-triggered: a key says where to look, not what happened. */
export interface Reconciler {
  readonly name: string;
  readonly triggers: readonly Trigger[];
  /** Keys worked on at once; one by default. */
  readonly concurrency?: number;
  readonly backoff?: { readonly baseMs: number; readonly maxMs: number };
  reconcile(key: ObjectKey, signal: AbortSignal): Promise<ReconcileResult>;
}

/** Runs every reconciler of this process, from the first complete list until shutdown. */
@Injectable()
export class Reconcilers implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #logger = new Logger('Reconcilers');
  readonly #controllers: Controller[] = [];
  #stopped = false;

  constructor(
    @Inject(Informers) private readonly informers: Informers,
    @Inject(EventRecorder) private readonly events: EventRecorder,
  ) {}

  /** Call from a provider's constructor. The controller returned takes keys from elsewhere too. */
  add(reconciler: Reconciler): Controller {
    const controller = new Controller({
      name: reconciler.name,
      reconcile: (key, signal) => reconciler.reconcile(key, signal),
      ...(reconciler.concurrency === undefined ? {} : { concurrency: reconciler.concurrency }),
      ...(reconciler.backoff === undefined ? {} : { backoff: reconciler.backoff }),
      onError: (key, error) => this.#report(reconciler.name, key, error),
    });
    for (const { kind, keysOf } of reconciler.triggers) {
      this.informers.of(kind).onChange((key, object) => {
        for (const next of keysOf(key, object)) controller.enqueue(next);
      });
    }
    this.#controllers.push(controller);
    return controller;
  }

  onApplicationBootstrap(): void {
    // Not awaited: the API answers while the copies fill, and a database that is away heals later.
    void this.informers.start().then(() => {
      if (this.#stopped) return;
      for (const controller of this.#controllers) controller.start();
    });
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#controllers.map((controller) => controller.stop()));
    await this.events.flushed();
  }

  #report(name: string, { namespace, name: object }: ObjectKey, error: unknown): void {
    const what = `${name}: ${namespace === '' ? object : `${namespace}/${object}`}`;
    // A lost race is how optimistic writes work; the next try reads anew.
    if (error instanceof Problem && error.code === 'object.conflict') this.#logger.debug(`${what}: changed meanwhile`);
    else this.#logger.error({ err: error }, `${what} failed; trying again`);
  }
}
