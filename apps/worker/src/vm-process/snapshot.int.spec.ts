import { jest } from '@jest/globals';
import { createHash, randomBytes } from 'node:crypto';
import { readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SnapshotTaken } from '@corral/contracts';
import { openSnapshot, PIECE_BYTES } from '@corral/memory';
import { overlayPath } from '../disk-overlay.ts';
import { eventually, ForkedVm } from './forked-vm.testing.ts';
import { booted, type GuestConfig, linuxMachine } from './guest-config.testing.ts';

jest.setTimeout(240_000);
afterAll(() => ForkedVm.disposeAll());

const OVERLAY_CLUSTERS = 32_768;
let config: GuestConfig;
let source: ForkedVm;
let folder: string;
let taken: SnapshotTaken;
/** What the pack of its memory is called: by its digest. */
let memoryPack: string;

beforeAll(async () => {
  config = await linuxMachine();
  source = await booted(config);
  await source.exec('(n=0; while :; do n=$((n+1)); echo $n > /tmp/count; usleep 50000; done) > /dev/null 2>&1 & echo kept > /tmp/kept');
  await eventually('the counter counts', async () => (await count(source)) > 3);
  const line = await source.socket('/serial');
  line.send(Buffer.from('echo typed-$((6*7))\n'));
  await eventually('the shell on the serial line answered', () => line.text().includes('typed-42'));
  line.terminate();
  folder = await source.emptyFolder('snapshot');
  const reply = await source.send({ type: 'Snapshot', directory: folder });
  if (!reply.ok || !reply.snapshot) throw new Error(JSON.stringify(reply));
  taken = reply.snapshot;
  memoryPack = taken.files.find(({ name, sha256 }) => name === sha256)?.name ?? '';
});

async function count(vm: ForkedVm): Promise<number> {
  return Number((await vm.exec('cat /tmp/count')).stdout);
}

async function restored(changes: Partial<GuestConfig>, directory = folder): Promise<ForkedVm> {
  const vm = await ForkedVm.fork({ ...config, ...changes });
  // What a later snapshot lies on is in the first one's folder.
  await vm.start({ type: 'Snapshot', directory, packs: folder });
  await vm.until('AgentAnswered');
  return vm;
}

/** The snapshot again, with one file changed. */
async function damaged(file: string, change: (bytes: Buffer) => Buffer): Promise<string> {
  const copy = await source.emptyFolder(`damaged-${Math.random().toString(36).slice(2)}`);
  for (const { name } of taken.files) {
    const bytes = await readFile(join(folder, name));
    await writeFile(join(copy, name), name === file ? change(bytes) : bytes);
  }
  return copy;
}

async function refusal(directory: string, changes: Partial<GuestConfig> = {}): Promise<{ reason: string; message: string }> {
  const vm = await ForkedVm.fork({ ...config, ...changes });
  const reply = await vm.send({ type: 'Start', config: vm.config, from: { type: 'Snapshot', directory } });
  await vm.dispose();
  if (reply.ok) throw new Error('it started');
  return reply;
}

it('stops the guest for a moment only, and the guest goes on', async () => {
  expect(taken.pauseMs).toBeLessThan(2000);
  const before = await count(source);
  await eventually('the counter goes on', async () => (await count(source)) > before + 3);
});

it('names every file by size and digest, the manifest among them', async () => {
  expect(taken.files.map(({ name }) => name)).toEqual([memoryPack, 'devices.bin', 'serial.bin', 'screen.png', 'manifest.json']);
  for (const { name, sha256, sizeBytes } of taken.files) {
    const bytes = await readFile(join(folder, name));
    expect([bytes.length, createHash('sha256').update(bytes).digest('hex')]).toEqual([sizeBytes, sha256]);
  }
  expect(taken.manifest).toEqual(taken.files.at(-1));
});

it('continues in other processes where it was: processes, files, and none is the other’s twin', async () => {
  const [first, second] = await Promise.all([
    restored({ uid: 'first', hostname: 'first', macAddress: '02:00:00:00:00:02' }),
    restored({ uid: 'second', hostname: 'second', macAddress: '02:00:00:00:00:03' }),
  ]);
  for (const vm of [first, second]) {
    expect((await vm.exec('cat /tmp/kept')).stdout).toBe('kept\n');
    const before = await count(vm);
    await eventually('the counter goes on', async () => (await count(vm)) > before + 3);
  }
  const identity = 'hostname; cat /sys/class/net/eth0/address /etc/machine-id /proc/sys/kernel/random/uuid; head -c 16 /dev/urandom | hexdump';
  const [one, two] = await Promise.all([first, second].map(async (vm) => (await vm.exec(identity)).stdout.split('\n')));
  expect(one?.slice(0, 2)).toEqual(['first', '02:00:00:00:00:02']);
  expect(two?.slice(0, 2)).toEqual(['second', '02:00:00:00:00:03']);
  for (let line = 0; line < 5; line += 1) expect(one?.[line]).not.toBe(two?.[line]);
  expect(Math.abs(Number((await first.exec('date +%s')).stdout) - Date.now() / 1000)).toBeLessThan(5);
  await Promise.all([first.dispose(), second.dispose()]);
});

