import { jest } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MIB, type MachineConfig, type VmMemoryStatus } from '@corral/contracts';
import { startRedis, type EmbeddedRedis } from '@corral/embedded';
import { HostMemory } from '@corral/memory';
import { guestImages } from '@corral/testing';
import { Redis } from 'ioredis';
import { eventually, ForkedVm } from './forked-vm.testing.ts';

jest.setTimeout(240_000);

const BUDGET_BYTES = 16 * MIB;
const FILES = 12;
/** Files that do not compress, and files that do. */
const FILL = `for i in $(seq ${FILES}); do dd if=/dev/urandom of=/tmp/r$i bs=64k count=16; yes "line $i of a file" | head -c 1048576 > /tmp/t$i; done 2> /dev/null; md5sum /tmp/r* /tmp/t* > /tmp/sums`;
const CHECK = 'md5sum -c /tmp/sums > /tmp/checked; grep -c OK /tmp/checked';

let home: string;
let redis: EmbeddedRedis;
let config: Omit<MachineConfig, 'directory' | 'socketPath'>;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'corral-keeper-'));
  redis = await startRedis({ home });
  const images = await guestImages();
  const image = await images.image('linux-minimal');
  config = {
    uid: 'paged', namespace: 'default', incarnation: 1, hostname: 'paged', macAddress: '02:00:00:00:00:01', memoryMiB: 128,
    commandLine: image.commandLine,
    artifacts: Object.fromEntries(Object.entries(image.artifacts).map(([role, { file }]) => [role, join(image.directory, file)])),
    firmware: { biosPath: join(images.firmwareDirectory, 'bios.bin'), vgaBiosPath: join(images.firmwareDirectory, 'vgabios.bin') },
    imageDigest: image.digest, guestAgent: image.guestAgent, acpi: image.acpi,
    memoryBudgetBytes: BUDGET_BYTES,
    swapRedisUrl: redis.url,
  };
});
afterAll(async () => {
  await ForkedVm.disposeAll();
  await redis.stop();
  await rm(home, { recursive: true, force: true });
});

const booted = async (changes: Partial<typeof config> = {}): Promise<ForkedVm> => {
  const vm = await ForkedVm.fork({ ...config, ...changes });
  await vm.start({ type: 'Boot' });
  await vm.until('AgentAnswered');
  return vm;
};

const lastTold = (vm: ForkedVm): VmMemoryStatus | undefined => vm.told.findLast((told) => told.type === 'Memory')?.memory;

// Where the host has no userfaultfd, budgets are only told of.
(HostMemory.probe().capability.mode === 'Full' ? describe : describe.skip)('a guest with a budget', () => {
  it('finds everything it wrote, with an eighth of its memory in place, and the rest in Redis', async () => {
    const vm = await booted();
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
