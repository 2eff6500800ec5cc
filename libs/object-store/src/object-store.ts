import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  S3Client,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import type { ObjectStoreConfig } from './config.ts';
import { ObjectStoreFailure, toFailure } from './failure.ts';
import { ProgressDeadline } from './progress.ts';
import { TreeDigest } from './tree-digest.ts';

const PART_BYTES = 8 * 1024 * 1024;
const PARTS_AT_ONCE = 3;
const DELETE_AT_ONCE = 1000;
const CONNECT_TIMEOUT_MS = 5_000;

export interface ObjectStoreOptions extends ObjectStoreConfig {
  /** How long a request may make no progress. Default 30 s. */
  readonly timeoutMs?: number;
}

export interface PutOptions {
  /** Hex. The object never comes to exist when the bytes have another digest. */
  readonly sha256?: string;
  /** Likewise. */
  readonly sizeBytes?: number;
  readonly contentType?: string;
  /** The key is only ever given these bytes: where others are already, they stay and the upload fails with Conflict. */
  readonly ifAbsent?: boolean;
  readonly signal?: AbortSignal;
}
export interface GetOptions {
  /** Bytes, both ends included. */
  readonly range?: { readonly first: number; readonly last: number };
  readonly signal?: AbortSignal;
}
export interface StoredObject {
  readonly key: string;
  readonly sizeBytes: number;
  /** Hex. */
  readonly sha256: string;
}
export interface ObjectInfo {
  readonly key: string;
  readonly sizeBytes: number;
  readonly modifiedAt: Date;
}

/** One bucket. Every method throws ObjectStoreFailure, or the reason of the caller's own signal. */
export class ObjectStore {
  readonly bucket: string;
  readonly #client: S3Client;
  readonly #timeoutMs: number;

