import type { VmMemoryStatus } from '@corral/contracts';

/** What is counted of all machines since the node agent started. */
export const MEMORY_COUNTS = ['faults', 'swapOuts', 'stagedIns', 'compressedIns', 'redisIns', 'durableIns', 'redisTimeouts', 'redisMisses', 'redisRefusals', 'redisStale'] as const;
export type MemoryCount = (typeof MEMORY_COUNTS)[number];
export type MemoryCounts = Readonly<Record<MemoryCount, number>>;

export function countsOf({ faults, swapOuts, swapInsFrom, redis }: VmMemoryStatus): MemoryCounts {
  return {
    faults, swapOuts,
    stagedIns: swapInsFrom.staged, compressedIns: swapInsFrom.compressed, redisIns: swapInsFrom.redis, durableIns: swapInsFrom.durable,
    redisTimeouts: redis.timeouts, redisMisses: redis.misses, redisRefusals: redis.refusals, redisStale: redis.stale,
  };
}

/** Adds up what machines count, each from zero, so that the sums never go back when one of them ends. Pure. */
export class MemoryTotals {
  readonly #sums: Record<MemoryCount, number> = Object.fromEntries(MEMORY_COUNTS.map((name) => [name, 0])) as Record<MemoryCount, number>;
  #last = new Map<string, MemoryCounts>();

  get sums(): MemoryCounts {
    return this.#sums;
  }

  /** Takes what every life of a machine has counted so far, by a name that no two lives share. */
  take(counts: ReadonlyMap<string, MemoryCounts>): void {
    for (const [run, now] of counts) {
      for (const name of MEMORY_COUNTS) this.#sums[name] += Math.max(0, now[name] - (this.#last.get(run)?.[name] ?? 0));
    }
    this.#last = new Map(counts);
  }
}
