import { findCondition, nodes, virtualMachines, type VirtualMachine } from '@corral/contracts';
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
