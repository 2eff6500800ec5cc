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
  'redisMisses', 'redisStale', 'redisTimeouts', 'redisConnections', 'redisRefusals', 'durableFailures', 'faultMicroseconds',
] as const;
export type PagerCounter = (typeof PAGER_COUNTERS)[number];

/** Upper bounds of the latency buckets, in microseconds; the last bucket has none. */
export const LATENCY_BUCKETS_US = [10, 20, 50, 100, 200, 500, 1_000, 5_000, 20_000, 100_000] as const;

const CELLS_BYTES = 64;
const COUNTERS = PAGER_COUNTERS.length;

export class PagerControl {
  readonly shared: SharedArrayBuffer;
  readonly #cells: Int32Array;
  readonly #counters: Float64Array;
  readonly #latencies: Float64Array;

  constructor(shared: SharedArrayBuffer = new SharedArrayBuffer(CELLS_BYTES + (COUNTERS + LATENCY_BUCKETS_US.length + 1) * 8)) {
    this.shared = shared;
    this.#cells = new Int32Array(shared, 0, CELLS_BYTES / 4);
    this.#counters = new Float64Array(shared, CELLS_BYTES, COUNTERS);
    this.#latencies = new Float64Array(shared, CELLS_BYTES + COUNTERS * 8);
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

  /** One page or more came from outside of this process, in so many microseconds. */
  observe(microseconds: number): void {
    const bucket = LATENCY_BUCKETS_US.findIndex((bound) => microseconds <= bound);
    const at = bucket < 0 ? LATENCY_BUCKETS_US.length : bucket;
    this.#latencies[at] = (this.#latencies[at] ?? 0) + 1;
  }

  counters(): Record<PagerCounter, number> {
    return Object.fromEntries(PAGER_COUNTERS.map((name, at) => [name, this.#counters[at] ?? 0])) as Record<PagerCounter, number>;
  }

  /** Swap-ins per bucket of LATENCY_BUCKETS_US, and beyond the last. */
  latencies(): number[] {
    return [...this.#latencies];
  }
}
