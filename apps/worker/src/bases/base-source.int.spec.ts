import { jest } from '@jest/globals';
import { hash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type EmbeddedObjectStore, startObjectStore } from '@corral/embedded';
import { machinePages, PIECE_BYTES, type SnapshotManifest, writeSnapshot } from '@corral/memory';
import { ObjectStore } from '@corral/object-store';
import { S3FaultProxy, until } from '@corral/testing';
import { pino } from 'pino';
import { PackCache } from '../machine/pack-cache.ts';
import { BaseImages, type HeldBase } from './base-images.ts';
import { inSealedMemory } from './base-memory.ts';
import { remoteBaseSourceOf } from './base-source.ts';
import { WorkingSet } from './working-set.ts';

jest.setTimeout(60_000);

const MEMORY_MIB = 16;
const PAGES = 2_000;
const log = pino({ level: 'silent' });
let home: string;
let embedded: EmbeddedObjectStore;
let s3: S3FaultProxy;
let store: ObjectStore;
let packs: PackCache;
let bases: BaseImages;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'corral-remote-'));
  embedded = await startObjectStore({ home, durability: 'Test' });
  s3 = await S3FaultProxy.start(embedded.url);
  const { region, accessKeyId, secretAccessKey } = embedded;
  store = new ObjectStore({ endpoint: s3.url, region, bucket: 'corral', accessKeyId, secretAccessKey, timeoutMs: 2_000 });
  await store.ensureBucket();
});
beforeEach(async () => {
  s3.heal();
  packs = new PackCache({ directory: join(home, 'packs'), store, maxBytes: 1e9 });
  await packs.open();
  bases = new BaseImages({ directory: join(home, 'bases'), maxBytes: 0, log, now: () => performance.now(), kinds: [inSealedMemory] });
  await bases.open();
});
afterEach(() => bases.close());
afterAll(async () => {
  store.close();
  await s3.stop();
  await embedded.stop();
  await rm(home, { recursive: true, force: true });
});

/** A snapshot of one layer in the object store; what its memory holds, and the name of its pack. */
async function aSnapshot(): Promise<{ manifest: SnapshotManifest; ram: Buffer; pack: string }> {
  const directory = await mkdtemp(join(home, 'taken-'));
  const ram = Buffer.alloc(machinePages(MEMORY_MIB) * PIECE_BYTES);
  const pieces = Array.from({ length: PAGES }, (_, at) => ({ number: at * 2, bytes: randomBytes(PIECE_BYTES) }));
  for (const { number, bytes } of pieces) ram.set(bytes, number * PIECE_BYTES);
  const { content } = await writeSnapshot(directory, {
    machine: { v86Build: 'b', memoryMiB: MEMORY_MIB, imageDigest: 'i', devices: { acpi: false, disk: false, cdrom: false, floppy: false, balloon: false } },
    createdAt: new Date(), parent: null, namespace: 'default', memory: { below: [], pieces }, devices: randomBytes(100),
  });
  const [layer] = content.memory.layers;
  if (!layer) throw new Error('no layer');
  await store.putFile(layer.key, join(directory, layer.sha256));
  return { manifest: content, ram, pack: layer.sha256 };
}

async function hold(manifest: SnapshotManifest): Promise<HeldBase> {
  const source = remoteBaseSourceOf(manifest, { store, packs, log });
  const held = source && (await bases.hold(source, { mayBePartial: true }));
  if (!held) throw new Error('there is no base');
  return held;
}
const ramOf = (held: HeldBase): Promise<Buffer> => readFile(held.base.ram.path);
const gets = (pack: string): number => s3.requests.filter(({ method, path }) => method === 'GET' && path.includes(pack)).length;

it('is fetched in parts, and its pack lies on the node’s disk as well in the end', async () => {
  const { manifest, ram, pack } = await aSnapshot();
  const held = await hold(manifest);
  await until(async () => packs.has(manifest.memory.layers[0] ?? { sha256: '', sizeBytes: 0 }), { timeoutMs: 20_000, what: 'the pack' });
  expect((await ramOf(held)).equals(ram)).toBe(true);
  expect(hash('sha256', await readFile(packs.pathOf(pack)))).toBe(pack);
  // The index, and at most a mebibyte at a time.
  expect(gets(pack)).toBeGreaterThan(5);
  expect((await readdir(packs.directory)).filter((name) => name.endsWith('.part'))).toEqual([]);
});

