import { createHash } from 'node:crypto';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { adopted, decodeManifest } from './manifest.ts';
import { encodePack, PIECE_BYTES } from './pack.ts';
import { openSnapshot } from './snapshot.read.ts';
import { writeSnapshot } from './snapshot.write.ts';

const machine = { v86Build: 'b', memoryMiB: 16, imageDigest: 'i', devices: { acpi: false, disk: true, cdrom: false, floppy: false } };
const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

let directory: string;
let manifestBytes: Buffer;
/** A folder as the version before left it. */
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'corral-v1-'));
  const file = async (name: string, bytes: Uint8Array, pieces?: number) => {
    await writeFile(join(directory, name), bytes);
    return { name, sha256: sha256Of(bytes), sizeBytes: bytes.length, ...(pieces === undefined ? {} : { pieces }) };
  };
  const pack = async (name: string, numbers: readonly number[]) => {
    const chunks = [];
    for await (const chunk of encodePack(numbers.map((number) => ({ number, bytes: new Uint8Array(PIECE_BYTES).fill(number) })))) chunks.push(chunk);
    return file(name, Buffer.concat(chunks), numbers.length);
  };
  const files = {
    memory: await pack('memory.pack', [1, 5]),
    devices: await file('devices.bin', zstdCompressSync(Uint8Array.of(1, 2))),
    disk: await pack('disk.pack', [7]),
    serial: await file('serial.bin', Buffer.from('login: ')),
  };
  manifestBytes = Buffer.from(JSON.stringify({ formatVersion: 1, createdAt: '2026-01-01T00:00:00.000Z', machine, base: null, parent: null, files }));
  await writeFile(join(directory, 'manifest.json'), manifestBytes);
});
afterEach(() => rm(directory, { recursive: true }));

async function content(packs?: string) {
  const snapshot = await openSnapshot(directory, packs === undefined ? {} : { packs });
  const pages = [];
  for await (const { numbers, layer } of snapshot.pages()) pages.push(...[...numbers].map((number) => [number, layer]));
  const clusters = [];
  for await (const { numbers } of snapshot.clusters()) clusters.push(...numbers);
  const found = { pages, clusters, devices: [...(await snapshot.devices())], serial: Buffer.from(await snapshot.serial()).toString() };
  await snapshot.verified;
  await snapshot.close();
  return found;
}
const EXPECTED = { pages: [[1, 0], [5, 0]], clusters: [7], devices: [1, 2], serial: 'login: ' };

it('a snapshot of version 1 reads as one layer of memory and one of the disk', async () => {
  expect(await content()).toEqual(EXPECTED);
});

it('also where its packs lie among the node’s, by digest', async () => {
  const packs = await mkdtemp(join(tmpdir(), 'corral-packs-'));
  for (const { sha256, key } of [...decodeManifest(manifestBytes).memory.layers, ...(decodeManifest(manifestBytes).disk?.layers ?? [])]) await rename(join(directory, key), join(packs, sha256));
  expect(await content(packs)).toEqual(EXPECTED);
  await rm(packs, { recursive: true });
});

it('its packs are looked for beside its manifest in the object store, and belong to whoever builds on them', () => {
  const { memory, disk } = decodeManifest(manifestBytes, 'snapshots/corral-system/uid');
  expect([memory.layers[0]?.key, disk?.layers[0]?.key]).toEqual(['snapshots/corral-system/uid/memory.pack', 'snapshots/corral-system/uid/disk.pack']);
  const [layer] = memory.layers;
  expect(layer && adopted(layer, 'default').key).toBe(`packs/default/${layer?.sha256}`);
});

it('a snapshot on top of one names all its packs as its namespace’s own', async () => {
  const { memory, disk } = decodeManifest(manifestBytes);
  const next = await mkdtemp(join(tmpdir(), 'corral-next-'));
  const { content: manifest } = await writeSnapshot(next, {
    machine: { ...machine, devices: { ...machine.devices, balloon: false } }, createdAt: new Date(0), parent: sha256Of(manifestBytes), namespace: 'default', devices: Uint8Array.of(1),
    memory: { below: memory.layers, pieces: [{ number: 2, bytes: new Uint8Array(PIECE_BYTES) }] },
    disk: { below: disk?.layers ?? [], pieces: [] },
  });
  expect(manifest.memory.layers.map(({ key, sha256 }) => key === `packs/default/${sha256}`)).toEqual([true, true]);
  expect(manifest.disk?.layers.map(({ key, sha256 }) => key === `packs/default/${sha256}`)).toEqual([true]);
  await rm(next, { recursive: true });
});
