import { jest } from '@jest/globals';
import { createHash, randomBytes } from 'node:crypto';
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { systemClock } from '@corral/base';
import { type EmbeddedObjectStore, startObjectStore } from '@corral/embedded';
import { type Layer, layersOf, openSnapshot, PIECE_BYTES, writeSnapshot } from '@corral/memory';
import { ObjectStore } from '@corral/object-store';
import { pino } from 'pino';
import { S3FaultProxy } from '@corral/testing';
import { ArtifactCache } from './artifact-cache.ts';
import { MachineFolder } from './machine-folder.ts';
import { PackCache } from './pack-cache.ts';
import { SnapshotCache } from './snapshot-cache.ts';
import { Supervisor, type SupervisorOptions } from './supervisor.ts';

jest.setTimeout(60_000);

const MIB = 1024 * 1024;
let home: string;
let embedded: EmbeddedObjectStore;
let s3: S3FaultProxy;
let store: ObjectStore;
let artifacts: ArtifactCache;
let packs: PackCache;
let snapshots: SnapshotCache;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'corral-caches-'));
  embedded = await startObjectStore({ home, durability: 'Test' });
  s3 = await S3FaultProxy.start(embedded.url);
  store = new ObjectStore({
    endpoint: s3.url,
    region: embedded.region,
    bucket: 'corral',
    accessKeyId: embedded.accessKeyId,
    secretAccessKey: embedded.secretAccessKey,
    timeoutMs: 5_000,
  });
  await store.ensureBucket();
}, 60_000);
beforeEach(async () => {
  s3.heal();
  artifacts = new ArtifactCache({ directory: join(home, 'artifacts'), store, maxBytes: MIB });
  packs = new PackCache({ directory: join(home, 'packs'), store, maxBytes: MIB });
  snapshots = new SnapshotCache({ directory: join(home, 'snapshots'), store, packs, maxBytes: MIB });
  await Promise.all([artifacts.open(), packs.open(), snapshots.open()]);
});
afterAll(async () => {
  store.close();
  await s3.stop();
  await embedded.stop();
  await rm(home, { recursive: true, force: true });
}, 60_000);

async function anArtifact(): Promise<{ key: string; sha256: string; sizeBytes: number; bytes: Buffer }> {
  const bytes = randomBytes(200_000);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const key = `artifacts/sha256/${sha256}`;
  await store.putStream(key, Readable.from([bytes]));
  return { key, sha256, sizeBytes: bytes.length, bytes };
}

let count = 0;
async function aSnapshot(below: readonly Layer[] = []): Promise<{ manifestKey: string; digest: string; prefix: string; layers: Layer[] }> {
  const directory = await mkdtemp(join(home, 'taken-'));
  const prefix = `snapshots/default/${++count}`;
  const { files, manifest, content } = await writeSnapshot(directory, {
    machine: {
      v86Build: 'b',
      memoryMiB: 16,
      imageDigest: 'i',
      devices: { acpi: false, disk: false, cdrom: false, floppy: false, balloon: false },
    },
    createdAt: new Date('2026-01-01T00:00:00Z'),
    parent: null,
    namespace: 'default',
    memory: { below, pieces: [{ number: 3, bytes: randomBytes(PIECE_BYTES) }] },
    devices: randomBytes(1000),
  });
  const layers = layersOf(content);
  const keyOf = (name: string): string => layers.find(({ sha256 }) => sha256 === name)?.key ?? `${prefix}/${name}`;
  for (const { name } of files) await store.putFile(keyOf(name), join(directory, name));
  return { manifestKey: `${prefix}/${manifest.name}`, digest: manifest.sha256, prefix, layers };
}

const downloadsOf = (text: string): number =>
  s3.requests.filter(({ method, path }) => method === 'GET' && path.includes(text)).length;

