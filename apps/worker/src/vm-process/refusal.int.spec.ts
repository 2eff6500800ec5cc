import { jest } from '@jest/globals';
import { cp, mkdtemp, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeManifest, decodePackIndex, machinePages, packIndexBytesOf } from '@corral/memory';
import { overlayPath } from '../disk-overlay.ts';
import { ForkedVm } from './forked-vm.testing.ts';
import { diskMachine, type GuestConfig } from './guest-config.testing.ts';
import { makeOneSectorDisk, writeClusters } from './one-sector-guest.testing.ts';

jest.setTimeout(120_000);

let root: string;
let config: GuestConfig;
let snapshot: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'corral-refusal-'));
  const disk = join(root, 'disk.img');
  await makeOneSectorDisk(disk, 1024 * 1024);
  await writeFile(join(root, 'other.img'), Buffer.alloc(1_474_560));
  config = await diskMachine(disk, { imageDigest: 'one-sector' });
  const source = await ForkedVm.fork(config);
  await source.start({ type: 'Boot' });
  await writeClusters(source, 1, 2);
  snapshot = join(root, 'snapshot');
  await cp(await taken(source), snapshot, { recursive: true });
  await source.dispose();
});
afterAll(async () => {
  await ForkedVm.disposeAll();
  await rm(root, { recursive: true });
});

async function taken(vm: ForkedVm): Promise<string> {
  const directory = await vm.emptyFolder('taken');
  expect(await vm.send({ type: 'Snapshot', directory })).toMatchObject({ ok: true });
  return directory;
}

/** What a machine that has a disk of its own says to the snapshot; its disk and its folder are looked at before and after. */
async function refusal(changes: Partial<GuestConfig>, directory: string): Promise<{ readonly reason: string; readonly message: string }> {
  const vm = await ForkedVm.fork({ ...config, ...changes });
  const overlay = overlayPath(vm.config.directory);
  await writeFile(overlay, Buffer.alloc(4096, 7));
  await writeFile(`${overlay}.index`, Uint32Array.of(5));
  const before = await readdir(vm.config.directory);
  const reply = await vm.send({ type: 'Start', config: vm.config, from: { type: 'Snapshot', directory } });
  const [left, disk] = [await readdir(vm.config.directory), await readFile(overlay)];
  await vm.dispose();
  if (reply.ok) throw new Error('it started');
  // What a restore had begun to write is nobody's: it is removed when the process has ended.
  expect(left.filter((name) => name !== 'socket' && !name.startsWith('disk.overlay.restoring'))).toEqual(before);
  expect(disk.equals(Buffer.alloc(4096, 7))).toBe(true);
  return reply;
}

/** The snapshot again, with something done to it. */
async function changed(change: (directory: string) => Promise<unknown>): Promise<string> {
  const directory = await mkdtemp(join(root, 'changed-'));
  await cp(snapshot, directory, { recursive: true });
  await change(directory);
  return directory;
}
const PACK_FOOTER_BYTES = 32;
const edited = (from: RegExp, to: string) =>
  changed(async (directory) => {
    const path = join(directory, 'manifest.json');
    await writeFile(path, (await readFile(path, 'utf8')).replace(from, to));
  });

/** The last page of memory becomes one that no page was. */
async function movePage(directory: string): Promise<void> {
  const { memory, machine } = decodeManifest(await readFile(join(directory, 'manifest.json')));
  const path = join(directory, memory.layers[0]?.sha256 ?? '');
  const pack = await readFile(path);
  const index = decodePackIndex(pack.subarray(-packIndexBytesOf(pack.subarray(-PACK_FOOTER_BYTES), pack.length)), pack.length);
  const free = Array.from({ length: machinePages(machine.memoryMiB) }, (_, page) => page).find((page) => !index.numbers.includes(page));
  pack.writeUInt32LE(free ?? 0, pack.length - PACK_FOOTER_BYTES - 4);
  await writeFile(path, pack);
}

describe('A machine refuses a snapshot, and is what it was,', () => {
  it.each<[string, () => Partial<GuestConfig>, RegExp]>([
    ['of another size', () => ({ memoryMiB: 32 }), /16Mi.*32Mi/],
    ['of another image', () => ({ imageDigest: 'another' }), /one-sector.*another/],
    ['where ACPI differs', () => ({ acpi: true }), /acpi off.*on/],
    ['where it has a CD-ROM more', () => ({ artifacts: { ...config.artifacts, cdrom: join(root, 'other.img') } }), /cdrom off.*on/],
    ['where it has a floppy more', () => ({ artifacts: { ...config.artifacts, floppy: join(root, 'other.img') } }), /floppy off.*on/],
    ['where it has a disk less', () => ({ artifacts: {} }), /disk on.*off/],
  ])('%s', async (_what, changes, words) => {
    const { reason, message } = await refusal(changes(), snapshot);
    expect([reason, words.test(message) || message]).toEqual(['SnapshotIncompatible', true]);
  });

  it('of another v86 build', async () => {
    const { reason, message } = await refusal({}, await edited(/"v86Build": "[^"]+"/, '"v86Build": "0.5.461-deadbeef"'));
    expect([reason, /0\.5\.461-deadbeef.*0\.5\.462-[0-9a-f]{8}/.test(message) || message]).toEqual(['SnapshotIncompatible', true]);
  });

  it('of another format', async () => {
    expect(await refusal({}, await edited(/"formatVersion": 2/, '"formatVersion": 3'))).toMatchObject({ reason: 'SnapshotIncompatible', message: expect.stringContaining('version 3') as string });
  });

  it.each<[string, (directory: string, pack: string) => Promise<unknown>, string]>([
    ['whose pack ends early', (directory, pack) => truncate(join(directory, pack), 1000), 'SnapshotCorrupt'],
    ['whose pack is gone', (directory, pack) => rm(join(directory, pack)), 'SnapshotUnreadable'],
    ['whose pack is another', (directory, pack) => cp(join(directory, 'devices.bin'), join(directory, pack)), 'SnapshotCorrupt'],
    // Each of its frames is what was written.
    ['whose pack says that one of its pages is another', async (directory) => movePage(directory), 'SnapshotCorrupt'],
    ['whose devices are gone', (directory) => rename(join(directory, 'devices.bin'), join(directory, 'elsewhere')), 'SnapshotUnreadable'],
  ])('%s', async (_what, harm, reason) => {
    const pack = (await readdir(snapshot)).find((name) => /^[0-9a-f]{64}$/.test(name)) ?? '';
    expect(await refusal({}, await changed((directory) => harm(directory, pack)))).toMatchObject({ reason });
  });
});
