import { mkdir, mkdtemp, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { incompatibility, type SnapshotMachine } from './machine.ts';
import { machinePages } from './machine-pages.ts';
import { layersOf } from './manifest.ts';
import { type Piece, PIECE_BYTES } from './pack.ts';
import { openSnapshot, type OpenOptions, VERIFIED_FILE } from './snapshot.read.ts';
import { writeSnapshot, type SnapshotContent, type WrittenSnapshot } from './snapshot.write.ts';

const machine: SnapshotMachine = {
  v86Build: '0.5.462-00000001',
  memoryMiB: 128,
  imageDigest: 'abc',
  devices: { acpi: false, disk: true, cdrom: false, floppy: false, balloon: false },
};
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'corral-snapshot-'));
});
afterEach(() => rm(directory, { recursive: true }));

const filled = (number: number, byte = number): Piece => ({ number, bytes: new Uint8Array(PIECE_BYTES).fill(byte) });
const content0: SnapshotContent = {
  machine,
  createdAt: new Date(0),
  parent: null,
  namespace: 'default',
  memory: { below: [], pieces: [1, 2, 700].map((number) => filled(number)) },
  devices: Uint8Array.of(1, 2, 3),
  disk: { below: [], pieces: [filled(9)] },
  serial: new TextEncoder().encode('login: '),
};
let written: WrittenSnapshot;
/** The file a test calls so: packs are called by their digest. */
const nameOf = (what: string): string => {
  const { memory, disk } = written.content;
  return { memory: memory.layers[0]?.sha256, disk: disk?.layers[0]?.sha256 }[what] ?? what;
};

async function write(changes: Partial<SnapshotContent> = {}): Promise<WrittenSnapshot> {
  written = await writeSnapshot(directory, { ...content0, ...changes });
  return written;
}

async function flipBit(what: string): Promise<void> {
  const name = nameOf(what);
  const bytes = await readFile(join(directory, name));
  const middle = bytes.length >> 1;
  bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  await writeFile(join(directory, name), bytes);
}

/** Everything a restore would read, verified as it would be. */
async function content(options: OpenOptions = {}) {
  const snapshot = await openSnapshot(directory, options);
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
  expect(files.map(({ name }) => name)).toEqual([nameOf('memory'), nameOf('disk'), 'devices.bin', 'serial.bin', 'manifest.json']);
  expect(files.at(-1)).toEqual(manifest);
  const read = await content();
  expect(read.manifest).toEqual(written.content);
  expect(read.manifest.memory.layers).toEqual([{ sha256: nameOf('memory'), sizeBytes: files[0]?.sizeBytes, pieces: 3, indexSha256: expect.stringMatching(/^[0-9a-f]{64}$/), key: `packs/default/${nameOf('memory')}` }]);
  expect(read.devices).toEqual(Uint8Array.of(1, 2, 3));
  expect([...read.pages].map(([number, bytes]) => [number, bytes[0]])).toEqual([[1, 1], [2, 2], [700, 700 & 0xff]]);
  expect(read.clusters).toEqual([9]);
  expect(read.serial).toBe('login: ');
});

it('writes the same packs for the same content, whatever else differs', async () => {
  const first = await write();
  await rm(directory, { recursive: true });
  await mkdir(directory);
  const second = await write({ devices: Uint8Array.of(4), parent: first.manifest.sha256, namespace: 'other' });
  expect(layersOf(second.content).map(({ sha256 }) => sha256)).toEqual(layersOf(first.content).map(({ sha256 }) => sha256));
});

const PARTS = ['memory', 'devices.bin', 'disk', 'serial.bin'];
it.each(PARTS)('tells of one flipped bit in %s', async (part) => {
  await write();
  await flipBit(part);
  await expect(content()).rejects.toMatchObject({ reason: 'SnapshotCorrupt' });
});

it.each(PARTS)('tells of a missing end of %s', async (part) => {
  await write();
  await truncate(join(directory, nameOf(part)), 1);
  await expect(openSnapshot(directory)).rejects.toMatchObject({ reason: 'SnapshotCorrupt' });
});

it.each(PARTS)('tells of a missing file: %s', async (part) => {
  await write();
  await rm(join(directory, nameOf(part)));
  await expect(openSnapshot(directory)).rejects.toMatchObject({ reason: 'SnapshotUnreadable' });
});