describe('The cache of artifacts', () => {
  it('fetches once what many ask for at the same time, and nothing that is here', async () => {
    const artifact = await anArtifact();
    const paths = await Promise.all([1, 2, 3, 4, 5].map(() => artifacts.ensure(artifact)));
    expect(new Set(paths)).toEqual(new Set([artifacts.pathOf(artifact.sha256)]));
    expect(await readFile(paths[0]!)).toEqual(artifact.bytes);
    await artifacts.ensure(artifact);
    expect(downloadsOf(artifact.sha256)).toBe(1);
  });

  it.each([
    ['are flipped', { type: 'FlippedDownload', offset: 77_000 }, 'Corrupt'],
    ['end early', { type: 'TruncatedDownload', afterBytes: 77_000 }, undefined],
    ['do not come', { type: 'Down' }, 'Unreachable'],
  ] as const)('holds nothing of bytes that %s, and has them once S3 is well', async (_what, fault, reason) => {
    const artifact = await anArtifact();
    s3.inject(fault);
    await expect(artifacts.ensure(artifact)).rejects.toMatchObject({
      name: 'ObjectStoreFailure',
      ...(reason ? { reason } : {}),
    });
    expect((await readdir(join(home, 'artifacts'))).filter((name) => name.startsWith(artifact.sha256))).toEqual([]);
    s3.heal();
    expect(await readFile(await artifacts.ensure(artifact))).toEqual(artifact.bytes);
  });

  it('forgets the downloads of an agent that was killed', async () => {
    await writeFile(join(home, 'artifacts', 'abc.123.part'), 'half');
    await artifacts.open();
    expect(await readdir(join(home, 'artifacts'))).not.toContain('abc.123.part');
  });
});

describe('The cache of snapshots', () => {
  it('holds a snapshot that opens without computing digests again', async () => {
    const source = await aSnapshot();
    const { directory, manifest } = await snapshots.ensure(source);
    expect(manifest.machine.memoryMiB).toBe(16);
    expect((await readFile(join(directory, 'verified'), 'utf8')).trim()).toBe(source.digest);
    const opened = await openSnapshot(directory, { packs: packs.directory });
    await opened.verified;
    await opened.close();
    expect((await snapshots.ensure(source)).directory).toBe(directory);
    expect(downloadsOf(source.prefix)).toBe(2);
    expect(downloadsOf(source.layers[0]?.sha256 ?? '')).toBe(1);
  });

  it.each(['devices.bin', 'manifest.json'])(
    'holds nothing of a snapshot whose %s comes damaged, and has it once S3 is well',
    async (file) => {
      const source = await aSnapshot();
      s3.inject({ type: 'FlippedDownload', offset: 20 }, ({ path }) => path.endsWith(`/${file}`));
      await expect(snapshots.ensure(source)).rejects.toMatchObject({ name: 'ObjectStoreFailure', reason: 'Corrupt' });
      expect((await readdir(join(home, 'snapshots'))).filter((name) => name.startsWith(source.digest))).toEqual([]);
      s3.heal();
      await snapshots.ensure(source);
    },
  );

  it('fetches anew what was discarded', async () => {
    const source = await aSnapshot();
    await snapshots.ensure(source);
    expect(await snapshots.digests(1)).toEqual([source.digest]);
    await snapshots.discard(source.digest);
    expect(await snapshots.digests(100)).not.toContain(source.digest);
    await snapshots.ensure(source);
    expect(downloadsOf(source.prefix)).toBe(4);
    expect(downloadsOf(source.layers[0]?.sha256 ?? '')).toBe(1);
  });

  it('fetches once the layers that snapshots share, and a few at a time', async () => {
    let below: Layer[] = [];
    const chain = [];
    for (let length = 0; length < 7; length += 1) {
      const source = await aSnapshot(below);
      below = source.layers;
      chain.push(source);
    }
    await Promise.all(chain.map((source) => snapshots.ensure(source)));
    for (const { sha256 } of below) expect(downloadsOf(sha256)).toBe(1);
  });
});

/** A snapshot as the version before wrote it. */
async function anOldSnapshot(): Promise<{ manifestKey: string; digest: string; directory: string; pack: string }> {
  const directory = await mkdtemp(join(home, 'old-'));
  const { content } = await writeSnapshot(directory, {
    machine: { v86Build: 'b', memoryMiB: 16, imageDigest: 'i', devices: { acpi: false, disk: false, cdrom: false, floppy: false, balloon: false } },
    createdAt: new Date('2026-01-01T00:00:00Z'), parent: null, namespace: 'default', devices: randomBytes(100),
    memory: { below: [], pieces: [{ number: 3, bytes: randomBytes(PIECE_BYTES) }] },
  });
  const { machine, createdAt, devices, memory: { layers: [layer] } } = content;
  if (!layer) throw new Error('there is no pack');
  const { sha256, sizeBytes, pieces } = layer;
  await rename(join(directory, sha256), join(directory, 'memory.pack'));
  const manifest = JSON.stringify({ formatVersion: 1, createdAt, machine, base: null, parent: null, files: { memory: { name: 'memory.pack', sha256, sizeBytes, pieces }, devices } });
  await writeFile(join(directory, 'manifest.json'), manifest);
  const prefix = `snapshots/corral-system/${++count}`;
  for (const name of ['memory.pack', 'devices.bin', 'manifest.json']) await store.putFile(`${prefix}/${name}`, join(directory, name));
  return { manifestKey: `${prefix}/manifest.json`, digest: createHash('sha256').update(manifest).digest('hex'), directory, pack: sha256 };
}