it('is never made of an index that is not what the manifest says', async () => {
  const { manifest, pack } = await aSnapshot();
  s3.inject({ type: 'FlippedDownload', offset: 20 }, ({ path }) => path.includes(pack));
  await expect(hold(manifest)).rejects.toMatchObject({ name: 'SnapshotError', reason: 'SnapshotCorrupt' });
  expect(bases.totals.bases).toBe(0);
});

it.each([
  ['damaged', { type: 'FlippedDownload', offset: 1_000 }, 'SnapshotError'],
  ['not at all', { type: 'Down' }, 'ObjectStoreFailure'],
] as const)('whose frames come %s is lost, leaves nothing behind, and is whole the next time', async (_how, fault, name) => {
  const { manifest, ram, pack } = await aSnapshot();
  let reads = 0;
  // The first read is of the index.
  s3.inject(fault, ({ method, path }) => method === 'GET' && path.includes(pack) && ++reads > 1);
  const held = await hold(manifest);
  const lost: unknown[] = [];
  held.onLost((error) => lost.push(error));
  await until(() => lost.length > 0, { timeoutMs: 40_000, what: 'the loss' });
  expect(lost[0]).toMatchObject({ name });
  held.release();
  await until(async () => (await readdir(packs.directory)).every((file) => !file.startsWith(pack)), { timeoutMs: 5_000, what: 'nothing left' });
  s3.heal();
  const again = await hold(manifest);
  await until(async () => (await ramOf(again)).equals(ram), { timeoutMs: 20_000, what: 'every page' });
});

it('outlives a moment without the object store', async () => {
  const { manifest, ram, pack } = await aSnapshot();
  let reads = 0;
  s3.inject({ type: 'FlippedDownload', offset: 1_000 }, ({ method, path }) => method === 'GET' && path.includes(pack) && ++reads === 3);
  const held = await hold(manifest);
  await until(async () => (await ramOf(held)).equals(ram), { timeoutMs: 20_000, what: 'every page' });
});

it('of a snapshot whose index has no digest in the manifest is not fetched in parts', async () => {
  const { manifest } = await aSnapshot();
  const { indexSha256: _none, ...old } = manifest.memory.layers[0] ?? { indexSha256: '', sha256: '', sizeBytes: 0, pieces: 0, key: '' };
  expect(remoteBaseSourceOf({ ...manifest, memory: { layers: [old] } }, { store, packs, log })).toBeUndefined();
});

it('is fetched in the order in which another machine touched it, where somebody saw that; and in another where that is nonsense', async () => {
  const { manifest, ram, pack } = await aSnapshot();
  const workingSet = new WorkingSet(store, 'snapshots/default/seen/manifest.json', pack);
  expect(await workingSet.read()).toEqual([]);
  await workingSet.write([20, 7, 8, 9_999]);
  // The first who saw it has it.
  await workingSet.write([1]);
  expect(await workingSet.read()).toEqual([20, 7, 8, 9_999]);
  expect(await new WorkingSet(store, 'snapshots/default/seen/manifest.json', 'another').read()).toEqual([]);
  const before = s3.requests.length;
  const source = remoteBaseSourceOf(manifest, { store, packs, log }, workingSet);
  const held = source && (await bases.hold(source));
  expect((await ramOf(held ?? (await hold(manifest)))).equals(ram)).toBe(true);
  expect(s3.requests.slice(before).filter(({ path }) => path.includes('working-set.json'))).toHaveLength(1);
  bases.close();
  await store.putStream('snapshots/default/odd/working-set.json', Readable.from([Buffer.from('{"pack":7}')]));
  await rm(packs.pathOf(pack), { force: true });
  const odd = remoteBaseSourceOf(manifest, { store, packs, log }, new WorkingSet(store, 'snapshots/default/odd/manifest.json', pack));
  const again = odd && (await bases.hold(odd));
  expect((await readFile(again?.base.ram.path ?? '')).equals(ram)).toBe(true);
});

it('is not shared with who was told another index, were its pack the same', async () => {
  const { manifest } = await aSnapshot();
  const [layer] = manifest.memory.layers;
  if (!layer) throw new Error('no layer');
  const told = remoteBaseSourceOf({ ...manifest, memory: { layers: [{ ...layer, indexSha256: '0'.repeat(64) }] } }, { store, packs, log });
  expect(told?.name).not.toBe(remoteBaseSourceOf(manifest, { store, packs, log })?.name);
});
