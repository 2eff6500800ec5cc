import type { VmMemoryStatus, VmPageWaits } from '@corral/contracts';
import { LATENCY_BUCKETS_US, PAGE_ORIGINS, type PageOrigin } from '@corral/memory';

/** What is counted of all machines since the node agent started. */
export const MEMORY_COUNTS = ['faults', 'swapOuts', 'stagedIns', 'compressedIns', 'redisIns', 'durableIns', 'redisTimeouts', 'redisMisses', 'redisRefusals', 'redisStale'] as const;
export type MemoryCount = (typeof MEMORY_COUNTS)[number];
export type Counts<Name extends string> = Readonly<Record<Name, number>>;
export type MemoryCounts = Counts<MemoryCount>;

export function countsOf({ faults, swapOuts, swapInsFrom, redis }: VmMemoryStatus): MemoryCounts {
  return {
    faults, swapOuts,
    stagedIns: swapInsFrom.staged, compressedIns: swapInsFrom.compressed, redisIns: swapInsFrom.redis, durableIns: swapInsFrom.durable,
    redisTimeouts: redis.timeouts, redisMisses: redis.misses, redisRefusals: redis.refusals, redisStale: redis.stale,
  };
}

/** One bucket of one origin's waits, by its number; or how many microseconds all of them took. */
export type WaitCount = `${PageOrigin} ${number | 'us'}`;
const BUCKETS = Array.from({ length: LATENCY_BUCKETS_US.length + 1 }, (_, bucket) => bucket);
export const WAIT_COUNTS: readonly WaitCount[] = PAGE_ORIGINS.flatMap((origin) => [...BUCKETS, 'us' as const].map((part): WaitCount => `${origin} ${part}`));

export function waitCountsOf(waits: VmPageWaits): Counts<WaitCount> {
  const of = (origin: PageOrigin): [WaitCount, number][] => [
    ...BUCKETS.map((bucket): [WaitCount, number] => [`${origin} ${bucket}`, waits[origin]?.counts[bucket] ?? 0]),
    [`${origin} us`, waits[origin]?.microseconds ?? 0],
  ];
  return Object.fromEntries(PAGE_ORIGINS.flatMap(of)) as Counts<WaitCount>;
}

/** Adds up what machines count, each from zero, so that the sums never go back when one of them ends. Pure. */
export class MemoryTotals<Name extends string> {
  readonly #names: readonly Name[];
  readonly #sums: Record<Name, number>;
  #last = new Map<string, Counts<Name>>();

  constructor(names: readonly Name[]) {
    this.#names = names;
    this.#sums = Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>;
  }

  get sums(): Counts<Name> {
    return this.#sums;
  }

  /** Takes what every life of a machine has counted so far, by a name that no two lives share. */
  take(counts: ReadonlyMap<string, Counts<Name>>): void {
    for (const [run, now] of counts) {
      for (const name of this.#names) this.#sums[name] += Math.max(0, now[name] - (this.#last.get(run)?.[name] ?? 0));
    }
    this.#last = new Map(counts);
  }
}
