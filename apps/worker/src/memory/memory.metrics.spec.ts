import { LATENCY_BUCKETS_US } from '@corral/memory';
import { Registry } from 'prom-client';
import { registerMemoryMetrics } from './memory.metrics.ts';
import { MemoryTotals, WAIT_COUNTS, waitCountsOf } from './memory-totals.ts';
import { type NodeMemory } from './node-memory.ts';

const NONE = LATENCY_BUCKETS_US.map(() => 0);

it('waits for pages are told as a histogram of the node, by where the pages were', async () => {
  const totals = new MemoryTotals(WAIT_COUNTS);
  const machine = (redis: readonly number[]): ReturnType<typeof waitCountsOf> => waitCountsOf({ redis: { counts: redis, microseconds: 1_500 } });
  totals.take(new Map([['one 1', machine([1, 0, 2, ...NONE.slice(3), 4])], ['other 1', machine([0, 3, ...NONE.slice(2), 0])]]));
  const registry = new Registry();
  registerMemoryMetrics(registry, () => ({ waits: totals.sums, told: [], totals: {}, budgetBytes: 0, heldBytes: 0, pressure: { isPressing: false } }) as unknown as NodeMemory);
  const text = await registry.metrics();
  expect(text).toContain('# TYPE corral_page_fault_seconds histogram');
  const lines = text.split('\n').filter((line) => line.startsWith('corral_page_fault_seconds') && line.includes('"redis"'));
  expect(lines).toHaveLength(LATENCY_BUCKETS_US.length + 3);
  const valueOf = (start: string): number => Number(lines.find((line) => line.startsWith(start))?.split(' ').at(-1));
  expect([0.00001, 0.00002, 0.00005, 0.1, '+Inf'].map((le) => valueOf(`corral_page_fault_seconds_bucket{from="redis",le="${le}"}`))).toEqual([1, 4, 6, 6, 10]);
  expect([valueOf('corral_page_fault_seconds_sum'), valueOf('corral_page_fault_seconds_count')]).toEqual([0.003, 10]);
});
