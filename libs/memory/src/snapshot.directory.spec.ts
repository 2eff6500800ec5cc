import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { incompatibility, type SnapshotMachine } from './manifest.ts';
import { PIECE_BYTES } from './pack.ts';
import { expandSnapshot, openSnapshot, VERIFIED_FILE, writeSnapshot } from './snapshot.directory.ts';

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

function write(add = 0) {
  return writeSnapshot(directory, {
    machine,
    createdAt: new Date(0),
    pages: [1, 2, 700].map((number) => ({ number, bytes: new Uint8Array(PIECE_BYTES).fill(number + add) })),
    devices: Uint8Array.of(1, 2, 3),
    clusters: [{ number: 9, bytes: new Uint8Array(PIECE_BYTES).fill(9) }],
    serial: new TextEncoder().encode('login: '),
  });
}

async function flipBit(name: string): Promise<void> {
  const bytes = await readFile(join(directory, name));
  const middle = bytes.length >> 1;
  bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  await writeFile(join(directory, name), bytes);
}

/** Everything a restore would read, verified as it would be. */
async function content() {
  const snapshot = await openSnapshot(directory);
  try {
    const pages = new Map<number, Uint8Array>();
    await snapshot.readMemory((number, count) => {
      const place = new Uint8Array(count * PIECE_BYTES);
      for (let page = 0; page < count; page += 1) pages.set(number + page, place.subarray(page * PIECE_BYTES, (page + 1) * PIECE_BYTES));
      return place;
    });
    const clusters: number[] = [];
    for await (const { numbers } of snapshot.clusters()) clusters.push(...numbers);
    const devices = await snapshot.devices();
    const serial = new TextDecoder().decode(await snapshot.serial());
    await snapshot.verified;
    return { manifest: snapshot.manifest, pages, clusters, devices: Uint8Array.from(devices), serial };
  } finally {
    await snapshot.close();
  }
}

it('reads what was written', async () => {
  const { files, manifest } = await write();
  expect(files.map(({ name }) => name)).toEqual(['memory.pack', 'devices.bin', 'disk.pack', 'serial.bin', 'manifest.json']);
  expect(files.at(-1)).toEqual(manifest);
  const read = await content();
  expect(read.manifest.machine).toEqual(machine);
  expect(read.devices).toEqual(Uint8Array.of(1, 2, 3));
  expect([...read.pages].map(([number, bytes]) => [number, bytes[0]])).toEqual([[1, 1], [2, 2], [700, 700 & 0xff]]);
  expect(read.clusters).toEqual([9]);
  expect(read.serial).toBe('login: ');
});

it.each(['memory.pack', 'devices.bin', 'disk.pack', 'serial.bin'])('tells of one flipped bit in %s', async (name) => {
  await write();
  await flipBit(name);
  await expect(content()).rejects.toMatchObject({ reason: 'SnapshotCorrupt' });
});

it.each(['memory.pack', 'devices.bin', 'disk.pack', 'serial.bin'])('tells of a missing end of %s', async (name) => {
  await write();
  await truncate(join(directory, name), 1);
  await expect(openSnapshot(directory)).rejects.toMatchObject({ reason: 'SnapshotCorrupt' });
});

it('has neither a serial file nor a past where nothing was said', async () => {
  const { files } = await writeSnapshot(directory, { machine, createdAt: new Date(0), pages: [], devices: Uint8Array.of(1), serial: new Uint8Array(0) });
  expect(files.map(({ name }) => name)).toEqual(['memory.pack', 'devices.bin', 'manifest.json']);
  expect((await content()).serial).toBe('');
});

it('refuses pages beyond the machine’s memory', async () => {
  const page = (machine.memoryMiB * 1024 * 1024) / PIECE_BYTES;
  await writeSnapshot(directory, { machine, createdAt: new Date(0), pages: [{ number: page, bytes: new Uint8Array(PIECE_BYTES) }], devices: Uint8Array.of(1) });
  await expect(content()).rejects.toMatchObject({ reason: 'SnapshotCorrupt', message: 'memory.pack holds page 32768; 128Mi have 32768' });
  await expect(expandSnapshot(directory)).rejects.toMatchObject({ reason: 'SnapshotCorrupt' });
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

it('computes digests again only where the marker does not name this manifest', async () => {
  const { manifest } = await write();
  // The lowest bit of the last page number: only the file's digest tells.
  const pack = await readFile(join(directory, 'memory.pack'));
  pack[pack.length - 36] = (pack[pack.length - 36] ?? 0) ^ 1;
  await writeFile(join(directory, 'memory.pack'), pack);
  await writeFile(join(directory, VERIFIED_FILE), 'another');
  await expect(content()).rejects.toMatchObject({ reason: 'SnapshotCorrupt' });
  await writeFile(join(directory, VERIFIED_FILE), `${manifest.sha256}\n`);
  await expect(content()).resolves.toBeDefined();
});

it('gives the same from its expanded form, without reading the packs again', async () => {
  await write();
  await expandSnapshot(directory);
  await flipBit('devices.bin');
  const { pages, devices } = await content();
  expect([...pages.keys()]).toEqual([1, 2, 700]);
  expect(devices).toEqual(Uint8Array.of(1, 2, 3));
});

it('expands nothing that is damaged', async () => {
  await write();
  await flipBit('memory.pack');
  await expect(expandSnapshot(directory)).rejects.toMatchObject({ reason: 'SnapshotCorrupt' });
  await expect(content()).rejects.toMatchObject({ reason: 'SnapshotCorrupt' });
});

it('does not take the expanded form of another snapshot for this one’s', async () => {
  await write();
  await expandSnapshot(directory);
  for (const name of ['memory.pack', 'devices.bin', 'disk.pack', 'serial.bin', 'manifest.json']) await rm(join(directory, name));
  await write(8);
  const { pages } = await content();
  expect(pages.get(1)?.[0]).toBe(9);
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
