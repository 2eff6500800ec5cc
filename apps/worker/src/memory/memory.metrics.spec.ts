import { type VmMemoryStatus } from '@corral/contracts';
import { LATENCY_BUCKETS_US } from '@corral/memory';
import { Registry } from 'prom-client';
import { registerMemoryMetrics } from './memory.metrics.ts';
import { MemoryTotals, WAIT_COUNTS, waitCountsOf } from './memory-totals.ts';
import { type NodeMemory } from './node-memory.ts';
import { registerVmMemoryMetrics } from './vm-memory.metrics.ts';

const NONE = LATENCY_BUCKETS_US.map(() => 0);

it('waits for pages are told as a histogram of the node, by where the pages were', async () => {
  const totals = new MemoryTotals(WAIT_COUNTS);
  const machine = (redis: readonly number[]): ReturnType<typeof waitCountsOf> => waitCountsOf({ redis: { counts: redis, microseconds: 1_500 } });
  totals.take(new Map([['one 1', machine([1, 0, 2, ...NONE.slice(3), 4])], ['other 1', machine([0, 3, ...NONE.slice(2), 0])]]));
  const registry = new Registry();
  registerMemoryMetrics(registry, () => ({ waits: totals.sums, told: [], machines: new Map(), totals: {}, budgetBytes: 0, heldBytes: 0, pressure: { isPressing: false } }) as unknown as NodeMemory);
  const text = await registry.metrics();
  expect(text).toContain('# TYPE corral_page_fault_seconds histogram');
  const lines = text.split('\n').filter((line) => line.startsWith('corral_page_fault_seconds') && line.includes('"redis"'));
  expect(lines).toHaveLength(LATENCY_BUCKETS_US.length + 3);
  const valueOf = (start: string): number => Number(lines.find((line) => line.startsWith(start))?.split(' ').at(-1));
  expect([0.00001, 0.00002, 0.00005, 0.1, '+Inf'].map((le) => valueOf(`corral_page_fault_seconds_bucket{from="redis",le="${le}"}`))).toEqual([1, 4, 6, 6, 10]);
  expect([valueOf('corral_page_fault_seconds_sum'), valueOf('corral_page_fault_seconds_count')]).toEqual([0.003, 10]);
});

it('what a machine’s RAM takes and does is told by its uid, for as long as it runs', async () => {
  const memory: VmMemoryStatus = {
    mode: 'Full', heldBytes: 15, budgetBytes: 16, privateBytes: 1, sharedBytes: 2, compressedBytes: 3, swappedBytes: 4, zeroBytes: 5, pager: 'On', faults: 6, swapIns: 10, swapOuts: 7,
    swapInsFrom: { staged: 1, compressed: 2, redis: 3, durable: 4 }, swapInMicroseconds: { p50: 20, p99: 500 }, redis: { timeouts: 0, misses: 0, refusals: 0, stale: 0 },
  };
  const { budgetBytes: _, swapInMicroseconds: __, ...free } = memory;
  const machines = new Map<string, VmMemoryStatus>([['a', memory], ['b', free]]);
  const registry = new Registry();
  registerVmMemoryMetrics(registry, () => machines);
  const told = async (vm: string): Promise<Record<string, number>> =>
    Object.fromEntries((await registry.metrics()).split('\n').filter((line) => line.includes(`vm="${vm}"`)).map((line) => {
      const [name = '', value] = line.replace(`vm="${vm}"`, '').replace('{}', '').replace('{,', '{').replace('corral_vm_', '').split(' ');
      return [name, Number(value)];
    }));
  const bytes = { 'memory_bytes{place="private"}': 1, 'memory_bytes{place="shared"}': 2, 'memory_bytes{place="compressed"}': 3, 'memory_bytes{place="swapped"}': 4, 'memory_bytes{place="zero"}': 5, memory_held_bytes: 15 };
  const counts = { page_faults_total: 6, swap_outs_total: 7, 'swap_ins_total{from="staged"}': 1, 'swap_ins_total{from="compressed"}': 2, 'swap_ins_total{from="redis"}': 3, 'swap_ins_total{from="durable"}': 4 };
  expect(await told('a')).toEqual({ ...bytes, ...counts, memory_budget_bytes: 16, 'swap_in_seconds{quantile="0.5"}': 0.00002, 'swap_in_seconds{quantile="0.99"}': 0.0005 });
  expect(await told('b')).toEqual({ ...bytes, ...counts });
  machines.delete('a');
  expect([await told('a'), await told('b')]).toEqual([{}, { ...bytes, ...counts }]);
});
