import { type Timers } from './timers.ts';

/** Time that moves only when told to: for tests of everything that takes Timers. */
export class VirtualTimers implements Timers {
  #now = 0;
  #pending: { readonly dueAt: number; readonly callback: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  after(delayMs: number, callback: () => void): () => void {
    const entry = { dueAt: this.#now + delayMs, callback };
    this.#pending.push(entry);
    return () => {
      this.#pending = this.#pending.filter((other) => other !== entry);
    };
  }

  /** How many callbacks wait. */
  get pending(): number {
    return this.#pending.length;
  }

  /** Moves time forward, calling what falls due in order and letting promises settle after each. */
  async advance(byMs: number): Promise<void> {
    const until = this.#now + byMs;
    await settle();
    for (let next = this.#nextBefore(until); next; next = this.#nextBefore(until)) {
      this.#pending = this.#pending.filter((other) => other !== next);
      this.#now = Math.max(this.#now, next.dueAt);
      next.callback();
      await settle();
    }
    this.#now = until;
  }

  #nextBefore(until: number): { readonly dueAt: number; readonly callback: () => void } | undefined {
    let first: { readonly dueAt: number; readonly callback: () => void } | undefined;
    for (const entry of this.#pending) if (entry.dueAt <= until && (!first || entry.dueAt < first.dueAt)) first = entry;
    return first;
  }
}

/** Lets every promise that can settle do so: a macrotask runs after all microtasks. */
export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
