import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
  type GetObjectCommandOutput,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { startObjectStore, type EmbeddedObjectStore } from './object-store.ts';

const MIB = 1024 * 1024;
const Bucket = 'contract';

/** The part of S3 that Corral and its users' tools rely on, as the AWS SDK speaks it with its default settings. */
describe('embedded S3', () => {
  let home: string;
  let server: EmbeddedObjectStore;
  let client: S3Client;
  const clientOf = ({ url, region, accessKeyId, secretAccessKey }: EmbeddedObjectStore): S3Client =>
    new S3Client({
      endpoint: url,
      region,
      forcePathStyle: true,
      maxAttempts: 1,
      credentials: { accessKeyId, secretAccessKey },
    });
  const put = (Key: string, Body: string | Buffer | Readable, more = {}): Promise<unknown> =>
    client.send(new PutObjectCommand({ Bucket, Key, Body, ...more }));
  const get = (Key: string, more = {}): Promise<GetObjectCommandOutput> =>
    client.send(new GetObjectCommand({ Bucket, Key, ...more }));

  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'corral-s3-'));
    server = await startObjectStore({ home, durability: 'Test' });
    client = clientOf(server);
    await client.send(new CreateBucketCommand({ Bucket }));
  }, 30_000);
  afterAll(async () => {
    client.destroy();
    await server.stop();
    rmSync(home, { recursive: true, force: true });
  });

  it('gives back bytes, type and metadata under any key', async () => {
    const key = 'a/b c+d%20é&<>"\'~(1)!.txt';
    await put(key, 'hello', { ContentType: 'text/x', Metadata: { k: 'v' } });
    const answer = await get(key);
    expect((await bytesOf(answer)).toString()).toBe('hello');
    expect(answer).toMatchObject({ ContentType: 'text/x', Metadata: { k: 'v' } });
    expect((await listAll(client, 'a/')).map(({ Key }) => Key)).toEqual([key]);
  });

  it('takes the aws-chunked framing off a streamed body', async () => {
    const body = randomBytes(300_000);
    await put('streamed', Readable.from([body.subarray(0, 100_000), body.subarray(100_000)]), {
      ContentLength: body.length,
    });
    expect((await bytesOf(await get('streamed'))).equals(body)).toBe(true);
  });

  it('puts uploads in parts together, and reads ranges across their seams', async () => {
    const body = randomBytes(17 * MIB);
    await new Upload({
      client,
      params: { Bucket, Key: 'parts', Body: Readable.from([body]) },
      partSize: 5 * MIB,
    }).done();
    expect((await bytesOf(await get('parts'))).equals(body)).toBe(true);
    const across = await get('parts', { Range: `bytes=${5 * MIB - 10}-${10 * MIB + 9}` });
    expect((await bytesOf(across)).equals(body.subarray(5 * MIB - 10, 10 * MIB + 10))).toBe(true);
    expect(across.ContentRange).toBe(`bytes ${5 * MIB - 10}-${10 * MIB + 9}/${body.length}`);
    expect((await bytesOf(await get('parts', { Range: 'bytes=-100' }))).equals(body.subarray(-100))).toBe(true);
    await expect(get('parts', { Range: 'bytes=999999999-' })).rejects.toMatchObject(status(416));
  });

  it('writes on conditions only', async () => {
    await put('once', 'first', { IfNoneMatch: '*' });
    await expect(put('once', 'second', { IfNoneMatch: '*' })).rejects.toMatchObject(status(412));
    await expect(put('once', 'second', { IfMatch: '"0"' })).rejects.toMatchObject(status(412));
    const { ETag } = await client.send(new HeadObjectCommand({ Bucket, Key: 'once' }));
    await expect(get('once', { IfNoneMatch: ETag })).rejects.toMatchObject(status(304));
    expect((await bytesOf(await get('once'))).toString()).toBe('first');
    await put('once', 'second', { IfMatch: ETag });
    expect((await bytesOf(await get('once'))).toString()).toBe('second');
  });

  it('lets exactly one of many racing creators win', async () => {
    const attempts = Array.from({ length: 8 }, (_, index) => put('race', `${index}`, { IfNoneMatch: '*' }));
    const outcomes = await Promise.allSettled(attempts);
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('refuses bytes that are not the ones promised, and stores nothing', async () => {
    const wrong = createHash('sha256').update('other').digest('base64');
    await expect(put('damaged', 'these', { ChecksumSHA256: wrong })).rejects.toMatchObject(status(400));
    await expect(client.send(new HeadObjectCommand({ Bucket, Key: 'damaged' }))).rejects.toMatchObject(status(404));
  });

  it('says the checksums of what it holds', async () => {
    await put('summed', 'abc', { ChecksumAlgorithm: 'SHA256' });
    const head = await client.send(new HeadObjectCommand({ Bucket, Key: 'summed', ChecksumMode: 'ENABLED' }));
    expect(head.ChecksumSHA256).toBe(createHash('sha256').update('abc').digest('base64'));
  });

  it('takes presigned requests, and no others without a signature', async () => {
    await put('signed', 'data');
    const url = await getSignedUrl(client, new GetObjectCommand({ Bucket, Key: 'signed' }), { expiresIn: 60 });
    expect(await (await fetch(url)).text()).toBe('data');
    expect((await fetch(url.replace(/Signature=.{6}/, 'Signature=000000'))).status).toBe(403);
    expect((await fetch(`${server.url}/${Bucket}/signed`)).status).toBe(403);
    const upload = await getSignedUrl(client, new PutObjectCommand({ Bucket, Key: 'presigned' }), { expiresIn: 60 });
    expect((await fetch(upload, { method: 'PUT', body: 'up' })).status).toBe(200);
    const stranger = clientOf({ ...server, secretAccessKey: 'wrong' });
    await expect(stranger.send(new GetObjectCommand({ Bucket, Key: 'signed' }))).rejects.toMatchObject(status(403));
    stranger.destroy();
  });

  it('lists by prefix, folder and page', async () => {
    for (let index = 0; index < 25; index++) await put(`list/${index % 3}/${index}`, `${index}`);
    const folders = await client.send(new ListObjectsV2Command({ Bucket, Prefix: 'list/', Delimiter: '/' }));
    expect(folders.CommonPrefixes?.map(({ Prefix }) => Prefix)).toEqual(['list/0/', 'list/1/', 'list/2/']);
    expect(await listAll(client, 'list/', 10)).toHaveLength(25);
  });

  it('deletes one, many, and what is not there', async () => {
    await put('gone/1', 'x');
    await put('gone/2', 'x');
    await client.send(new DeleteObjectCommand({ Bucket, Key: 'gone/1' }));
    await client.send(
      new DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key: 'gone/2' }, { Key: 'gone/3' }] } }),
    );
    expect(await listAll(client, 'gone/')).toEqual([]);
  });

  it('copies, and the copy outlives the original', async () => {
    await put('original', 'text', { ContentType: 'text/x' });
    await client.send(new CopyObjectCommand({ Bucket, Key: 'copy', CopySource: `${Bucket}/original` }));
    await client.send(new DeleteObjectCommand({ Bucket, Key: 'original' }));
    const answer = await get('copy');
    expect((await bytesOf(answer)).toString()).toBe('text');
    expect(answer.ContentType).toBe('text/x');
  });

  it('keeps uploads in parts apart until they are completed, and answers a repeated completion alike', async () => {
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key: 'manual' }));
    const part = await client.send(
      new UploadPartCommand({ Bucket, Key: 'manual', UploadId, PartNumber: 1, Body: Buffer.alloc(5 * MIB) }),
    );
    expect((await client.send(new ListPartsCommand({ Bucket, Key: 'manual', UploadId }))).Parts).toHaveLength(1);
    expect((await client.send(new ListMultipartUploadsCommand({ Bucket }))).Uploads?.map(({ Key }) => Key)).toContain(
      'manual',
    );
    await expect(get('manual')).rejects.toMatchObject(status(404));
    const complete = (ETag: string | undefined): CompleteMultipartUploadCommand =>
      new CompleteMultipartUploadCommand({
        Bucket,
        Key: 'manual',
        UploadId,
        MultipartUpload: { Parts: [{ PartNumber: 1, ETag }] },
      });
    await expect(client.send(complete('"0"'))).rejects.toMatchObject(status(400));
    const first = await client.send(complete(part.ETag));
    const second = await client.send(complete(part.ETag));
    expect(second.ETag).toBe(first.ETag);

    const other = await client.send(new CreateMultipartUploadCommand({ Bucket, Key: 'aborted' }));
    await client.send(new AbortMultipartUploadCommand({ Bucket, Key: 'aborted', UploadId: other.UploadId }));
    await expect(
      client.send(new ListPartsCommand({ Bucket, Key: 'aborted', UploadId: other.UploadId })),
    ).rejects.toMatchObject(status(404));
  });

  it('goes on giving a reader the old bytes while the object is replaced', async () => {
    const old = randomBytes(8 * MIB);
    await put('replaced', old);
    const reading = await get('replaced');
    await put('replaced', 'new');
    expect((await bytesOf(reading)).equals(old)).toBe(true);
    expect((await bytesOf(await get('replaced'))).toString()).toBe('new');
  });

  it('stores nothing of an upload that was cut', async () => {
    const url = await getSignedUrl(client, new PutObjectCommand({ Bucket, Key: 'cut' }), { expiresIn: 60 });
    await new Promise<void>((resolve) => {
      const upload = request(url, { method: 'PUT', headers: { 'content-length': 1000 } });
      upload.on('error', () => resolve());
      upload.write('only this', () => upload.destroy(new Error('cut')));
    });
    await expect(get('cut')).rejects.toMatchObject(status(404));
  });

  it('keeps everything over a restart, and sweeps what no object names', async () => {
    await put('kept', 'over a restart');
    await server.stop();
    server = await startObjectStore({ home, durability: 'Full' });
    expect((await bytesOf(await get('kept'))).toString()).toBe('over a restart');
    const folder = join(home, 'object-store/buckets', Bucket);
    const named = (await listAll(client, '')).length;
    expect(readdirSync(join(folder, 'objects'))).toHaveLength(named);
  });

  it('deletes a bucket only when it is empty', async () => {
    await expect(client.send(new DeleteBucketCommand({ Bucket }))).rejects.toMatchObject(status(409));
    await client.send(new CreateBucketCommand({ Bucket: 'empty-one' }));
    await client.send(new DeleteBucketCommand({ Bucket: 'empty-one' }));
    await expect(client.send(new ListObjectsV2Command({ Bucket: 'empty-one' }))).rejects.toMatchObject(status(404));
  });
});

const status = (httpStatusCode: number): object => ({ $metadata: { httpStatusCode } });

async function bytesOf(answer: GetObjectCommandOutput): Promise<Buffer> {
  return Buffer.from((await answer.Body?.transformToByteArray()) ?? []);
}

async function listAll(client: S3Client, Prefix: string, MaxKeys = 1000): Promise<{ Key?: string | undefined }[]> {
  const found: { Key?: string | undefined }[] = [];
  let ContinuationToken: string | undefined;
  do {
    const page = await client.send(new ListObjectsV2Command({ Bucket, Prefix, MaxKeys, ContinuationToken }));
    found.push(...(page.Contents ?? []));
    ContinuationToken = page.NextContinuationToken;
  } while (ContinuationToken !== undefined);
  return found;
}
