export interface BackoffRange {
  readonly baseMs: number;
  readonly maxMs: number;
}

/** Wait before try number `failures` + 1, without jitter: base, doubled after each failure, at most max. */
export function backoffMs(failures: number, { baseMs, maxMs }: BackoffRange): number {
  if (failures <= 0) return 0;
  return Math.min(maxMs, baseMs * 2 ** Math.min(failures - 1, 52));
}

/** Counts failures per key and says how long to wait after each. Up to half of every wait is random, so that many who failed together do not come back together. */
export class Backoff {
  readonly #failures = new Map<string, number>();
  readonly #range: BackoffRange;
  readonly #random: () => number;

  constructor(options: BackoffRange & { readonly random: () => number }) {
    this.#range = { baseMs: options.baseMs, maxMs: options.maxMs };
    this.#random = options.random;
  }

  /** Records one more failure; the result lies between half of the full wait and the full wait. */
  next(key: string): number {
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    const full = backoffMs(failures, this.#range);
    return full / 2 + (full / 2) * this.#random();
  }

  failures(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  forget(key: string): void {
    this.#failures.delete(key);
  }
}
