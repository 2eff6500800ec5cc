import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { jest } from '@jest/globals';
import { PACK_DELETION_WINDOW_MS, PACK_GRACE_MS } from '@corral/contracts';
import { type EmbeddedObjectStore, startObjectStore } from '@corral/embedded';
import { decodeManifest, type Layer, layersOf, PIECE_BYTES, writeSnapshot, type WrittenSnapshot } from '@corral/memory';
import { ObjectStore, type PutOptions, type StoredObject } from '@corral/object-store';
import { S3FaultProxy } from '@corral/testing';
import { PackCache } from '../machine/pack-cache.ts';
import { uploadSnapshot, type SnapshotUploadOptions } from './snapshot-upload.ts';
import { keepTaken } from './taken-snapshot.ts';

jest.setTimeout(60_000);

let home: string;
let embedded: EmbeddedObjectStore;
let s3: S3FaultProxy;
let store: ObjectStore;
let packs: PackCache;
let count = 0;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'corral-upload-'));
  embedded = await startObjectStore({ home, durability: 'Test' });
  s3 = await S3FaultProxy.start(embedded.url);
  store = new ObjectStore({ endpoint: s3.url, region: embedded.region, bucket: 'corral', accessKeyId: embedded.accessKeyId, secretAccessKey: embedded.secretAccessKey });
  await store.ensureBucket();
  packs = new PackCache({ directory: join(home, 'packs'), store, maxBytes: 1 });
  await packs.open();
});
beforeEach(() => s3.heal());
afterAll(async () => {
  store.close();
  await s3.stop();
  await embedded.stop();
  await rm(home, { recursive: true, force: true });
});

interface Moment {
  readonly directory: string;
  readonly written: WrittenSnapshot;
  readonly own: Layer;
}

/** A snapshot as it lies in the spool, its packs among the node's. */
async function aMoment({ below = [], pages = 3, namespace = 'default', content = randomBytes(PIECE_BYTES * pages) }: { below?: readonly Layer[]; pages?: number; namespace?: string; content?: Uint8Array } = {}): Promise<Moment> {
  const directory = await mkdtemp(join(home, 'taken-'));
  const written = await writeSnapshot(directory, {
    machine: { v86Build: 'b', memoryMiB: 128, imageDigest: 'i', devices: { acpi: false, disk: false, cdrom: false, floppy: false, balloon: false } },
    createdAt: new Date(), parent: null, namespace, devices: randomBytes(500), serial: randomBytes(10),
    memory: { below, pieces: Array.from({ length: pages }, (_, number) => ({ number, bytes: content.subarray(number * PIECE_BYTES, (number + 1) * PIECE_BYTES) })) },
  });
  await keepTaken(directory, { pauseMs: 1, ...written }, namespace, packs);
  const own = written.content.memory.layers.at(-1);
  if (!own) throw new Error('there is no pack');
  return { directory, written, own };
}

interface Uploaded {
  readonly manifestKey: string;
  /** Keys that bytes were sent to, in order. */
  readonly sent: readonly string[];
}

async function upload({ directory, written }: Moment, change: Partial<SnapshotUploadOptions> = {}): Promise<Uploaded> {
  const before = s3.requests.length;
  const manifestKey = await uploadSnapshot({
    store, directory, namespace: 'default', keyPrefix: `snapshots/default/${++count}`, packPath: (sha256) => packs.pathOf(sha256), taken: { pauseMs: 1, ...written }, manifest: written.content,
    named: new Set(), namedAtMs: performance.now() - PACK_DELETION_WINDOW_MS, signal: AbortSignal.timeout(30_000), now: () => new Date(), checkRight: () => undefined, onProgress: () => undefined,
    ...change,
  });
  const sent = s3.requests.slice(before).filter(({ method }) => method === 'PUT').map(({ path }) => new URL(path, 'http://s3').pathname.replace('/corral/', ''));
  return { manifestKey, sent };
}

