import { type Condition, findCondition, nodes, virtualMachines, type VirtualMachine } from '@corral/contracts';
import { HostMemory } from '@corral/memory';
import { until } from '@corral/testing';
import { jest } from '@jest/globals';
import { Redis } from 'ioredis';
import { Corral, IMAGE, NODE_NAME } from '../test/corral.ts';
import { damageDurable } from '../test/durable-damage.ts';
import { MemoryPattern } from '../test/memory-pattern.ts';

jest.setTimeout(300_000);

const MIB = 1024 * 1024;
const FILES = Array.from({ length: 80 }, (_, file) => file);

let corral: Corral;
let redis: Redis;
beforeAll(async () => {
  corral = await Corral.start();
  redis = new Redis(corral.redis.url);
});
afterAll(async () => {
  redis?.disconnect();
  await corral?.stop();
});

const patternOf = (name: string): MemoryPattern => new MemoryPattern((command) => corral.exec(name, command));
const keysOf = (vm: VirtualMachine): Promise<string[]> => redis.keys(`corral:swap:${vm.metadata.uid}:*`);

(HostMemory.probe().capability.mode === 'Full' ? describe : describe.skip)('a machine with a resident budget', () => {
  it('runs from its image’s base in an eighth of its memory, says so, and leaves nothing in Redis when it goes', async () => {
    await corral.run('paged', { source: { image: IMAGE }, residentMemory: '16Mi' });
    const pattern = patternOf('paged');
    const content = await pattern.write(await pattern.begin(), FILES);
    expect(await pattern.wrong(content)).toEqual([]);
    const vm = await corral.when('paged', 'tells that it swaps', ({ status }) => (status?.memory?.swappedBytes ?? 0) > 4 * MIB && (status?.memory?.swapInsFrom.redis ?? 0) > 100);
    expect(vm.status?.memory).toMatchObject({ mode: 'Full', pager: 'On', budgetBytes: 16 * MIB });
    expect(vm.status?.memory?.sharedBytes).toBeGreaterThan(MIB);
    expect(vm.status?.memory?.heldBytes).toBeLessThan(16 * MIB * 1.3);
    expect((await keysOf(vm)).length).toBeGreaterThan(50);
    expect(findCondition((await corral.client.get(nodes, undefined, NODE_NAME))?.status?.conditions, 'MemoryPressure')).toBeDefined();

    await corral.client.delete(virtualMachines, 'default', 'paged');
    await until(async () => (await keysOf(vm)).length === 0, { timeoutMs: 30_000, what: 'its pages are gone' });
  });

  it('is in its snapshot with all that is swapped out, and continues there when a page is lost', async () => {
    await corral.run('lossy', { source: { image: IMAGE }, residentMemory: '16Mi' });
    const pattern = patternOf('lossy');
    const content = await pattern.write(await pattern.begin(), FILES);
    await corral.takeSnapshot('lossy-1', 'lossy');
    await corral.snapshotWhen('lossy-1', 'Ready', ({ status }) => findCondition(status?.conditions, 'Ready')?.status === 'True');
    expect(await pattern.wrong(content)).toEqual([]);
    await pattern.write(content, FILES.slice(0, 10));

    // Neither Redis nor the node's disk has the pages as they were.
    await redis.flushall();
    const vm = await corral.get('lossy');
    expect(damageDurable(corral.vmProcessOf(vm))).toBe(true);
    await pattern.wrong(content).catch(() => undefined);

    const again = await corral.ready('lossy', 2);
    expect(again.status).toMatchObject({ lastTermination: { reason: 'SwapLost', incarnation: 1 }, startedFrom: { type: 'Snapshot', name: 'lossy-1' } });
    expect(await pattern.wrong(content)).toEqual([]);
  });

  it('has its pages removed also when the node agent died with it', async () => {
    const vm = await corral.get('lossy');
    const pattern = patternOf('lossy');
    await pattern.write(await pattern.begin(), FILES);
    await until(async () => (await keysOf(vm)).length > 10 && (await redis.scard(`corral:swap:node:${NODE_NAME}`)) > 0, { timeoutMs: 60_000, what: 'it swaps' });
    await corral.stopWorker('SIGKILL');
    expect((await keysOf(vm)).length).toBeGreaterThan(10);
    corral.startWorker();
    await until(async () => (await keysOf(vm)).every((key) => !key.startsWith(`corral:swap:${vm.metadata.uid}:2:`)), { timeoutMs: 60_000, what: 'what it left is gone' });
  });
});

