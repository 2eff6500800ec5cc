import { type ObjectKey } from '@corral/contracts';
import { assertNever } from '@corral/base';
import { Backoff } from './backoff.ts';
import { systemTimers, type Timers } from './timers.ts';
import { WorkQueue } from './work-queue.ts';

export type ReconcileResult =
  /** Nothing to do until the key is enqueued again. */
  | { readonly type: 'Done' }
  /** Look again later even if nothing changes. */
  | { readonly type: 'RequeueAfter'; readonly delayMs: number };

export interface ControllerOptions {
  readonly name: string;
  /** Brings one object closer to what it should be. Throwing means: try again after a back-off. */
  reconcile(key: ObjectKey, signal: AbortSignal): Promise<ReconcileResult>;
  readonly timers?: Timers;
  readonly random?: () => number;
  /** How many keys are worked on at once; one by default. */
  readonly concurrency?: number;
  onError?(key: ObjectKey, error: unknown): void;
  readonly backoff?: { readonly baseMs: number; readonly maxMs: number };
}

const DEFAULT_BACKOFF = { baseMs: 200, maxMs: 60_000 };

/** Runs a reconciler over a work queue. The same key is never reconciled twice at once. */
export class Controller {
  readonly name: string;
  readonly #options: ControllerOptions;
  readonly #queue: WorkQueue;
  readonly #backoff: Backoff;
  readonly #abort = new AbortController();
  #workers: Promise<void>[] = [];

  constructor(options: ControllerOptions) {
    this.name = options.name;
    this.#options = options;
    this.#queue = new WorkQueue(options.timers ?? systemTimers);
    this.#backoff = new Backoff({ ...(options.backoff ?? DEFAULT_BACKOFF), random: options.random ?? Math.random });
  }

  enqueue(key: ObjectKey): void {
    this.#queue.add(textOf(key));
  }

  enqueueAfter(key: ObjectKey, delayMs: number): void {
    this.#queue.addAfter(textOf(key), delayMs);
  }

  /** Keys waiting for a worker. */
  get waiting(): number {
    return this.#queue.length;
  }

  start(): void {
    if (this.#workers.length > 0) return;
    this.#workers = Array.from({ length: this.#options.concurrency ?? 1 }, () => this.#work());
  }

  /** Takes no more keys, tells running reconcilers through their signal, and waits for them. */
  async stop(): Promise<void> {
    this.#queue.shutDown();
    this.#abort.abort();
    await Promise.all(this.#workers);
  }

  async #work(): Promise<void> {
    for (let text = await this.#queue.take(); text !== undefined; text = await this.#queue.take()) {
      await this.#process(text);
      this.#queue.done(text);
    }
  }

  async #process(text: string): Promise<void> {
    const key = keyOf(text);
    try {
      const result = await this.#options.reconcile(key, this.#abort.signal);
      this.#backoff.forget(text);
      switch (result.type) {
        case 'Done':
          return;
        case 'RequeueAfter':
          return this.#queue.addAfter(text, result.delayMs);
        default:
          assertNever(result, 'reconcile result');
      }
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      this.#queue.addAfter(text, this.#backoff.next(text));
      this.#options.onError?.(key, error);
    }
  }
}

/** Kubernetes's way to write a key; neither part can hold a slash. */
const textOf = ({ namespace, name }: ObjectKey): string => `${namespace}/${name}`;

function keyOf(text: string): ObjectKey {
  const slash = text.indexOf('/');
  return { namespace: text.slice(0, slash), name: text.slice(slash + 1) };
}