async function opens({ directory }: { readonly directory: string }): Promise<number[]> {
  const opened = await openSnapshot(directory, { packs: packs.directory });
  const pages = [];
  for await (const { numbers } of opened.pages()) pages.push(...numbers);
  await opened.verified;
  await opened.close();
  return pages;
}

describe('A snapshot of version 1', () => {
  it('is fetched from where it lies, and its pack is one like any other', async () => {
    const old = await anOldSnapshot();
    const cached = await snapshots.ensure(old);
    expect(await opens(cached)).toEqual([3]);
    expect(await readFile(packs.pathOf(old.pack))).toEqual(await readFile(join(old.directory, 'memory.pack')));
    expect(cached.manifest.memory.layers.map((layer) => cached.packPath(layer))).toEqual([packs.pathOf(old.pack)]);
  });

  it('in the home of the version before is used where it is, without the object store', async () => {
    const old = await anOldSnapshot();
    await rename(old.directory, join(home, 'snapshots', old.digest));
    await writeFile(join(home, 'snapshots', old.digest, 'verified'), old.digest);
    s3.inject({ type: 'Down' });
    expect(await opens(await snapshots.ensure(old))).toEqual([3]);
    expect(await packs.has({ sha256: old.pack, sizeBytes: (await stat(packs.pathOf(old.pack))).size })).toBe(true);
  });

  it('whose pack is damaged there is fetched', async () => {
    const old = await anOldSnapshot();
    await rename(old.directory, join(home, 'snapshots', old.digest));
    await truncate(join(home, 'snapshots', old.digest, 'memory.pack'), 100);
    expect(await opens(await snapshots.ensure(old))).toEqual([3]);
    expect(downloadsOf('/memory.pack')).toBeGreaterThan(0);
  });
});