it('shows on the serial line of a restored machine what was said there before, and goes on', async () => {
  const vm = await restored({ uid: 'talker' });
  const line = await vm.socket('/serial?replay=65536');
  await eventually('the past came', () => line.text().includes('typed-42'));
  line.send(Buffer.from('echo again-$((6*7))\n'));
  await eventually('the shell answered', () => line.text().includes('again-42'));
  line.terminate();
  await vm.dispose();
});

it('can be taken of a machine that came from one, and of one that is paused', async () => {
  const vm = await restored({ uid: 'third' });
  await vm.exec('echo third > /tmp/kept');
  await vm.send({ type: 'Pause' });
  const directory = await vm.emptyFolder('again');
  expect(await vm.send({ type: 'Snapshot', directory })).toMatchObject({ ok: true });
  const fourth = await restored({ uid: 'fourth' }, directory);
  expect((await fourth.exec('cat /tmp/kept')).stdout).toBe('third\n');
  await Promise.all([vm.dispose(), fourth.dispose()]);
});

it('boots again by itself when a restored guest restarts', async () => {
  const vm = await restored({ uid: 'fifth' });
  const before = vm.told.length;
  void vm.exec('reboot').catch(() => undefined);
  await vm.until('AgentAnswered', before + 1);
  await expect(vm.exec('cat /tmp/kept')).resolves.toMatchObject({ exitCode: 1 });
  await vm.dispose();
});

it('is whole when the guest restarts while its disk is still being written', async () => {
  const disk = join(await source.emptyFolder('disk'), 'disk.img');
  await writeFile(disk, '');
  await truncate(disk, OVERLAY_CLUSTERS * PIECE_BYTES);
  const vm = await ForkedVm.fork({ ...config, uid: 'sixth', artifacts: { ...config.artifacts, disk } });
  // As if the guest had written all of its disk: enough to take longer than a restart.
  const content = randomBytes(OVERLAY_CLUSTERS * PIECE_BYTES);
  const overlay = overlayPath(vm.config.directory);
  await writeFile(overlay, content);
  await writeFile(`${overlay}.index`, Uint32Array.from({ length: OVERLAY_CLUSTERS }, (_, number) => number));
  await vm.start({ type: 'Boot' });
  await vm.until('AgentAnswered');
  const directory = await vm.emptyFolder('snapshot');
  const reply = vm.send({ type: 'Snapshot', directory });
  await eventually('the memory is written, and the disk is being', async () => (await readdir(directory)).length > 1, 120_000);
  const before = vm.told.length;
  void vm.exec('echo b > /proc/sysrq-trigger').catch(() => undefined);
  expect(await reply).toMatchObject({ ok: true });
  await vm.until('GuestRebooted', before);
  const opened = await openSnapshot(directory);
  let clusters = 0;
  for await (const { numbers, bytes } of opened.clusters()) {
    expect(content.subarray(clusters * PIECE_BYTES, (clusters + numbers.length) * PIECE_BYTES).equals(bytes)).toBe(true);
    clusters += numbers.length;
  }
  await opened.close();
  expect(clusters).toBe(OVERLAY_CLUSTERS);
  await vm.dispose();
});

it.each(['memory', 'devices.bin', 'serial.bin'])('refuses one flipped bit in %s', async (part) => {
  const directory = await damaged(part === 'memory' ? memoryPack : part, (bytes) => {
    const middle = bytes.length >> 1;
    bytes[middle] = (bytes[middle] ?? 0) ^ 4;
    return bytes;
  });
  expect(await refusal(directory)).toMatchObject({ reason: 'SnapshotCorrupt' });
});

it('refuses a file that ends early, and one that is missing', async () => {
  expect(await refusal(await damaged(memoryPack, (bytes) => bytes.subarray(0, -1)))).toMatchObject({ reason: 'SnapshotCorrupt' });
  expect(await refusal(join(folder, 'no-such-folder'))).toMatchObject({ reason: 'SnapshotUnreadable' });
});

it('refuses a machine of another size or another image, and names both', async () => {
  const size = await refusal(folder, { memoryMiB: 256 });
  expect(size.reason).toBe('SnapshotIncompatible');
  expect(size.message).toMatch(/128Mi.*256Mi/);
  expect(await refusal(folder, { imageDigest: 'another' })).toMatchObject({ reason: 'SnapshotIncompatible' });
});

it('refuses a snapshot of another v86 build, and names both', async () => {
  const directory = await damaged('manifest.json', (bytes) => Buffer.from(bytes.toString().replace(/"v86Build": "[^"]+"/, '"v86Build": "0.5.461-deadbeef"')));
  const { reason, message } = await refusal(directory);
  expect(reason).toBe('SnapshotIncompatible');
  expect(message).toMatch(/0\.5\.461-deadbeef.*0\.5\.462-[0-9a-f]{8}/);
});
