import fc from 'fast-check';
import { LATENCY_BUCKETS_US, PAGE_BYTES, PAGE_ORIGINS, PAGER_COUNTERS, type PagerUsage, type PageWaits } from '@corral/memory';
import { memoryStatus, percentiles } from './memory-status.ts';

const pages = fc.nat({ max: 4_000 });
const buckets = fc.array(fc.nat({ max: 50 }), { minLength: LATENCY_BUCKETS_US.length + 1, maxLength: LATENCY_BUCKETS_US.length + 1 });
const usage: fc.Arbitrary<PagerUsage> = fc.record({
  stagedBytes: pages, packedBytes: fc.nat(), compressedBytes: pages, swappedBytes: pages, zeroBytes: pages,
  counters: fc.nat().map((each) => Object.fromEntries(PAGER_COUNTERS.map((name) => [name, each])) as PagerUsage['counters']),
  waits: buckets.map((counts) => Object.fromEntries<PageWaits>(PAGE_ORIGINS.map((origin) => [origin, { counts, microseconds: 1 }])) as PagerUsage['waits']),
});

describe('what is told of a machine’s RAM', () => {
  it('adds up to all of it', () => {
    fc.assert(
      fc.property(usage, pages, pages, pages, (paged, privatePages, sharedPages, rest) => {
        const [privateBytes, sharedBytes] = [privatePages * PAGE_BYTES, sharedPages * PAGE_BYTES];
        const ramBytes = privateBytes + sharedBytes + paged.stagedBytes + paged.compressedBytes + paged.swappedBytes + rest * PAGE_BYTES;
        const told = memoryStatus({
          capability: { mode: 'Full', reason: '' }, ramBytes, budgetBytes: undefined, privateBytes, sharedBytes, pager: 'On', pagerReason: undefined, usage: paged, evictedPages: 0,
        });
        expect(told.privateBytes + told.sharedBytes + told.compressedBytes + told.swappedBytes + told.zeroBytes).toBe(ramBytes);
        expect(told.swapIns).toBe(told.swapInsFrom.staged + told.swapInsFrom.compressed + told.swapInsFrom.redis + told.swapInsFrom.durable);
      }),
    );
  });

  it('names bounds that half, and all but a hundredth, of the waits keep to', () => {
    fc.assert(
      fc.property(buckets, (latencies) => {
        const found = percentiles(latencies);
        const total = latencies.reduce((sum, count) => sum + count, 0);
        if (!found) return expect(total).toBe(0);
        const within = (bound: number): number => latencies.reduce((sum, count, at) => ((LATENCY_BUCKETS_US[at] ?? Infinity) <= bound ? sum + count : sum), 0);
        if (found.p99 < 100_000) expect(within(found.p99)).toBeGreaterThanOrEqual(total * 0.99);
        if (found.p50 < 100_000) expect(within(found.p50)).toBeGreaterThanOrEqual(total * 0.5);
      }),
    );
  });
});
