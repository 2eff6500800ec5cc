/** How long a burst of starts is remembered. */
const MEMORY_MS = 15 * 60_000;
/** Starts that come within so long are one burst: no process is made ready in between. */
const BURST_MS = 5_000;

/**
 * How many processes should wait: as many as the largest burst of the last quarter of an hour took, between a minimum and a
 * maximum. Pure.
 */
export class RecentDemand {
  readonly #minimum: number;
  readonly #maximum: number;
  #bursts: { readonly startedAtMs: number; count: number }[] = [];

  constructor(limits: { readonly minimum: number; readonly maximum: number }) {
    this.#minimum = limits.minimum;
    this.#maximum = Math.max(limits.minimum, limits.maximum);
  }

  took(atMs: number): void {
    const burst = this.#bursts.at(-1);
    if (burst && atMs - burst.startedAtMs < BURST_MS) burst.count += 1;
    else this.#bursts.push({ startedAtMs: atMs, count: 1 });
  }

  target(atMs: number): number {
    this.#bursts = this.#bursts.filter(({ startedAtMs }) => atMs - startedAtMs < MEMORY_MS);
    const largest = Math.max(0, ...this.#bursts.map(({ count }) => count));
    return Math.min(this.#maximum, Math.max(this.#minimum, largest));
  }
}