describe('The cache of packs', () => {
  const only = ({ layers: [layer] }: { readonly layers: readonly Layer[] }): Layer => layer!;
  const bytesOf = (layer: Layer): Promise<Buffer> => readFile(packs.pathOf(layer.sha256));
  const isWhole = async (layer: Layer): Promise<boolean> => createHash('sha256').update(await bytesOf(layer)).digest('hex') === layer.sha256;

  it.each([
    ['was truncated', (layer: Layer) => truncate(packs.pathOf(layer.sha256), 100)],
    ['was removed', (layer: Layer) => rm(packs.pathOf(layer.sha256))],
    [
      'was overwritten in place',
      async (layer: Layer) => {
        await chmod(packs.pathOf(layer.sha256), 0o600);
        await writeFile(packs.pathOf(layer.sha256), randomBytes(layer.sizeBytes));
      },
    ],
  ])('fetches anew a pack that %s', async (_what, harm) => {
    const layer = only(await aSnapshot());
    await packs.ensure([layer]);
    await harm(layer);
    await packs.ensure([layer]);
    expect(await isWhole(layer)).toBe(true);
    expect(downloadsOf(layer.sha256)).toBe(2);
  });

  it.each(['Down', 'Stalled', 'Failing'] as const)('calls no pack lost while the object store is %s, and one that is nowhere as soon as it answers', async (type) => {
    const layer = only(await aSnapshot());
    const nowhere = { ...layer, key: 'packs/default/nowhere' };
    s3.inject({ type });
    expect(await packs.lostOf([layer, nowhere])).toEqual([]);
    s3.heal();
    expect(await packs.lostOf([layer])).toEqual([]);
    expect(await packs.lostOf([nowhere])).toEqual([layer.sha256]);
  });

  it('finds out what happened to a pack while no agent looked', async () => {
    const layer = only(await aSnapshot());
    await packs.ensure([layer]);
    const { mtime } = await stat(packs.pathOf(layer.sha256));
    await chmod(packs.pathOf(layer.sha256), 0o600);
    await writeFile(packs.pathOf(layer.sha256), randomBytes(layer.sizeBytes));
    await utimes(packs.pathOf(layer.sha256), mtime, mtime);
    const restarted = new PackCache({ directory: packs.directory, store, maxBytes: MIB });
    await restarted.ensure([layer]);
    expect(await isWhole(layer)).toBe(true);
  });

  it('holds nothing of a pack that comes damaged', async () => {
    const layer = only(await aSnapshot());
    s3.inject({ type: 'FlippedDownload', offset: 20 }, ({ path }) => path.endsWith(layer.sha256));
    await expect(packs.ensure([layer])).rejects.toMatchObject({ name: 'ObjectStoreFailure', reason: 'Corrupt' });
    expect((await readdir(packs.directory)).filter((name) => name.startsWith(layer.sha256))).toEqual([]);
    s3.heal();
    await packs.ensure([layer]);
  });

  it('takes in what a machine wrote, but only as what it is', async () => {
    const [bytes, other] = [randomBytes(500), randomBytes(500)];
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const path = join(home, 'written');
    await writeFile(path, other);
    await expect(packs.adopt(path, { sha256, sizeBytes: 500 })).rejects.toMatchObject({ name: 'PackForged' });
    expect(await packs.has({ sha256, sizeBytes: 500 })).toBe(false);
    await writeFile(path, bytes);
    await packs.adopt(path, { sha256, sizeBytes: 500 });
    expect(await readFile(packs.pathOf(sha256))).toEqual(bytes);
    // Said again, with other content: what is here stays.
    await writeFile(path, other);
    await packs.adopt(path, { sha256, sizeBytes: 500 });
    expect(await readFile(packs.pathOf(sha256))).toEqual(bytes);
    await expect(readFile(path)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('is asked to keep what suspended machines lie on, also those that nobody has looked at since the agent started', async () => {
    const source = await aSnapshot();
    const { directory } = await snapshots.ensure(source);
    const { suspendedPath } = new MachineFolder(join(home, 'machines'), 'sleeper');
    await mkdir(suspendedPath, { recursive: true });
    await copyFile(join(directory, 'manifest.json'), join(suspendedPath, 'manifest.json'));
    const supervisor = new Supervisor({ home } as SupervisorOptions);
    expect(await supervisor.neededPacks()).toEqual(new Set(source.layers.map(({ sha256 }) => sha256)));
  });

  it('does not lose a machine that could not be handed over', async () => {
    const supervisor = new Supervisor({ home, clock: systemClock, log: pino({ level: 'silent' }) } as unknown as SupervisorOptions);
    await mkdir(join(home, 'machines', 'warm'), { recursive: true });
    await mkdir(join(home, 'machines', 'claimed', 'something'), { recursive: true });
    const machine = await supervisor.ensure('warm', { namespace: 'default', name: 'warm' });
    const handOver = (): Promise<void> => supervisor.handOver('warm', { uid: 'claimed', key: { namespace: 'default', name: 'claimed' } });
    await expect(handOver()).rejects.toMatchObject({ code: 'ENOTEMPTY' });
    expect([supervisor.find('warm'), supervisor.find('claimed')]).toEqual([machine, undefined]);
    await rm(join(home, 'machines', 'claimed'), { recursive: true });
    await handOver();
    expect([supervisor.find('warm'), supervisor.find('claimed')]).toEqual([undefined, machine]);
  });

  it('makes room, but never of what is in use or was used a moment ago', async () => {
    const small = new PackCache({ directory: join(home, 'few-packs'), store, maxBytes: 14_000 });
    await small.open();
    const layers = [];
    for (let at = 0; at < 4; at += 1) layers.push(only(await aSnapshot()));
    await small.ensure(layers);
    const [kept, oldest, old, young] = layers as [Layer, Layer, Layer, Layer];
    for (const [age, { sha256 }] of [[90, kept], [80, oldest], [70, old]] as const) {
      const then = new Date(Date.now() - age * 60_000);
      await utimes(small.pathOf(sha256), then, then);
    }
    await small.prune(new Set([kept.sha256]), 0);
    expect((await readdir(small.directory)).sort()).toEqual([kept, old, young].map(({ sha256 }) => sha256).sort());
    await small.prune(new Set([kept.sha256]), 14_000);
    expect((await readdir(small.directory)).sort()).toEqual([kept, young].map(({ sha256 }) => sha256).sort());
  });
});
