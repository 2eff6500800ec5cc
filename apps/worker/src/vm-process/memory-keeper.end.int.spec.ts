import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MIB, PAGER_HEARTBEAT_FILE } from '@corral/contracts';
import { GuestRam, HostMemory, MemoryBlock } from '@corral/memory';
import { until } from '@corral/testing';
import { MemoryKeeper } from './memory-keeper.ts';

const MEMORY_MIB = 4;

(HostMemory.probe().capability.mode === 'Full' ? it : it.skip)('a machine that ends while its pager is being started leaves no pager behind', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'corral-keeper-'));
  const heartbeat = join(directory, PAGER_HEARTBEAT_FILE);
  const probed = HostMemory.probe();
  if (!probed.memory) throw new Error('there is nothing to page');
  const block = MemoryBlock.anonymous(probed.memory.libc, MEMORY_MIB * MIB);
  const bytes = new Uint8Array(block.buffer).fill(1);
  const ram = new GuestRam(() => [bytes], probed);
  ram.track();
  let instructions = 0;
  const keeper = new MemoryKeeper({
    config: { uid: 'ending', incarnation: 1, memoryMiB: MEMORY_MIB, directory },
    budgetBytes: MIB, ram, host: probed.memory, instructions: () => (instructions += 1), tell: () => undefined,
  });
  await until(() => existsSync(heartbeat), { timeoutMs: 10_000, everyMs: 1, what: 'the start of the pager' });
  await keeper.dispose();
  expect(existsSync(heartbeat)).toBe(false);
  ram.dispose();
  block.free();
  await rm(directory, { recursive: true });
});
