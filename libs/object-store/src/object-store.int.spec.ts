import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { startObjectStore, type EmbeddedObjectStore } from '@corral/embedded';
import { S3FaultProxy } from '@corral/testing';
import { ObjectStore } from './object-store.ts';

const MIB = 1024 * 1024;
/** Only what is meant to stall may run into it, however busy the machine. */
const TIMEOUT_MS = 30_000;
const sha256Of = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const reason = (expected: string): object => ({ name: 'ObjectStoreFailure', reason: expected });

describe('ObjectStore', () => {
  let home: string;
  let server: EmbeddedObjectStore;
  let proxy: S3FaultProxy;
  let store: ObjectStore;
  const open = (url: string, more = {}): ObjectStore => {
    const { region, accessKeyId, secretAccessKey } = server;
    return new ObjectStore({
      endpoint: url,
      region,
      bucket: 'corral',
      accessKeyId,
      secretAccessKey,
      timeoutMs: TIMEOUT_MS,
      ...more,
    });
  };

  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'corral-store-'));
    server = await startObjectStore({ home, durability: 'Test' });
    proxy = await S3FaultProxy.start(server.url);
    store = open(proxy.url);
    await store.ensureBucket();
  }, 30_000);
  beforeEach(() => proxy.heal());
  afterAll(async () => {
    store.close();
    await proxy.stop();
    await server.stop();
    rmSync(home, { recursive: true, force: true });
  });

  it('makes its bucket once, and finds it ready', async () => {
    await Promise.all([store.ensureBucket(), store.ensureBucket()]);
    await store.readyCheck();
  });

  it.each([1, 20 * MIB])('of %d bytes: what is there already is never replaced where that is asked for, and the same bytes again are no conflict', async (sizeBytes) => {
    const [first, second] = [randomBytes(sizeBytes), randomBytes(sizeBytes)];
    const put = (bytes: Buffer): Promise<unknown> => store.putStream(`once/${sizeBytes}`, Readable.from([bytes]), { sha256: sha256Of(bytes), sizeBytes, ifAbsent: true });
    await put(first);
    await put(first);
    await expect(put(second)).rejects.toMatchObject(reason('Conflict'));
    expect((await buffer(await store.getStream(`once/${sizeBytes}`))).equals(first)).toBe(true);
  });

  it.each([0, 1, 8 * MIB, 8 * MIB + 1, 20 * MIB])('stores %d bytes and gives them back', async (sizeBytes) => {
    const bytes = randomBytes(sizeBytes);
    const stored = await store.putStream('sizes/x', Readable.from([bytes]), { sha256: sha256Of(bytes), sizeBytes });
    expect(stored).toEqual({ key: 'sizes/x', sizeBytes, sha256: sha256Of(bytes) });
    expect(await store.head('sizes/x')).toMatchObject({ sizeBytes });
    expect((await buffer(await store.getStream('sizes/x'))).equals(bytes)).toBe(true);
  });

  it('copies files both ways, appearing whole or not at all', async () => {
    const bytes = randomBytes(10 * MIB);
    const [source, target] = [join(home, 'source'), join(home, 'download/target')];
    writeFileSync(source, bytes);
    const { sha256, sizeBytes } = await store.putFile('files/x', source);
    await store.downloadFile('files/x', target, { sha256, sizeBytes });
    expect(readFileSync(target).equals(bytes)).toBe(true);

    rmSync(target);
    await expect(store.downloadFile('files/x', target, { sha256: '0'.repeat(64) })).rejects.toMatchObject(
      reason('Corrupt'),
    );
    proxy.inject({ type: 'FlippedDownload', offset: 5 * MIB });
    await expect(store.downloadFile('files/x', target, { sha256, sizeBytes })).rejects.toMatchObject(reason('Corrupt'));
    proxy.inject({ type: 'TruncatedDownload', afterBytes: 3 * MIB });
    await expect(store.downloadFile('files/x', target, { sha256, sizeBytes })).rejects.toMatchObject({
      name: 'ObjectStoreFailure',
    });
    expect(readdirSync(join(home, 'download'))).toEqual([]);
  });

  it('reads a range', async () => {
    await store.putStream('range', Readable.from([Buffer.from('0123456789')]));
    expect((await buffer(await store.getStream('range', { range: { first: 2, last: 4 } }))).toString()).toBe('234');
  });

  it.each([100, 20 * MIB])('makes no object of %d bytes that are not the promised ones', async (sizeBytes) => {
    const bytes = randomBytes(sizeBytes);
    const key = `wrong/${sizeBytes}`;
    await expect(store.putStream(key, Readable.from([bytes]), { sha256: '0'.repeat(64) })).rejects.toMatchObject(
      reason('Corrupt'),
    );
    await expect(store.putStream(key, Readable.from([bytes]), { sizeBytes: sizeBytes + 1 })).rejects.toMatchObject(
      reason('Corrupt'),
    );
    proxy.inject({ type: 'FlippedUpload', offset: 50 });
    await expect(store.putStream(key, Readable.from([bytes]))).rejects.toMatchObject(reason('Corrupt'));
    expect(await store.head(key)).toBeUndefined();
  });

  it('makes no object of a source that broke, and says what broke it', async () => {
    const broken = Readable.from(
      (async function* () {
        yield randomBytes(20 * MIB);
        throw new Error('the source broke');
      })(),
    );
    await expect(store.putStream('broken', broken)).rejects.toMatchObject({ cause: { message: 'the source broke' } });
    expect(await store.head('broken')).toBeUndefined();
  });

  it('says that it is full', async () => {
    proxy.inject({ type: 'Full' });
    await expect(store.putStream('full', Readable.from([randomBytes(20 * MIB)]))).rejects.toMatchObject(reason('Full'));
  });

  it('says that it cannot be reached, or is unwell', async () => {
    proxy.inject({ type: 'Down' });
    await expect(store.readyCheck()).rejects.toMatchObject(reason('Unreachable'));
    proxy.inject({ type: 'Failing' });
    await expect(store.head('x')).rejects.toMatchObject(reason('Unreachable'));
  });

  it('waits for a slow store and gives a stalled one up', async () => {
    proxy.inject({ type: 'Slow', delayMs: 200 });
    await store.putStream('slow', Readable.from(['x']));
    proxy.inject({ type: 'Stalled' });
    const impatient = open(proxy.url, { timeoutMs: 500 });
    await expect(impatient.putStream('stalled', Readable.from(['x']))).rejects.toMatchObject(reason('Timeout'));
    await expect(impatient.getStream('slow')).rejects.toMatchObject(reason('Timeout'));
    impatient.close();
  });

  it('does not take a slow reader for a stalled store', async () => {
    await store.putStream('patient', Readable.from([randomBytes(8 * MIB)]));
    const impatient = open(proxy.url, { timeoutMs: 200 });
    let sizeBytes = 0;
    for await (const chunk of await impatient.getStream('patient')) {
      if (sizeBytes === 0) await sleep(300);
      sizeBytes += (chunk as Buffer).length;
    }
    expect(sizeBytes).toBe(8 * MIB);
    impatient.close();
  });

  it('ends with the caller’s reason when the caller gives up', async () => {
    proxy.inject({ type: 'Stalled' });
    const giveUp = new AbortController();
    const upload = store.putStream('abandoned', Readable.from(['x']), { signal: giveUp.signal });
    giveUp.abort(new Error('changed my mind'));
    await expect(upload).rejects.toThrow('changed my mind');
  });

  it('tells a missing object and a refused key apart', async () => {
    await expect(store.getStream('absent')).rejects.toMatchObject(reason('NotFound'));
    expect(await store.head('absent')).toBeUndefined();
    const stranger = open(proxy.url, { secretAccessKey: 'wrong' });
    await expect(stranger.head('absent')).rejects.toMatchObject(reason('Denied'));
    stranger.close();
  });

  it('lists and deletes a folder and nothing beside it', async () => {
    for (const key of ['tree/a/1', 'tree/a/2', 'tree/ab/1']) await store.putStream(key, Readable.from(['x']));
    expect(await store.deletePrefix('tree/a/')).toBe(2);
    const left: string[] = [];
    for await (const { key } of store.list('tree/')) left.push(key);
    expect(left).toEqual(['tree/ab/1']);
    await store.delete('tree/ab/1');
    await store.delete('tree/ab/1');
    await expect(store.deletePrefix('tree')).rejects.toThrow(TypeError);
  });

  it('leaves no parts behind of what failed', () => {
    expect(existsSync(join(home, 'object-store/buckets/corral/uploads'))).toBe(true);
    expect(readdirSync(join(home, 'object-store/buckets/corral/uploads'))).toEqual([]);
  });
});
