import { jest } from '@jest/globals';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { eventually, ForkedVm } from './forked-vm.testing.ts';
import { booted, linuxMachine } from './guest-config.testing.ts';

jest.setTimeout(300_000);
afterAll(() => ForkedVm.disposeAll());

const MIB = 1024 * 1024;
const USED_MIB = 60;

/** Source: proc_pid_smaps(5). */
async function privateMiB({ pid }: ForkedVm): Promise<number> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
  return (Number(/^Private_Dirty:\s+(\d+) kB$/m.exec(text)?.[1]) * 1024) / MIB;
}

it('what a guest has used and freed is the host’s again, and the guest has lost nothing', async () => {
  const vm = await booted(await linuxMachine({ uid: 'sparing', hostname: 'sparing', memoryMiB: 192 }));
  await eventually('the guest has found its balloon', async () => (await vm.exec('grep -qx 0x0005 /sys/bus/virtio/devices/*/device && ls /sys/bus/virtio/drivers/virtio_balloon/virtio*')).exitCode === 0, 180_000);
  await vm.exec('head -c 3000000 /dev/urandom > /tmp/kept; md5sum /tmp/kept /bin/busybox > /tmp/sums');
  await vm.exec(`dd if=/dev/urandom of=/dev/shm/much bs=1M count=${USED_MIB}`, { timeoutSeconds: 120 });
  const used = await privateMiB(vm);
  await vm.exec('rm /dev/shm/much');
  await eventually('the host has it back', async () => (await privateMiB(vm)) < used - 0.7 * USED_MIB, 60_000);
  expect(await vm.exec('md5sum -c /tmp/sums')).toMatchObject({ exitCode: 0 });
  // Taken again, it is as good as any.
  expect(await vm.exec(`dd if=/dev/zero of=/dev/shm/zeros bs=1M count=${USED_MIB} && md5sum < /dev/shm/zeros && md5sum -c /tmp/sums`, { timeoutSeconds: 120 })).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining(createHash('md5').update(Buffer.alloc(USED_MIB * MIB)).digest('hex')),
  });
  await vm.dispose();
});
