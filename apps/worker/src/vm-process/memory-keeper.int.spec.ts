import { jest } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MIB, type VmMemoryStatus } from '@corral/contracts';
import { startRedis, type EmbeddedRedis } from '@corral/embedded';
import { HostMemory } from '@corral/memory';
import { Redis } from 'ioredis';
import { eventually, ForkedVm } from './forked-vm.testing.ts';
import { booted, type GuestConfig, linuxMachine } from './guest-config.testing.ts';

jest.setTimeout(240_000);

const BUDGET_BYTES = 16 * MIB;
const FILES = 12;
/** Files that do not compress, and files that do. */
const FILL = `for i in $(seq ${FILES}); do dd if=/dev/urandom of=/tmp/r$i bs=64k count=16; yes "line $i of a file" | head -c 1048576 > /tmp/t$i; done 2> /dev/null; md5sum /tmp/r* /tmp/t* > /tmp/sums`;
const CHECK = 'md5sum -c /tmp/sums > /tmp/checked; grep -c OK /tmp/checked';

let home: string;
let redis: EmbeddedRedis;
let config: GuestConfig;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'corral-keeper-'));
  redis = await startRedis({ home });
  config = await linuxMachine({ uid: 'paged', hostname: 'paged', memoryBudgetBytes: BUDGET_BYTES, swapRedisUrl: redis.url });
});
afterAll(async () => {
  await ForkedVm.disposeAll();
  await redis.stop();
  await rm(home, { recursive: true, force: true });
});

const paged = (changes: Partial<GuestConfig> = {}): Promise<ForkedVm> => booted({ ...config, ...changes });

const lastTold = (vm: ForkedVm): VmMemoryStatus | undefined => vm.told.findLast((told) => told.type === 'Memory')?.memory;

// Where the host has no userfaultfd, budgets are only told of.
(HostMemory.probe().capability.mode === 'Full' ? describe : describe.skip)('a guest with a budget', () => {
  it('finds everything it wrote, with an eighth of its memory in place, and the rest in Redis', async () => {
    const vm = await paged();
    await vm.exec(FILL);
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
});