const twoHoursOn = (): Date => new Date(Date.now() + 2 * PACK_GRACE_MS);

describe('An upload', () => {
  it('stores packs by their content, the files beside the manifest, and the manifest last', async () => {
    const moment = await aMoment();
    const progress: number[] = [];
    const { manifestKey, sent } = await upload(moment, { onProgress: (bytes) => progress.push(bytes) });
    const prefix = manifestKey.replace('/manifest.json', '');
    expect([new Set(sent.slice(0, 3)), sent[3]]).toEqual([new Set([`packs/default/${moment.own.sha256}`, `${prefix}/devices.bin`, `${prefix}/serial.bin`]), manifestKey]);
    expect(decodeManifest(await store.getBytes(manifestKey, 10_000))).toEqual(moment.written.content);
    expect(await store.getBytes(moment.own.key, 100_000)).toEqual(await readFile(packs.pathOf(moment.own.sha256)));
    expect(progress.at(-1)).toBe(moment.written.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
  });

  it('of the next snapshot sends only what is new', async () => {
    const first = await aMoment({ pages: 300 });
    await upload(first);
    const second = await aMoment({ below: [first.own], pages: 1 });
    const { sent } = await upload(second, { named: new Set([first.own.key]), now: twoHoursOn });
    expect(sent).toHaveLength(4);
    expect(sent).not.toContain(first.own.key);
  });

  it('sends no pack twice that is there already, and tells of it as done', async () => {
    const content = randomBytes(PIECE_BYTES * 3);
    await upload(await aMoment({ content }));
    const twin = await aMoment({ content });
    let uploadedBytes = 0;
    const { sent } = await upload(twin, { onProgress: (bytes) => (uploadedBytes = bytes) });
    expect(sent).not.toContain(twin.own.key);
    expect(uploadedBytes).toBe(twin.written.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
  });

  it('shares nothing with another namespace, though it has the same', async () => {
    const content = randomBytes(PIECE_BYTES * 3);
    await upload(await aMoment({ content }));
    const theirs = await aMoment({ content, namespace: 'other' });
    const { sent } = await upload(theirs, { namespace: 'other' });
    expect(sent).toContain(`packs/other/${theirs.own.sha256}`);
  });

  it('writes again what has been there for long and nothing named, and what is gone by the time nobody can be deleting it', async () => {
    const content = randomBytes(PIECE_BYTES * 3);
    await upload(await aMoment({ content }));
    const again = await aMoment({ content });
    // A deletion that was decided before this snapshot named its pack, and is carried out while the rest is sent.
    let isSwept = false;
    const swept = {
      head: (key: string, signal?: AbortSignal) => store.head(key, signal),
      putStream: async (key: string, body: Readable, options: PutOptions): Promise<StoredObject> => {
        const stored = await store.putStream(key, body, options);
        if (key === again.own.key && !isSwept) await store.delete(key);
        isSwept ||= key === again.own.key;
        return stored;
      },
    };
    const { sent } = await upload(again, { now: twoHoursOn, store: swept as ObjectStore });
    expect(sent.filter((key) => key === again.own.key)).toHaveLength(2);
    expect((await store.head(again.own.key))?.sizeBytes).toBe(again.own.sizeBytes);
  });

  it('brings along what it builds on and nobody ever uploaded', async () => {
    const lost = await aMoment();
    const next = await aMoment({ below: [lost.own] });
    const { sent } = await upload(next);
    expect(sent).toEqual(expect.arrayContaining([lost.own.key, next.own.key]));
  });

  it('puts right what is no longer as long as its name says', async () => {
    const moment = await aMoment();
    await store.putStream(moment.own.key, Readable.from([randomBytes(10)]));
    await upload(moment);
    expect((await store.head(moment.own.key))?.sizeBytes).toBe(moment.own.sizeBytes);
  });

  it('that lies on something nobody has says so, and is not there', async () => {
    const golden = { ...(await aMoment({ namespace: 'corral-system' })).own };
    const moment = await aMoment({ below: [golden] });
    await expect(upload(moment)).rejects.toMatchObject({ name: 'ObjectStoreFailure', reason: 'NotFound' });
    expect(await store.head(`snapshots/default/${count}/manifest.json`)).toBeUndefined();
  });

  it('of a node that may no longer uploads nothing more, and no manifest', async () => {
    const moment = await aMoment({ pages: 2000 });
    let sent = 0;
    const fenced = (): void => {
      if (sent > 2_000_000) throw new Error('fenced');
    };
    await expect(upload(moment, { checkRight: fenced, onProgress: (bytes) => (sent = bytes) })).rejects.toThrow('fenced');
    expect(await store.head(moment.own.key)).toBeUndefined();
    expect(await store.head(`snapshots/default/${count}/manifest.json`)).toBeUndefined();
  });

  it.each([
    ['is flipped on its way', { type: 'FlippedUpload', offset: 50 }, 'Corrupt'],
    ['finds the store full', { type: 'Full' }, 'Full'],
  ] as const)('whose pack %s fails, and is repeated as if nothing had been', async (_what, fault, reason) => {
    const moment = await aMoment();
    const keyPrefix = `snapshots/default/again-${++count}`;
    s3.inject(fault, ({ method, path }) => method === 'PUT' && path.includes('/packs/'));
    await expect(upload(moment, { keyPrefix })).rejects.toMatchObject({ name: 'ObjectStoreFailure', reason });
    s3.heal();
    expect((await upload(moment, { keyPrefix })).manifestKey).toBe(`${keyPrefix}/manifest.json`);
  });

  it('sends a few things at once, and no more', async () => {
    let below: Layer[] = [];
    let moment = await aMoment();
    for (let layer = 0; layer < 7; layer += 1) {
      below = layersOf(moment.written.content);
      moment = await aMoment({ below });
    }
    const [underWay, most] = [new Set<string>(), { value: 0 }];
    const counting = {
      head: (key: string, signal?: AbortSignal) => store.head(key, signal),
      putStream: (key: string, body: Readable, options: PutOptions): Promise<StoredObject> => {
        underWay.add(key);
        most.value = Math.max(most.value, underWay.size);
        return store.putStream(key, body, options).finally(() => underWay.delete(key));
      },
    } as ObjectStore;
    await upload(moment, { store: counting });
    expect(most.value).toBe(4);
  });
});

describe('What a VM process says it wrote', () => {
  const kept = async (change: (manifest: string) => string, namespace = 'default') => {
    const { directory, written } = await aMoment();
    const text = change(await readFile(join(directory, 'manifest.json'), 'utf8'));
    await writeFile(join(directory, 'manifest.json'), text);
    const manifest = { ...written.manifest, sha256: createHash('sha256').update(text).digest('hex'), sizeBytes: text.length };
    return keepTaken(directory, { pauseMs: 1, files: [manifest], manifest }, namespace, packs);
  };

  it('is taken where it lies on packs of its namespace, or of golden snapshots', async () => {
    expect((await kept((text) => text)).formatVersion).toBe(2);
    expect((await kept((text) => text.replace('packs/default/', 'packs/corral-system/'))).formatVersion).toBe(2);
  });

  it('is not taken where it lies on packs of another namespace', async () => {
    await expect(kept((text) => text.replace('packs/default/', 'packs/other/'))).rejects.toMatchObject({ name: 'PackForged' });
    await expect(kept((text) => text, 'other')).rejects.toMatchObject({ name: 'PackForged' });
  });

  it('is not taken where the manifest is another than it said', async () => {
    const { directory, written } = await aMoment();
    await expect(keepTaken(directory, { pauseMs: 1, ...written, manifest: { ...written.manifest, sha256: '0'.repeat(64) } }, 'default', packs)).rejects.toMatchObject({ name: 'PackForged' });
  });
});
