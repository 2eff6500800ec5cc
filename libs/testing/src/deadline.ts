import { availableParallelism, loadavg } from 'node:os';

/** Twice what a test's author saw, on any host. */
const LEAST = 2;
const MOST = 10;
/** Who allows as much has thought of slow hosts; and a test that says what did not come must do so before Jest ends it. */
const LONG_MS = 90_000;

/** What is allowed where so many processes want to run. */
export function allowedMsAt(load: number, cores: number, allowedMs: number): number {
  const slowness = Math.min(MOST, Math.max(LEAST, load / cores));
  return Math.max(allowedMs, Math.min(LONG_MS, allowedMs * slowness));
}

/**
 * When to give up. All waits of tests end here: what they allow is for a host that does nothing else, and one with more to run than it has cores is given
 * longer. Only what never happens takes longer by this.
 */
export class Deadline {
  readonly #allowedMs: number;
  readonly #startedMs = performance.now();

  constructor(allowedMs: number) {
    this.#allowedMs = allowedMs;
  }

  /** The load is looked at each time: it may have come since. Source: proc_loadavg(5). */
  get isOver(): boolean {
    return this.waitedMs > allowedMsAt(loadavg()[0] ?? 0, availableParallelism(), this.#allowedMs);
  }

  get waitedMs(): number {
    return Math.round(performance.now() - this.#startedMs);
  }
}
