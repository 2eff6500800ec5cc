import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { incompatibility, type SnapshotMachine } from './manifest.ts';
import { PIECE_BYTES } from './pack.ts';
import { openSnapshot, VERIFIED_FILE, writeSnapshot } from './snapshot.directory.ts';

const machine: SnapshotMachine = {
  v86Build: '0.5.462-00000001',
  memoryMiB: 128,
  imageDigest: 'abc',
  devices: { acpi: false, disk: true, cdrom: false, floppy: false },
};
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'corral-snapshot-'));
});
afterEach(() => rm(directory, { recursive: true }));

function write() {
  return writeSnapshot(directory, {
    machine,
    createdAt: new Date(0),
    pages: [1, 2, 700].map((number) => ({ number, bytes: new Uint8Array(PIECE_BYTES).fill(number) })),
    devices: Uint8Array.of(1, 2, 3),
    clusters: [{ number: 9, bytes: new Uint8Array(PIECE_BYTES).fill(9) }],
  });
}

async function flipBit(name: string): Promise<void> {
  const bytes = await readFile(join(directory, name));
  const middle = bytes.length >> 1;
  bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  await writeFile(join(directory, name), bytes);
}

it('reads what was written', async () => {
  const { files, manifest } = await write();
  expect(files.map(({ name }) => name)).toEqual(['memory.pack', 'devices.bin', 'disk.pack', 'manifest.json']);
  expect(files.at(-1)).toEqual(manifest);
  const snapshot = await openSnapshot(directory);
  await snapshot.verified;
  expect(snapshot.manifest.machine).toEqual(machine);
  expect(await snapshot.devices()).toEqual(Uint8Array.of(1, 2, 3));
  for await (const { numbers } of snapshot.pages()) expect([...numbers]).toEqual([1, 2, 700]);
  for await (const { numbers } of snapshot.clusters()) expect([...numbers]).toEqual([9]);
});

it.each(['memory.pack', 'devices.bin', 'disk.pack'])('tells of one flipped bit in %s', async (name) => {
  await write();
  await flipBit(name);
  await expect((await openSnapshot(directory)).verified).rejects.toMatchObject({ reason: 'SnapshotCorrupt' });
});

it.each(['memory.pack', 'devices.bin', 'disk.pack'])('tells of a missing end of %s', async (name) => {
  await write();
  await truncate(join(directory, name), 1);
  await expect(openSnapshot(directory)).rejects.toMatchObject({ reason: 'SnapshotCorrupt' });
});

it('tells of a missing file', async () => {
  await write();
  await rm(join(directory, 'memory.pack'));
  await expect(openSnapshot(directory)).rejects.toMatchObject({ reason: 'SnapshotUnreadable' });
});

it('tells of a manifest that is none, and of one of another version', async () => {
  await writeFile(join(directory, 'manifest.json'), '{"formatVersion": 1}');
  await expect(openSnapshot(directory)).rejects.toMatchObject({ reason: 'SnapshotCorrupt' });
  await writeFile(join(directory, 'manifest.json'), '{"formatVersion": 2}');
  await expect(openSnapshot(directory)).rejects.toMatchObject({ reason: 'SnapshotIncompatible' });
});

it('looks at digests again only when the marker does not name this manifest', async () => {
  await write();
  await flipBit('memory.pack');
  await writeFile(join(directory, VERIFIED_FILE), 'another manifest');
  await expect((await openSnapshot(directory)).verified).rejects.toMatchObject({ reason: 'SnapshotCorrupt' });
  const digest = createHash('sha256').update(await readFile(join(directory, 'manifest.json'))).digest('hex');
  await writeFile(join(directory, VERIFIED_FILE), digest);
  await expect((await openSnapshot(directory)).verified).resolves.toBeUndefined();
});

it('leaves what is there already alone', async () => {
  await write();
  await expect(write()).rejects.toMatchObject({ code: 'EEXIST' });
});

it('names both sides of a difference', () => {
  expect(incompatibility(machine, machine)).toBeUndefined();
  expect(incompatibility(machine, { ...machine, v86Build: '0.5.463-00000002' })).toMatch(/0\.5\.462-00000001.*0\.5\.463-00000002/);
  expect(incompatibility(machine, { ...machine, memoryMiB: 256 })).toMatch(/128Mi.*256Mi/);
  expect(incompatibility(machine, { ...machine, imageDigest: 'def' })).toMatch(/abc.*def/);
  expect(incompatibility(machine, { ...machine, devices: { ...machine.devices, acpi: true } })).toMatch(/acpi off.*on/);
});
