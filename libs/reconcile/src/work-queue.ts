import { type Timers } from './timers.ts';

/**
 * Keys to look at. A key added many times before it is taken is handed out once; a key added while it is being
 * processed is handed out again after `done`, never beside itself.
 * Source: k8s.io/client-go/util/workqueue, Type and delayingType.
 */
export class WorkQueue {
  readonly #timers: Timers;
  readonly #ready: string[] = [];
  readonly #dirty = new Set<string>();
  readonly #processing = new Set<string>();
  readonly #delayed = new Map<string, { readonly dueAt: number; readonly cancel: () => void }>();
  readonly #takers: ((key: string | undefined) => void)[] = [];
  #shutDown = false;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** Keys waiting to be taken now. */
  get length(): number {
    return this.#ready.length;
  }

  add(key: string): void {
    if (this.#shutDown || this.#dirty.has(key)) return;
    this.#dirty.add(key);
    if (!this.#processing.has(key)) this.#offer(key);
  }

  /** Adds later; of several waits for one key the shortest counts. */
  addAfter(key: string, delayMs: number): void {
    if (this.#shutDown) return;
    if (delayMs <= 0) return this.add(key);
    const dueAt = this.#timers.now() + delayMs;
    const earlier = this.#delayed.get(key);
    if (earlier) {
      if (earlier.dueAt <= dueAt) return;
      earlier.cancel();
    }
    const cancel = this.#timers.after(delayMs, () => {
      this.#delayed.delete(key);
      this.add(key);
    });
    this.#delayed.set(key, { dueAt, cancel });
  }

  /** The next key; undefined once the queue is shut down and nothing waits. Whoever takes a key owes `done`. */
  take(): Promise<string | undefined> {
    const key = this.#ready.shift();
    if (key !== undefined) return Promise.resolve(this.#hand(key));
    if (this.#shutDown) return Promise.resolve(undefined);
    return new Promise((resolve) => this.#takers.push(resolve));
  }

  done(key: string): void {
    this.#processing.delete(key);
    if (this.#dirty.has(key)) this.#offer(key);
  }

  /** Nothing waiting is handed out any more, and takers are told. */
  shutDown(): void {
    this.#shutDown = true;
    this.#ready.length = 0;
    this.#dirty.clear();
    for (const { cancel } of this.#delayed.values()) cancel();
    this.#delayed.clear();
    for (const resolve of this.#takers.splice(0)) resolve(undefined);
  }

  #offer(key: string): void {
    const taker = this.#takers.shift();
    if (taker) taker(this.#hand(key));
    else this.#ready.push(key);
  }

  #hand(key: string): string {
    this.#dirty.delete(key);
    this.#processing.add(key);
    return key;
  }
}
