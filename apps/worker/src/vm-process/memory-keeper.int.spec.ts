import { jest } from '@jest/globals';
import { access, mkdir, mkdtemp, rename, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MIB, PAGER_HEARTBEAT_FILE, type VmMemoryStatus } from '@corral/contracts';
import { startRedis, type EmbeddedRedis } from '@corral/embedded';
import { HostMemory } from '@corral/memory';
import { Redis } from 'ioredis';
import { eventually, ForkedVm } from './forked-vm.testing.ts';
import { booted, type GuestConfig, linuxMachine } from './guest-config.testing.ts';

jest.setTimeout(400_000);

const BUDGET_BYTES = 16 * MIB;
const FILES = 12;
/** Files that do not compress, and files that do. */
const FILL = `for i in $(seq ${FILES}); do dd if=/dev/urandom of=/tmp/r$i bs=64k count=16; yes "line $i of a file" | dd of=/tmp/t$i bs=4k count=256 iflag=fullblock; done 2> /dev/null; md5sum /tmp/r* /tmp/t* > /tmp/sums`;
const CHECK = 'md5sum -c /tmp/sums > /tmp/checked; grep -c OK /tmp/checked';

let home: string;
let redis: EmbeddedRedis;
let config: GuestConfig;
/** Booted with a budget, and a snapshot of that: booting takes a busy host longer than anything else here. */
let vmThatBooted: ForkedVm;
let origin: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'corral-keeper-'));
  redis = await startRedis({ home });
  config = await linuxMachine({ uid: 'paged', hostname: 'paged', memoryBudgetBytes: BUDGET_BYTES, swapRedisUrl: redis.url });
  vmThatBooted = await booted(config);
  origin = join(home, 'origin');
  await mkdir(origin);
  expect(await vmThatBooted.send({ type: 'Snapshot', directory: origin })).toMatchObject({ ok: true });
});
afterAll(async () => {
  await ForkedVm.disposeAll();
  await redis.stop();
  await rm(home, { recursive: true, force: true });
});

async function paged(changes: Partial<GuestConfig>): Promise<ForkedVm> {
  const vm = await ForkedVm.fork({ ...config, ...changes });
  await vm.start({ type: 'Snapshot', directory: origin });
  await vm.until('AgentAnswered');
  return vm;
}

/** On a busy host this takes its time. */
const fill = async (vm: ForkedVm): Promise<void> => expect(await vm.exec(FILL, { timeoutSeconds: 180 })).toMatchObject({ exitCode: 0, timedOut: false });

const lastTold = (vm: ForkedVm): VmMemoryStatus | undefined => vm.told.findLast((told) => told.type === 'Memory')?.memory;

// Where the host has no userfaultfd, budgets are only told of.
(HostMemory.probe().capability.mode === 'Full' ? describe : describe.skip)('a guest with a budget', () => {
  it('finds everything it wrote, with an eighth of its memory in place, and the rest in Redis', async () => {
    const vm = vmThatBooted;
    await fill(vm);
    expect((await vm.exec(CHECK)).stdout.trim()).toBe(String(2 * FILES));
    const client = new Redis(redis.url);
    try {
      const keys = await client.keys('corral:swap:paged:1:*');
      expect(keys.length).toBeGreaterThan(100);
    } finally {
      client.disconnect();
    }
    await eventually('it tells of it', async () => {
      await vm.exec('true');
      return (lastTold(vm)?.swapInsFrom.redis ?? 0) > 500;
    }, 60_000);
    const told = lastTold(vm);
    expect(told).toMatchObject({ mode: 'Full', pager: 'On', budgetBytes: BUDGET_BYTES });
    expect(told?.heldBytes).toBeLessThan(BUDGET_BYTES * 1.15);
  });

  it('finds it also while its Redis hangs, refuses, forgets, or is gone', async () => {
    const own = await mkdtemp(join(home, 'own-'));
    const server = await startRedis({ home: own });
    const client = new Redis(server.url, { lazyConnect: true, retryStrategy: () => null });
    await client.connect();
    const vm = await paged({ uid: 'tried', swapRedisUrl: server.url });
    const finds = async (): Promise<string> => (await vm.exec(CHECK)).stdout.trim();
    const troubles = async (kind: keyof VmMemoryStatus['redis']): Promise<void> =>
      eventually(`it tells of ${kind}`, async () => {
        await vm.exec(CHECK);
        return (lastTold(vm)?.redis[kind] ?? 0) > 0;
      }, 90_000);
    try {
      await fill(vm);
      expect(await finds()).toBe(String(2 * FILES));

      process.kill(server.pid, 'SIGSTOP');
      expect(await finds()).toBe(String(2 * FILES));
      process.kill(server.pid, 'SIGCONT');
      await troubles('timeouts');

      await client.config('SET', 'maxmemory', '4mb');
      await fill(vm);
      expect(await finds()).toBe(String(2 * FILES));
      await troubles('refusals');

      await client.config('SET', 'maxmemory-policy', 'allkeys-lru');
      await fill(vm);
      expect(await finds()).toBe(String(2 * FILES));
      await troubles('misses');

      server.kill();
      await server.ended;
      expect(await finds()).toBe(String(2 * FILES));
    } finally {
      client.disconnect();
      await server.stop();
    }
  });

  it('keeps it when it goes on as another machine, in that one’s folder and under its own name in Redis', async () => {
    const vm = await paged({ uid: 'warm', memoryBudgetBytes: 128 * MIB });
    const { directory: before, socketPath } = vm.config;
    const directory = `${before}-claimed`;
    await rename(before, directory);
    // Nothing else is where it was.
    await mkdir(before);
    await symlink(join(directory, 'socket'), socketPath);
    expect(await vm.send({ type: 'Identify', identity: { uid: 'claimed', hostname: 'claimed', macAddress: '02:00:00:00:00:02', directory } })).toMatchObject({ ok: true });
    expect(await vm.send({ type: 'SetMemoryBudget', budgetBytes: BUDGET_BYTES })).toMatchObject({ ok: true });
    await fill(vm);
    expect((await vm.exec(CHECK)).stdout.trim()).toBe(String(2 * FILES));
    await access(join(directory, PAGER_HEARTBEAT_FILE));
    const client = new Redis(redis.url);
    try {
      expect([(await client.keys('corral:swap:claimed:*')).length, (await client.keys('corral:swap:warm:1:*')).length > 100]).toEqual([0, true]);
    } finally {
      client.disconnect();
    }
    await rm(directory, { recursive: true });
  });
});