(HostMemory.probe().capability.mode === 'Full' ? describe : describe.skip)('a node whose machines want more memory than it may give them', () => {
  const MACHINES = ['greedy-1', 'greedy-2'];
  const BUDGET_MIB = 40;
  const pressure = async (): Promise<Condition | undefined> => findCondition((await corral.client.get(nodes, undefined, NODE_NAME))?.status?.conditions, 'MemoryPressure');
  const metric = async (name: string): Promise<number> => {
    const url = (await corral.client.get(nodes, undefined, NODE_NAME))?.status?.corral?.dataPlaneUrl ?? '';
    const lines = (await (await fetch(`${url}/metrics`)).text()).split('\n');
    return Number(lines.find((line) => line.startsWith(`${name} `))?.split(' ')[1]);
  };

  it('runs all of them, each within its part, says so in its conditions and metrics, and no longer when they are gone', async () => {
    await corral.stopWorker();
    corral.startWorker({ env: { CORRAL_MEMORY_BUDGET_MIB: String(BUDGET_MIB) } });
    await Promise.all(MACHINES.map((name) => corral.run(name)));
    expect(await pressure()).toMatchObject({ status: 'False', reason: expect.stringMatching(/^(SufficientMemory|HostStalls|HostMemoryShort)$/) });
    const filled = await Promise.all(MACHINES.map(async (name) => {
      const pattern = patternOf(name);
      return { name, pattern, content: await pattern.write(await pattern.begin(), FILES) };
    }));
    for (const { name, pattern, content } of filled) {
      expect(await pattern.wrong(content)).toEqual([]);
      const { status } = await corral.when(name, 'tells that it swaps', (vm) => (vm.status?.memory?.swappedBytes ?? 0) > 4 * MIB);
      expect(status).toMatchObject({ phase: 'Running', incarnation: 1, memory: { pager: 'On' } });
      expect(status?.memory?.budgetBytes).toBeLessThan(BUDGET_MIB * MIB);
    }
    await until(async () => (await pressure())?.reason === 'BudgetExhausted', { timeoutMs: 60_000, what: 'the node says that they take all they may' });
    expect((await pressure())?.status).toBe('True');
    expect([await metric('corral_memory_pressure'), await metric('corral_memory_budget_bytes')]).toEqual([1, BUDGET_MIB * MIB]);
    expect(await metric('corral_memory_held_bytes')).toBeLessThan(BUDGET_MIB * MIB * 1.3);
    const { uid } = (await corral.get('greedy-1')).metadata;
    expect(await metric(`corral_vm_memory_bytes{vm="${uid}",place="swapped"}`)).toBeGreaterThan(4 * MIB);
    expect(await metric(`corral_vm_swap_outs_total{vm="${uid}"}`)).toBeGreaterThan(1_000);
    // Written together with the condition.
    const { memory } = (await corral.client.get(nodes, undefined, NODE_NAME))?.status?.corral ?? {};
    expect(memory?.budgetBytes).toBe(BUDGET_MIB * MIB);
    expect(memory?.heldBytes).toBeGreaterThan((BUDGET_MIB * MIB) / 2);

    await Promise.all(MACHINES.map((name) => corral.client.delete(virtualMachines, 'default', name)));
    await until(async () => (await pressure())?.reason !== 'BudgetExhausted', { timeoutMs: 60_000, what: 'the node says that they are gone' });
    await until(async () => (await metric('corral_memory_held_bytes')) < (BUDGET_MIB * MIB) / 2, { timeoutMs: 60_000, what: 'what they held is free' });
  });
});
