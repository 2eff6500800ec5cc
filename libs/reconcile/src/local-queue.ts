import { type Cause, type KeyQueue } from './key-queue.ts';
import { systemTimers, type Timers } from './timers.ts';
import { WorkQueue } from './work-queue.ts';

/** The KeyQueue inside one process, for work that one process does anyway and for when nothing else can be reached. */
export class LocalQueue implements KeyQueue {
  readonly #timers: Timers;
  readonly #causes = new Map<string, Cause>();
  #queue: WorkQueue | undefined;
  #workers: Promise<void>[] = [];

  constructor(timers: Timers = systemTimers) {
    this.#timers = timers;
    this.#queue = new WorkQueue(timers);
  }

  /** Keys waiting to be worked on now. */
  get length(): number {
    return this.#queue?.length ?? 0;
  }

  add(key: string, cause: Cause = 'Change'): void {
    if (!this.#queue) return;
    // Whatever else calls for a look, it is no longer only the resync.
    const known = this.#causes.get(key);
    if (known === undefined || known === 'Resync') this.#causes.set(key, cause);
    this.#queue.add(key);
  }

  addAfter(key: string, delayMs: number): void {
    this.#queue?.addAfter(key, delayMs);
  }

  start(work: (key: string, cause: Cause) => Promise<void>, concurrency: number): void {
    if (this.#workers.length > 0) return;
    const queue = (this.#queue ??= new WorkQueue(this.#timers));
    this.#workers = Array.from({ length: concurrency }, async () => {
      for (let key = await queue.take(); key !== undefined; key = await queue.take()) {
        const cause = this.#causes.get(key) ?? 'Again';
        this.#causes.delete(key);
        await work(key, cause).catch(() => undefined);
        queue.done(key);
      }
    });
  }

  async stop(): Promise<void> {
    this.#queue?.shutDown();
    this.#queue = undefined;
    this.#causes.clear();
    await Promise.all(this.#workers.splice(0));
  }

  depth(): Promise<number> {
    return Promise.resolve(this.length);
  }
}