  constructor({ endpoint, region, bucket, accessKeyId, secretAccessKey, timeoutMs = 30_000 }: ObjectStoreOptions) {
    this.bucket = bucket;
    this.#timeoutMs = timeoutMs;
    this.#client = new S3Client({
      endpoint,
      region,
      credentials: { accessKeyId, secretAccessKey },
      forcePathStyle: true,
      maxAttempts: 3,
      // No socket timeout: it takes a slow reader for a stalled store. ProgressDeadline knows the difference.
      requestHandler: { connectionTimeout: CONNECT_TIMEOUT_MS, socketTimeout: 0 },
      // Digests are checked here, over all bytes, with a failure that says so.
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestChecksumCalculation: 'WHEN_REQUIRED',
    });
  }

  /** Makes the bucket when it is missing. */
  async ensureBucket(signal?: AbortSignal): Promise<void> {
    const operation = `Bucket ${this.bucket}`;
    try {
      await this.#send(
        operation,
        (abortSignal) => this.#client.send(new HeadBucketCommand({ Bucket: this.bucket }), { abortSignal }),
        signal,
      );
    } catch (error) {
      if (!(error instanceof ObjectStoreFailure && error.reason === 'NotFound')) throw error;
      try {
        await this.#send(
          operation,
          (abortSignal) => this.#client.send(new CreateBucketCommand({ Bucket: this.bucket }), { abortSignal }),
          signal,
        );
      } catch (failure) {
        if (!wasMadeByAnother(failure)) throw failure;
      }
    }
  }

  /** Resolves when the bucket answers. */
  async readyCheck(signal?: AbortSignal): Promise<void> {
    await this.#send(
      `Bucket ${this.bucket}`,
      (abortSignal) => this.#client.send(new HeadBucketCommand({ Bucket: this.bucket }), { abortSignal }),
      signal,
    );
  }

  /**
   * Streams bytes into an object and resolves once the store has said it has exactly these: its size, and its SHA-256
   * as the store computed it. A store that keeps no SHA-256 is read back. Wrong bytes never replace what
   * the key had; after a Timeout or Unreachable the right ones may have.
   */
  async putStream(key: string, body: Readable, options: PutOptions = {}): Promise<StoredObject> {
    const operation = `Upload of ${key}`;
    const deadline = new ProgressDeadline(operation, this.#timeoutMs, options.signal);
    try {
      const { stored, checksums, wasThere } = await this.#upload(operation, key, body, options, deadline);
      await this.#confirm(operation, stored, checksums, deadline).catch((error: unknown) => {
        if (!wasThere || toFailure(operation, error).reason !== 'Corrupt') throw error;
        throw new ObjectStoreFailure('Conflict', `${operation}: there are other bytes already`, { cause: error });
      });
      return stored;
    } catch (error) {
      if (options.signal?.aborted) throw options.signal.reason;
      throw toFailure(operation, deadline.causeOf(error));
    } finally {
      deadline.end();
      body.destroy();
    }
  }

  /** The same for a file. */
  async putFile(key: string, path: string, options: PutOptions = {}): Promise<StoredObject> {
    return this.putStream(key, createReadStream(path, { highWaterMark: 1024 * 1024 }), options);
  }

  async #upload(
    operation: string,
    key: string,
    body: Readable,
    { sha256, sizeBytes, contentType = 'application/octet-stream', ifAbsent = false }: PutOptions,
    deadline: ProgressDeadline,
  ): Promise<{ stored: StoredObject; checksums: readonly string[]; wasThere: boolean }> {
    const digest = new TreeDigest(PART_BYTES);
    let sum: ReturnType<TreeDigest['digest']> | undefined;
    let wasThere = false;
    const checked = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        digest.update(chunk);
        deadline.advance();
        done(null, chunk);
      },
      // Failing before the last byte is handed over is what keeps a wrong object from being made.
      flush(done) {
        sum = digest.digest();
        if (sha256 !== undefined && sum.sha256 !== sha256)
          done(new ObjectStoreFailure('Corrupt', `${operation}: the bytes have SHA-256 ${sum.sha256}, not ${sha256}`));
        else if (sizeBytes !== undefined && digest.sizeBytes !== sizeBytes)
          done(
            new ObjectStoreFailure('Corrupt', `${operation}: there are ${digest.sizeBytes} bytes, not ${sizeBytes}`),
          );
        else done();
      },
    });
    const reading = pipeline(body, checked, { signal: deadline.signal });
    const upload = new Upload({
      client: this.#client,
      params: {
        Bucket: this.bucket,
        Key: key,
        Body: checked,
        ContentType: contentType,
        ChecksumAlgorithm: 'SHA256',
        ...(ifAbsent ? { IfNoneMatch: '*' } : {}),
      },
      partSize: PART_BYTES,
      queueSize: PARTS_AT_ONCE,
    });
    upload.on('httpUploadProgress', () => deadline.advance());
    const abort = (): void => void upload.abort();
    deadline.signal.addEventListener('abort', abort, { once: true });
    try {
      // `reading` fails with the source's own error; the upload would only see that its stream closed.
      await Promise.all([reading, upload.done()]);
    } catch (error) {
      await upload.abort().catch(() => undefined);
      // Whether what is there is what was sent, an earlier try of the same for instance, is seen when it is confirmed.
      if (!ifAbsent || !sum || toFailure(operation, error).reason !== 'Conflict') throw error;
      wasThere = true;
    } finally {
      deadline.signal.removeEventListener('abort', abort);
    }
    if (!sum) throw new Error('The stream ended without its digest');
    return {
      stored: { key, sizeBytes: digest.sizeBytes, sha256: sum.sha256 },
      checksums: [sum.checksum, sum.compositeChecksum],
      wasThere,
    };
  }

  async #confirm(
    operation: string,
    stored: StoredObject,
    checksums: readonly string[],
    deadline: ProgressDeadline,
  ): Promise<void> {
    const { key } = stored;
    deadline.advance();
    const head = await this.#client.send(
      new HeadObjectCommand({ Bucket: this.bucket, Key: key, ChecksumMode: 'ENABLED' }),
      {
        abortSignal: deadline.signal,
      },
    );
    const sizeMatches = head.ContentLength === stored.sizeBytes;
    const checksumMatches = head.ChecksumSHA256 === undefined || checksums.includes(head.ChecksumSHA256);
    if (!sizeMatches || !checksumMatches)
      throw new ObjectStoreFailure('Corrupt', `${operation}: the object store has other bytes than were sent`);
    if (head.ChecksumSHA256 !== undefined) return;
    const hash = createHash('sha256');
    for await (const chunk of await this.getStream(key, { signal: deadline.signal })) {
      hash.update(chunk as Buffer);
      deadline.advance();
    }
    if (hash.digest('hex') !== stored.sha256)
      throw new ObjectStoreFailure('Corrupt', `${operation}: the object store has other bytes than were sent`);
  }

  /**
   * The bytes of an object. The stream fails with ObjectStoreFailure when they stop coming or end early. Their digest is
   * the reader's to check; `downloadFile` does.
   */
  async getStream(key: string, { range, signal }: GetOptions = {}): Promise<Readable> {
    const operation = `Download of ${key}`;
    const deadline = new ProgressDeadline(operation, this.#timeoutMs, signal);
    try {
      const Range = range && `bytes=${range.first}-${range.last}`;
      const answer = await this.#client.send(new GetObjectCommand({ Bucket: this.bucket, Key: key, Range }), {
        abortSignal: deadline.signal,
      });
      if (!(answer.Body instanceof Readable)) throw new Error('The SDK gave no Node stream');
      const bytes = watched(operation, answer.Body, answer.ContentLength, deadline, signal);
      return Readable.from(bytes, { objectMode: false });
    } catch (error) {
      deadline.end();
      if (signal?.aborted) throw signal.reason;
      throw toFailure(operation, deadline.causeOf(error));
    }
  }

  /** A small object, whole. Throws Corrupt when it is larger than `maxBytes`. */
  async getBytes(key: string, maxBytes: number, signal?: AbortSignal): Promise<Buffer> {
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    for await (const chunk of await this.getStream(key, signal ? { signal } : {})) {
      sizeBytes += (chunk as Buffer).length;
      if (sizeBytes > maxBytes)
        throw new ObjectStoreFailure('Corrupt', `Download of ${key}: it is larger than ${maxBytes} bytes`);
      chunks.push(chunk as Buffer);
    }
    return Buffer.concat(chunks);
  }

  /** An object as a file that appears, by rename, only when every byte has arrived with the right digest. */
  async downloadFile(
    key: string,
    path: string,
    expected: { readonly sha256: string; readonly sizeBytes?: number },
    signal?: AbortSignal,
  ): Promise<void> {
    const operation = `Download of ${key}`;
    await mkdir(dirname(path), { recursive: true });
    const partial = `${path}.${randomUUID()}.part`;
    const hash = createHash('sha256');
    let sizeBytes = 0;
    const tap = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        hash.update(chunk);
        sizeBytes += chunk.length;
        // A store that sends more than was promised must not fill the disk.
        if (expected.sizeBytes !== undefined && sizeBytes > expected.sizeBytes)
          done(new ObjectStoreFailure('Corrupt', `${operation}: it is larger than ${expected.sizeBytes} bytes`));
        else done(null, chunk);
      },
    });
    try {
      await pipeline(await this.getStream(key, signal ? { signal } : {}), tap, createWriteStream(partial));
      const digest = hash.digest('hex');
      if (digest !== expected.sha256)
        throw new ObjectStoreFailure(
          'Corrupt',
          `${operation}: the bytes have SHA-256 ${digest}, not ${expected.sha256}`,
        );
      await syncFile(partial);
      await rename(partial, path);
    } catch (error) {
      await rm(partial, { force: true });
      throw error;
    }
  }

  /** Undefined when there is no such object. */
  async head(key: string, signal?: AbortSignal): Promise<ObjectInfo | undefined> {
    try {
      const head = await this.#send(
        `Look at ${key}`,
        (abortSignal) => this.#client.send(new HeadObjectCommand({ Bucket: this.bucket, Key: key }), { abortSignal }),
        signal,
      );
      return { key, sizeBytes: head.ContentLength ?? 0, modifiedAt: head.LastModified ?? new Date(0) };
    } catch (error) {
      if (error instanceof ObjectStoreFailure && error.reason === 'NotFound') return undefined;
      throw error;
    }
  }

  /** Every object whose key begins with `prefix`, in order of keys; with `after`, only those whose keys come later. */
  async *list(prefix: string, signal?: AbortSignal, after?: string): AsyncGenerator<ObjectInfo> {
    let token: string | undefined;
    do {
      const command = new ListObjectsV2Command({ Bucket: this.bucket, Prefix: prefix, ContinuationToken: token, StartAfter: after });
      const page = await this.#send(
        `List of ${prefix}`,
        (abortSignal) => this.#client.send(command, { abortSignal }),
        signal,
      );
      for (const { Key, Size, LastModified } of page.Contents ?? []) {
        if (Key !== undefined) yield { key: Key, sizeBytes: Size ?? 0, modifiedAt: LastModified ?? new Date(0) };
      }
      token = page.NextContinuationToken;
    } while (token !== undefined);
  }

  /** Deleting what is gone succeeds. */
  async delete(key: string, signal?: AbortSignal): Promise<void> {
    await this.#send(
      `Removal of ${key}`,
      (abortSignal) => this.#client.send(new DeleteObjectCommand({ Bucket: this.bucket, Key: key }), { abortSignal }),
      signal,
    );
  }

  /** Deletes every object whose key begins with `prefix`, which must end in `/` lest it meets neighbours. Resolves to their number. */
  async deletePrefix(prefix: string, signal?: AbortSignal): Promise<number> {
    if (!prefix.endsWith('/') || prefix === '/') throw new TypeError(`A prefix to delete must be a folder: ${prefix}`);
    let deleted = 0;
    let batch: string[] = [];
    for await (const { key } of this.list(prefix, signal)) {
      batch.push(key);
      if (batch.length < DELETE_AT_ONCE) continue;
      await this.deleteAll(batch, signal);
      deleted += batch.length;
      batch = [];
    }
    await this.deleteAll(batch, signal);
    return deleted + batch.length;
  }

  /** Deletes up to a thousand objects in one request. */
  async deleteAll(keys: readonly string[], signal?: AbortSignal): Promise<void> {
    if (keys.length === 0) return;
    const operation = `Removal of ${keys.length} objects`;
    const command = new DeleteObjectsCommand({ Bucket: this.bucket, Delete: { Objects: keys.map((Key) => ({ Key })), Quiet: true } });
    const { Errors = [] } = await this.#send(operation, (abortSignal) => this.#client.send(command, { abortSignal }), signal);
    if (Errors.length > 0) throw new ObjectStoreFailure('Unreachable', `${operation}: ${Errors.length} remain`);
  }

  close(): void {
    this.#client.destroy();
  }

  async #send<T>(operation: string, send: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const deadline = new ProgressDeadline(operation, this.#timeoutMs, signal);
    try {
      return await send(deadline.signal);
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw toFailure(operation, deadline.causeOf(error));
    } finally {
      deadline.end();
    }
  }
}

