import { jest } from '@jest/globals';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeManifest } from '@corral/memory';
import { pino } from 'pino';
import { BaseImages } from '../bases/base-images.ts';
import { inSealedMemory } from '../bases/base-memory.ts';
import { baseSourceOf } from '../bases/base-source.ts';
import { eventually, ForkedVm } from './forked-vm.testing.ts';
import { booted, type GuestConfig, linuxMachine } from './guest-config.testing.ts';

jest.setTimeout(300_000);
afterAll(() => ForkedVm.disposeAll());

const MIB = 1024 * 1024;
const USED_MIB = 40;
const IN_BASE_MIB = 20;

let config: GuestConfig;
let source: ForkedVm;

/** Source: proc_pid_smaps(5). */
async function privateMiB({ pid }: ForkedVm): Promise<number> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
  return (Number(/^Private_Dirty:\s+(\d+) kB$/m.exec(text)?.[1]) * 1024) / MIB;
}

/** Uses much memory and frees it; expects the host to have it back, and the guest to have lost nothing, then or later. */
async function givesBack(vm: ForkedVm): Promise<void> {
  await vm.exec(`dd if=/dev/urandom of=/dev/shm/much bs=1M count=${USED_MIB}`, { timeoutSeconds: 120 });
  const used = await privateMiB(vm);
  await vm.exec('rm /dev/shm/much');
  await eventually('the host has it back', async () => (await privateMiB(vm)) < used - 0.7 * USED_MIB, 60_000);
  expect(await vm.exec('md5sum -c /tmp/sums')).toMatchObject({ exitCode: 0 });
  // Taken again, it is as good as any.
  expect(await vm.exec(`dd if=/dev/zero of=/dev/shm/zeros bs=1M count=${USED_MIB} && md5sum < /dev/shm/zeros && rm /dev/shm/zeros && md5sum -c /tmp/sums`, { timeoutSeconds: 120 })).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining(createHash('md5').update(Buffer.alloc(USED_MIB * MIB)).digest('hex')),
  });
}

beforeAll(async () => {
  config = await linuxMachine({ uid: 'sparing', hostname: 'sparing', memoryMiB: 192 });
  source = await booted(config);
  await eventually('the guest has found its balloon', async () => (await source.exec('grep -qx 0x0005 /sys/bus/virtio/devices/*/device && ls /sys/bus/virtio/drivers/virtio_balloon/virtio*')).exitCode === 0, 180_000);
  await source.exec('dd if=/dev/urandom of=/tmp/kept bs=100k count=30; md5sum /tmp/kept /bin/busybox > /tmp/sums');
});

it('what a guest has used and freed is the host’s again, and the guest has lost nothing', async () => {
  await givesBack(source);
});

it('over a base too, where what is below pages that were given back is never seen again, also by what is made of the machine', async () => {
  // Pages that every machine from it has, until its guest frees them.
  await source.exec(`dd if=/dev/urandom of=/dev/shm/shared bs=1M count=${IN_BASE_MIB}; md5sum /dev/shm/shared >> /tmp/sums`, { timeoutSeconds: 120 });
  const folder = await source.emptyFolder('snapshot');
  expect(await source.send({ type: 'Snapshot', directory: folder })).toMatchObject({ ok: true });
  const manifest = decodeManifest(await readFile(join(folder, 'manifest.json')));
  const baseSource = baseSourceOf({ manifest, packPath: ({ sha256 }) => join(folder, sha256) });
  if (!baseSource) throw new Error('the snapshot has no base');
  const bases = new BaseImages({ directory: await source.emptyFolder('bases'), maxBytes: 0, log: pino({ level: 'silent' }), now: () => performance.now(), kinds: [inSealedMemory] });
  const held = await bases.hold(baseSource);
  if (!held) throw new Error('there is no base');
  const vm = await ForkedVm.fork({ ...config, uid: 'over' });
  await vm.start({ type: 'Snapshot', directory: folder, packs: folder, base: held.base });
  await vm.until('AgentAnswered');
  expect(await vm.exec('md5sum -c /tmp/sums')).toMatchObject({ exitCode: 0 });
  await vm.exec('grep -v shared /tmp/sums > /tmp/left; mv /tmp/left /tmp/sums; rm /dev/shm/shared');
  await givesBack(vm);
  // Another machine begins with it, page by page.
  const frozen = await vm.emptyFolder('frozen');
  expect(await vm.send({ type: 'Freeze', directory: frozen })).toMatchObject({ ok: true });
  const fork = await ForkedVm.fork({ ...config, uid: 'fork' });
  await fork.start({ type: 'Frozen', directory: frozen, base: held.base });
  await fork.until('AgentAnswered');
  expect(await fork.exec('md5sum -c /tmp/sums')).toMatchObject({ exitCode: 0 });
  await fork.dispose();
  // A guest that restarts begins anew with memory that lies on no base, and so does what is made of it.
  const before = vm.told.length;
  void vm.exec('reboot').catch(() => undefined);
  await vm.until('GuestRebooted', before);
  await vm.until('AgentAnswered', before);
  await vm.exec('dd if=/dev/urandom of=/tmp/anew bs=100k count=30; md5sum /tmp/anew /bin/busybox > /tmp/sums');
  const again = await vm.emptyFolder('again');
  expect(await vm.send({ type: 'Snapshot', directory: again })).toMatchObject({ ok: true });
  const after = await ForkedVm.fork({ ...config, uid: 'after' });
  await after.start({ type: 'Snapshot', directory: again, packs: again });
  await after.until('AgentAnswered');
  expect(await after.exec('test ! -e /tmp/kept && md5sum -c /tmp/sums')).toMatchObject({ exitCode: 0 });
  await Promise.all([vm, after].map((each) => each.dispose()));
  bases.close();
});
