import { Inject, Injectable, Logger, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { Problem, type KindDefinition, type KubeObject, type ObjectKey } from '@corral/contracts';
import { Controller, EventRecorder, LocalQueue, type ReconcileResult } from '@corral/reconcile';
import { Leadership } from '../../platform/leadership/leadership.ts';
import { countingWrites } from '../../platform/objects/counted-writes.ts';
import { Informers } from './informers.ts';
import { ReconcileMetrics } from './reconcile-metrics.ts';
import { SharedQueues } from './shared-queues.ts';

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
  return { kind, keysOf: keysOf as Trigger['keysOf'] };
}

/** Brings objects of one kind closer to what they should be. Level-triggered: a key says where to look, not what happened. */
export interface Reconciler {
  readonly name: string;
  readonly triggers: readonly Trigger[];
  /**
   * Leader, the default: one process of all works on its keys, so it may remember things between looks. Shared: all
   * processes do, each key in one of them at a time, so whatever it remembers may be unknown at the next look.
   */
  readonly placement?: 'Leader' | 'Shared';
  /** Keys worked on at once by a process; one by default. */
  readonly concurrency?: number;
  readonly backoff?: { readonly baseMs: number; readonly maxMs: number };
  reconcile(key: ObjectKey, signal: AbortSignal): Promise<ReconcileResult>;
}

/** Runs every reconciler of this process, from the first complete list until shutdown. */
@Injectable()
export class Reconcilers implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #logger = new Logger('Reconcilers');
  readonly #controllers: Controller[] = [];
  readonly #shared: { readonly controller: Controller; enqueueAll(): void }[] = [];
  readonly #stopping = new AbortController();

  constructor(
    @Inject(Informers) private readonly informers: Informers,
    @Inject(EventRecorder) private readonly events: EventRecorder,
    @Inject(Leadership) private readonly leadership: Leadership,
    @Inject(SharedQueues) private readonly queues: SharedQueues,
    @Inject(ReconcileMetrics) private readonly metrics: ReconcileMetrics,
  ) {}

  /** Call from a provider's constructor. The controller returned takes keys from elsewhere too. */
  add(reconciler: Reconciler): Controller {
    const { name } = reconciler;
    const isShared = reconciler.placement === 'Shared';
    const enqueueAll = (): void => {
      if (controller.isRunning) this.#enqueueAll(controller, reconciler.triggers);
    };
    const controller: Controller = new Controller({
      name,
      queue: isShared ? this.queues.open(name, enqueueAll) : new LocalQueue(),
      reconcile: async (key, signal, cause) => {
        if (cause !== 'Resync') return reconciler.reconcile(key, signal);
        const { result, writes } = await countingWrites(() => reconciler.reconcile(key, signal));
        if (writes > 0) this.metrics.correct(name);
        return result;
      },
      ...(reconciler.concurrency === undefined ? {} : { concurrency: reconciler.concurrency }),
      ...(reconciler.backoff === undefined ? {} : { backoff: reconciler.backoff }),
      onError: (key, error) => this.#report(name, key, error),
      onLook: (look) => this.metrics.observe(name, look),
    });
    for (const { kind, keysOf } of reconciler.triggers) {
      this.informers.of(kind).onChange((key, object, origin) => {
        for (const next of keysOf(key, object)) controller.enqueue(next, origin);
      });
    }
    this.#controllers.push(controller);
    this.metrics.add(controller);
    if (isShared) this.#shared.push({ controller, enqueueAll });
    else this.leadership.whileLeading(name, (signal) => this.#lead(controller, enqueueAll, signal));
    return controller;
  }

  onApplicationBootstrap(): void {
    // Not awaited: the API answers while the copies fill, and a database that is away heals later.
    void this.informers.start().then(() => {
      if (this.#stopping.signal.aborted) return;
      for (const { controller, enqueueAll } of this.#shared) {
        controller.start();
        enqueueAll();
      }
    });
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#controllers.map((controller) => controller.stop()));
    await this.events.flushed();
  }

  /** Starts from what there is: whoever led before has told us nothing. */
  async #lead(controller: Controller, enqueueAll: () => void, signal: AbortSignal): Promise<void> {
    const ending = AbortSignal.any([signal, this.#stopping.signal]);
    const ended = new Promise((resolve) => ending.addEventListener('abort', resolve, { once: true }));
    await Promise.race([this.informers.synced(), ended]);
    if (ending.aborted) return;
    controller.start();
    enqueueAll();
    await ended;
    await controller.stop();
  }

  #enqueueAll(controller: Controller, triggers: readonly Trigger[]): void {
    for (const { kind, keysOf } of triggers) {
      for (const object of this.informers.of(kind).list()) {
        const key = { namespace: object.metadata.namespace ?? '', name: object.metadata.name };
        for (const next of keysOf(key, object)) controller.enqueue(next, 'Change');
      }
    }
  }

  #report(name: string, { namespace, name: object }: ObjectKey, error: unknown): void {
    const what = `${name}: ${namespace === '' ? object : `${namespace}/${object}`}`;
    // A lost race is how optimistic writes work; the next try reads anew.
    if (error instanceof Problem && error.code === 'object.conflict') this.#logger.debug(`${what}: changed meanwhile`);
    else this.#logger.error({ err: error }, `${what} failed; trying again`);
  }
}
