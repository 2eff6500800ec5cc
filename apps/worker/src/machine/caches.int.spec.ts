import { jest } from '@jest/globals';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type EmbeddedObjectStore, startObjectStore } from '@corral/embedded';
import { openSnapshot, writeSnapshot } from '@corral/memory';
import { ObjectStore } from '@corral/object-store';
import { S3FaultProxy } from '@corral/testing';
import { ArtifactCache } from './artifact-cache.ts';
import { SnapshotCache } from './snapshot-cache.ts';

jest.setTimeout(60_000);

const MIB = 1024 * 1024;
let home: string;
let embedded: EmbeddedObjectStore;
let s3: S3FaultProxy;
let store: ObjectStore;
let artifacts: ArtifactCache;
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
  snapshots = new SnapshotCache({ directory: join(home, 'snapshots'), store, maxBytes: MIB });
  await Promise.all([artifacts.open(), snapshots.open()]);
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
async function aSnapshot(): Promise<{ manifestKey: string; digest: string; prefix: string }> {
  const directory = await mkdtemp(join(home, 'taken-'));
  const prefix = `snapshots/default/${++count}`;
  const { files, manifest } = await writeSnapshot(directory, {
    machine: {
      v86Build: 'b',
      memoryMiB: 16,
      imageDigest: 'i',
      devices: { acpi: false, disk: false, cdrom: false, floppy: false },
    },
    createdAt: new Date('2026-01-01T00:00:00Z'),
    pages: [{ number: 3, bytes: randomBytes(4096) }],
    devices: randomBytes(1000),
  });
  for (const { name } of files) await store.putFile(`${prefix}/${name}`, join(directory, name));
  return { manifestKey: `${prefix}/${manifest.name}`, digest: manifest.sha256, prefix };
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
    const opened = await openSnapshot(directory);
    await opened.verified;
    await opened.close();
    expect((await snapshots.ensure(source)).directory).toBe(directory);
    expect(downloadsOf(source.prefix)).toBe(3);
  });

  it.each(['memory.pack', 'devices.bin', 'manifest.json'])(
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
    expect(downloadsOf(source.prefix)).toBe(6);
  });
});
