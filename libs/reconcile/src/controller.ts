import { type ObjectKey } from '@corral/contracts';
import { assertNever } from '@corral/base';
import { Backoff } from './backoff.ts';
import { type Cause, type KeyQueue } from './key-queue.ts';
import { LocalQueue } from './local-queue.ts';
import { systemTimers, type Timers } from './timers.ts';

export type ReconcileResult =
  /** Nothing to do until the key is enqueued again. */
  | { readonly type: 'Done' }
  /** Look again later even if nothing changes. */
  | { readonly type: 'RequeueAfter'; readonly delayMs: number };

/** What one look came to. */
export interface Look {
  readonly key: ObjectKey;
  readonly cause: Cause;
  readonly durationMs: number;
  readonly outcome: 'Done' | 'Requeued' | 'Failed';
}

export interface ControllerOptions {
  readonly name: string;
  /** Brings one object closer to what it should be. Throwing means: try again after a back-off. */
  reconcile(key: ObjectKey, signal: AbortSignal, cause: Cause): Promise<ReconcileResult>;
  /** Where keys wait; inside this process by default. */
  readonly queue?: KeyQueue;
  readonly timers?: Timers;
  readonly random?: () => number;
  /** How many keys are worked on at once; one by default. */
  readonly concurrency?: number;
  onError?(key: ObjectKey, error: unknown): void;
  onLook?(look: Look): void;
  readonly backoff?: { readonly baseMs: number; readonly maxMs: number };
}

const DEFAULT_BACKOFF = { baseMs: 200, maxMs: 60_000 };

/** Runs a reconciler over a queue of keys. The same key is never reconciled twice at once in one process. */
export class Controller {
  readonly name: string;
  readonly #options: ControllerOptions;
  readonly #timers: Timers;
  readonly #queue: KeyQueue;
  readonly #backoff: Backoff;
  /** Keys being looked at here: a queue that was changed for another may hand one out a second time. */
  readonly #looking = new Map<string, Promise<void>>();
  #abort: AbortController | undefined;

  constructor(options: ControllerOptions) {
    this.name = options.name;
    this.#options = options;
    this.#timers = options.timers ?? systemTimers;
    this.#queue = options.queue ?? new LocalQueue(this.#timers);
    this.#backoff = new Backoff({ ...(options.backoff ?? DEFAULT_BACKOFF), random: options.random ?? Math.random });
  }

  enqueue(key: ObjectKey, cause: Cause = 'Change'): void {
    this.#queue.add(textOf(key), cause);
  }

  enqueueAfter(key: ObjectKey, delayMs: number): void {
    this.#queue.addAfter(textOf(key), delayMs);
  }

  /** Keys waiting to be looked at. */
  depth(): Promise<number> {
    return this.#queue.depth();
  }

  get isRunning(): boolean {
    return this.#abort !== undefined;
  }

  /** Whoever starts it enqueues everything there is: what was enqueued before may be lost. */
  start(): void {
    if (this.#abort) return;
    const abort = new AbortController();
    this.#abort = abort;
    this.#queue.start((key, cause) => this.#look(key, cause, abort.signal), this.#options.concurrency ?? 1);
  }

  /** Takes no more keys, tells running reconcilers through their signal, and waits for them. It may be started again. */
  async stop(): Promise<void> {
    this.#abort?.abort();
    await this.#queue.stop();
    this.#abort = undefined;
  }

  async #look(text: string, cause: Cause, signal: AbortSignal): Promise<void> {
    const before = this.#looking.get(text);
    const look = (before ?? Promise.resolve()).then(() => this.#process(text, cause, signal));
    this.#looking.set(text, look);
    await look;
    if (this.#looking.get(text) === look) this.#looking.delete(text);
  }

  async #process(text: string, cause: Cause, signal: AbortSignal): Promise<void> {
    const key = keyOf(text);
    const startedAt = this.#timers.now();
    const tell = (outcome: Look['outcome']): void =>
      this.#options.onLook?.({ key, cause, durationMs: this.#timers.now() - startedAt, outcome });
    try {
      const result = await this.#options.reconcile(key, signal, cause);
      this.#backoff.forget(text);
      switch (result.type) {
        case 'Done':
          return tell('Done');
        case 'RequeueAfter':
          this.#queue.addAfter(text, result.delayMs);
          return tell('Requeued');
        default:
          assertNever(result, 'reconcile result');
      }
    } catch (error) {
      if (signal.aborted) return;
      this.#queue.addAfter(text, this.#backoff.next(text));
      tell('Failed');
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
