import type { VmMemoryStatus } from '@corral/contracts';
import { LATENCY_BUCKETS_US, type MemoryCapability, type PageOrigin, type PagerUsage } from '@corral/memory';

export interface MemoryFacts {
  readonly capability: MemoryCapability;
  readonly ramBytes: number;
  readonly budgetBytes: number | undefined;
  readonly privateBytes: number;
  readonly sharedBytes: number;
  readonly pager: VmMemoryStatus['pager'];
  readonly pagerReason: string | undefined;
  readonly usage: PagerUsage | undefined;
  readonly evictedPages: number;
}

/** What is told of a machine's RAM. Pure. */
export function memoryStatus({ capability, ramBytes, budgetBytes, privateBytes, sharedBytes, pager, pagerReason, usage, evictedPages }: MemoryFacts): VmMemoryStatus {
  const compressedBytes = (usage?.stagedBytes ?? 0) + (usage?.compressedBytes ?? 0);
  const swappedBytes = usage?.swappedBytes ?? 0;
  const { counters } = usage ?? {};
  const [staged = 0, compressed = 0, redis = 0, durable = 0] = [counters?.stagedIns, counters?.packedIns, counters?.redisIns, counters?.durableIns];
  const latency = usage && percentiles(swapInsOf(usage));
  return {
    mode: capability.mode,
    ...(capability.reason === '' ? {} : { modeReason: capability.reason }),
    ...(budgetBytes === undefined ? {} : { budgetBytes }),
    heldBytes: privateBytes + (usage?.stagedBytes ?? 0) + (usage?.packedBytes ?? 0),
    privateBytes,
    sharedBytes,
    compressedBytes,
    swappedBytes,
    zeroBytes: Math.max(0, ramBytes - privateBytes - sharedBytes - compressedBytes - swappedBytes),
    pager,
    ...(pagerReason === undefined ? {} : { pagerReason }),
    faults: counters?.faults ?? 0,
    swapIns: staged + compressed + redis + durable,
    swapOuts: evictedPages,
    swapInsFrom: { staged, compressed, redis, durable },
    ...(latency ? { swapInMicroseconds: latency } : {}),
    redis: { timeouts: counters?.redisTimeouts ?? 0, misses: counters?.redisMisses ?? 0, refusals: counters?.redisRefusals ?? 0, stale: counters?.redisStale ?? 0 },
  };
}

const SWAPPED_IN: readonly PageOrigin[] = ['staged', 'packed', 'redis', 'durable'];

/** Waits for pages that were out, per bucket of LATENCY_BUCKETS_US and beyond the last. */
function swapInsOf({ waits }: PagerUsage): readonly number[] {
  return Array.from({ length: LATENCY_BUCKETS_US.length + 1 }, (_, bucket) => SWAPPED_IN.reduce((sum, origin) => sum + (waits[origin].counts[bucket] ?? 0), 0));
}

/** Upper bounds of the buckets in which half, and all but a hundredth, of the waits are; what took longest has no bound, so its bucket's lower one counts. */
export function percentiles(latencies: readonly number[]): { readonly p50: number; readonly p99: number } | undefined {
  const total = latencies.reduce((sum, count) => sum + count, 0);
  if (total === 0) return undefined;
  const boundOf = (share: number): number => {
    let seen = 0;
    const bucket = latencies.findIndex((count) => (seen += count) >= total * share);
    return LATENCY_BUCKETS_US[Math.min(bucket, LATENCY_BUCKETS_US.length - 1)] ?? 0;
  };
  return { p50: boundOf(0.5), p99: boundOf(0.99) };
}