/** Passes bytes on; fails when they stall, end early, or the connection breaks. A slow reader does not count as a stall. */
async function* watched(
  operation: string,
  body: Readable,
  expectedBytes: number | undefined,
  deadline: ProgressDeadline,
  caller: AbortSignal | undefined,
): AsyncGenerator<Buffer> {
  const abort = (): void => void body.destroy(deadline.signal.reason);
  deadline.signal.addEventListener('abort', abort, { once: true });
  let sizeBytes = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      deadline.pause();
      sizeBytes += chunk.length;
      yield chunk;
      deadline.advance();
    }
    if (expectedBytes !== undefined && sizeBytes !== expectedBytes) {
      throw new ObjectStoreFailure('Corrupt', `${operation}: it ended after ${sizeBytes} of ${expectedBytes} bytes`);
    }
  } catch (error) {
    if (caller?.aborted) throw caller.reason;
    throw toFailure(operation, deadline.causeOf(error));
  } finally {
    deadline.end();
    body.destroy();
  }
}

function wasMadeByAnother(failure: unknown): boolean {
  const cause = failure instanceof Error ? failure.cause : undefined;
  return cause instanceof Error && (cause.name === 'BucketAlreadyOwnedByYou' || cause.name === 'BucketAlreadyExists');
}

async function syncFile(path: string): Promise<void> {
  const handle = await open(path, 'r+');
  try {
    await handle.datasync();
  } finally {
    await handle.close();
  }
}
