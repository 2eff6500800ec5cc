/** What the machine's thread and the pager tell each other in shared memory: small numbers, each written by one of the two. */
const CELL = {
  /** Machine: the pager should end. */
  quit: 0,
  /** Machine: number of the last harvest. */
  epoch: 1,
  /** Machine: how many pages may be staged, and how many KiB packed, before they go on. */
  stagedLimit: 2,
  packedLimitKib: 3,
  /** Pager: how many KiB are packed now. */
  packedKib: 4,
} as const;

/** Events the pager counts since it was started. */
export const PAGER_COUNTERS = [
  'faults', 'basePages', 'zeroPages', 'stagedIns', 'packedIns', 'redisIns', 'durableIns', 'readaheadPages',
  'packedOuts', 'zeroOuts', 'redisOuts', 'durableOuts', 'redisOutBytes',
  'redisMisses', 'redisStale', 'redisTimeouts', 'redisConnections', 'redisRefusals', 'durableFailures',
] as const;
export type PagerCounter = (typeof PAGER_COUNTERS)[number];

/** Where a page that somebody waited for came from. */
export const PAGE_ORIGINS = ['base', 'zero', 'staged', 'packed', 'redis', 'durable'] as const;
export type PageOrigin = (typeof PAGE_ORIGINS)[number];

/** How long pages of one origin were waited for. */
export interface PageWaits {
  /** Per bucket of LATENCY_BUCKETS_US, and beyond the last. */
  readonly counts: readonly number[];
  readonly microseconds: number;
}

/** Upper bounds of the latency buckets, in microseconds; the last bucket has none. */
export const LATENCY_BUCKETS_US = [10, 20, 50, 100, 200, 500, 1_000, 5_000, 20_000, 100_000] as const;

const CELLS_BYTES = 64;
const COUNTERS = PAGER_COUNTERS.length;
const BUCKETS = LATENCY_BUCKETS_US.length + 1;
/** Of one origin: its buckets, and how long all of it took. */
const WAITS = BUCKETS + 1;

export class PagerControl {
  readonly shared: SharedArrayBuffer;
  readonly #cells: Int32Array;
  readonly #counters: Float64Array;
  readonly #waits: Float64Array;

  constructor(shared: SharedArrayBuffer = new SharedArrayBuffer(CELLS_BYTES + (COUNTERS + PAGE_ORIGINS.length * WAITS) * 8)) {
    this.shared = shared;
    this.#cells = new Int32Array(shared, 0, CELLS_BYTES / 4);
    this.#counters = new Float64Array(shared, CELLS_BYTES, COUNTERS);
    this.#waits = new Float64Array(shared, CELLS_BYTES + COUNTERS * 8);
  }

  get(name: keyof typeof CELL): number {
    return Atomics.load(this.#cells, CELL[name]);
  }

  set(name: keyof typeof CELL, value: number): void {
    Atomics.store(this.#cells, CELL[name], value);
  }

  count(name: PagerCounter, by = 1): void {
    const at = PAGER_COUNTERS.indexOf(name);
    this.#counters[at] = (this.#counters[at] ?? 0) + by;
  }

  /** Somebody waited so long for a page of this origin. */
  observe(origin: PageOrigin, microseconds: number): void {
    const bucket = LATENCY_BUCKETS_US.findIndex((bound) => microseconds <= bound);
    const first = PAGE_ORIGINS.indexOf(origin) * WAITS;
    const at = first + (bucket < 0 ? LATENCY_BUCKETS_US.length : bucket);
    this.#waits[at] = (this.#waits[at] ?? 0) + 1;
    this.#waits[first + BUCKETS] = (this.#waits[first + BUCKETS] ?? 0) + microseconds;
  }

  counters(): Record<PagerCounter, number> {
    return Object.fromEntries(PAGER_COUNTERS.map((name, at) => [name, this.#counters[at] ?? 0])) as Record<PagerCounter, number>;
  }

  waits(): Record<PageOrigin, PageWaits> {
    const of = (origin: number): PageWaits => ({ counts: [...this.#waits.subarray(origin * WAITS, origin * WAITS + BUCKETS)], microseconds: this.#waits[origin * WAITS + BUCKETS] ?? 0 });
    return Object.fromEntries(PAGE_ORIGINS.map((origin, at) => [origin, of(at)])) as Record<PageOrigin, PageWaits>;
  }
}