it('has neither a serial file nor a past where nothing was said, and no pack where nothing changed', async () => {
  const { disk: _disk, ...diskless } = content0;
  written = await writeSnapshot(directory, { ...diskless, memory: { below: [], pieces: [] }, serial: new Uint8Array(0) });
  expect(written.files.map(({ name }) => name)).toEqual(['devices.bin', 'manifest.json']);
  expect((await readdir(directory)).sort()).toEqual(['devices.bin', 'manifest.json']);
  const { serial, pages } = await content();
  expect([serial, pages.size]).toEqual(['', 0]);
});

it('holds screen memory behind RAM, and refuses pages beyond both', async () => {
  const end = machinePages(machine.memoryMiB);
  await write({ memory: { below: [], pieces: [filled(end - 1)] } });
  expect([...(await content()).pages.keys()]).toEqual([end - 1]);
  await rm(directory, { recursive: true });
  await mkdir(directory);
  await write({ memory: { below: [], pieces: [filled(end)] } });
  await expect(content()).rejects.toMatchObject({ reason: 'SnapshotCorrupt', message: expect.stringContaining(`holds page ${end}`) });
});

describe('a snapshot on layers', () => {
  let packs: string;
  let base: WrittenSnapshot;
  beforeEach(async () => {
    base = await write();
    packs = await mkdtemp(join(tmpdir(), 'corral-packs-'));
    for (const { sha256 } of layersOf(base.content)) await rename(join(directory, sha256), join(packs, sha256));
    await rm(directory, { recursive: true });
    await mkdir(directory);
  });
  afterEach(() => rm(packs, { recursive: true }));
  const onBase = (): Promise<WrittenSnapshot> =>
    write({
      parent: base.manifest.sha256,
      memory: { below: base.content.memory.layers, pieces: [filled(2, 0), filled(3, 33)] },
      disk: { below: base.content.disk?.layers ?? [], pieces: [] },
    });

  it('writes only what changed, and reads as if it had all been written', async () => {
    const { files, content: manifest } = await onBase();
    expect(files.map(({ name }) => name)).toEqual([manifest.memory.layers[1]?.sha256, 'devices.bin', 'serial.bin', 'manifest.json']);
    expect(manifest.parent).toBe(base.manifest.sha256);
    expect(manifest.disk).toEqual(base.content.disk);
    const read = await content({ packs });
    expect([...read.pages].map(([number, bytes]) => [number, bytes[0]]).sort()).toEqual([[1, 1], [2, 0], [3, 33], [700, 700 & 0xff]].sort());
    expect(read.clusters).toEqual([9]);
  });

  it('needs no pack of what comes from elsewhere', async () => {
    await onBase();
    await rm(join(packs, base.content.memory.layers[0]?.sha256 ?? ''));
    await expect(openSnapshot(directory, { packs })).rejects.toMatchObject({ reason: 'SnapshotUnreadable' });
    const { pages } = await content({ packs, base: base.content.memory.layers[0]?.sha256 ?? '' });
    expect([...pages.keys()]).toEqual([2, 3]);
    // The pack of another snapshot is nobody's base.
    await expect(openSnapshot(directory, { packs, base: '0'.repeat(64) })).rejects.toMatchObject({ reason: 'SnapshotUnreadable' });
  });

  it('tells of one flipped bit in what it inherited', async () => {
    await onBase();
    await flipBit(join('..', relative(join(directory, '..'), packs), base.content.memory.layers[0]?.sha256 ?? ''));
    await expect(content({ packs })).rejects.toMatchObject({ reason: 'SnapshotCorrupt' });
  });
});

it('tells of a manifest that is none, and of one of another version', async () => {
  await writeFile(join(directory, 'manifest.json'), '{"formatVersion": 1}');
  await expect(openSnapshot(directory)).rejects.toMatchObject({ reason: 'SnapshotCorrupt' });
  await writeFile(join(directory, 'manifest.json'), '{"formatVersion": 3}');
  await expect(openSnapshot(directory)).rejects.toMatchObject({ reason: 'SnapshotIncompatible' });
});

it('computes digests again only where the marker does not name this manifest', async () => {
  const { manifest } = await write();
  // The lowest bit of the last page number: only the file's digest tells.
  const path = join(directory, nameOf('memory'));
  const pack = await readFile(path);
  pack[pack.length - 36] = (pack[pack.length - 36] ?? 0) ^ 1;
  await writeFile(path, pack);
  await writeFile(join(directory, VERIFIED_FILE), 'another');
  await expect(content()).rejects.toMatchObject({ reason: 'SnapshotCorrupt' });
  await writeFile(join(directory, VERIFIED_FILE), `${manifest.sha256}\n`);
  await expect(content()).resolves.toBeDefined();
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
