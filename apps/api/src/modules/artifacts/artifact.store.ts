import { createHash, randomUUID } from 'node:crypto';
import { pipeline, Transform, type Readable } from 'node:stream';
import { Inject, Injectable } from '@nestjs/common';
import { type StoredArtifact } from '@corral/contracts';
import { ObjectStore } from '@corral/object-store';

/** What became of bytes that were to be stored. */
export type Intake =
  | { readonly type: 'Stored'; readonly artifact: StoredArtifact }
  | { readonly type: 'DigestMismatch'; readonly sha256: string }
  | { readonly type: 'TooLarge' }
  | { readonly type: 'SourceFailed'; readonly cause: unknown }
  | { readonly type: 'StorageFailed'; readonly cause: unknown };

export interface IntakeOptions {
  readonly expectedSha256?: string | undefined;
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

/** Where bytes of unknown digest wait until it is known. What a crash leaves here is swept away. */
export const STAGING_PREFIX = 'uploads/';

const PREFIX = 'artifacts/sha256/';
const artifactKey = (sha256: string): string => `${PREFIX}${sha256}`;

/** Bytes by their SHA-256. What lies under a digest has that digest, whatever happened while it was stored. */
@Injectable()
export class ArtifactStore {
  constructor(@Inject(ObjectStore) private readonly store: ObjectStore) {}

  async find(sha256: string, signal?: AbortSignal): Promise<StoredArtifact | undefined> {
    const key = artifactKey(sha256);
    const found = await this.store.head(key, signal);
    return found && { key, sha256, sizeBytes: found.sizeBytes };
  }

  async delete(sha256: string, signal?: AbortSignal): Promise<void> {
    await this.store.delete(artifactKey(sha256), signal);
  }

  /** Every artifact there is, with when it was last stored. */
  async *all(signal?: AbortSignal): AsyncGenerator<{ readonly sha256: string; readonly modifiedAt: Date }> {
    for await (const { key, modifiedAt } of this.store.list(PREFIX, signal)) yield { sha256: key.slice(PREFIX.length), modifiedAt };
  }

  /** Random access to stored bytes; reads past the end give fewer bytes. */
  bytesOf({ key, sizeBytes }: StoredArtifact): { readonly sizeBytes: number; read(offset: number, length: number): Promise<Buffer> } {
    const read = async (offset: number, length: number): Promise<Buffer> => {
      const last = Math.min(offset + length, sizeBytes) - 1;
      if (last < offset) return Buffer.alloc(0);
      const chunks: Buffer[] = [];
      for await (const chunk of (await this.store.getStream(key, { range: { first: offset, last } })) as AsyncIterable<Buffer>) chunks.push(chunk);
      return Buffer.concat(chunks);
    };
    return { sizeBytes, read };
  }

  /** Streams bytes in and consumes the source in any case. Rejects only when the signal aborts, with its reason. */
  async take(source: Readable, { expectedSha256, maxBytes, signal }: IntakeOptions): Promise<Intake> {
    const meter = new Meter(maxBytes);
    let sourceError: unknown;
    source.once('error', (error) => (sourceError ??= error));
    // The pipeline's own callback tells nothing that the upload does not.
    const body = pipeline(source, meter, () => undefined);
    const key = expectedSha256 === undefined ? `${STAGING_PREFIX}${randomUUID()}` : artifactKey(expectedSha256);
    try {
      await this.store.putStream(key, body, { ...(expectedSha256 === undefined ? {} : { sha256: expectedSha256 }), signal });
      const sha256 = meter.sha256();
      return { type: 'Stored', artifact: expectedSha256 === undefined ? await this.#name(key, sha256, meter.sizeBytes, signal) : { key, sha256, sizeBytes: meter.sizeBytes } };
    } catch (cause) {
      if (signal.aborted) throw signal.reason;
      if (meter.overflowed) return { type: 'TooLarge' };
      if (sourceError !== undefined) return { type: 'SourceFailed', cause: sourceError };
      if (meter.finished && expectedSha256 !== undefined && meter.sha256() !== expectedSha256) return { type: 'DigestMismatch', sha256: meter.sha256() };
      return { type: 'StorageFailed', cause };
    } finally {
      source.destroy();
    }
  }

  /** Gives staged bytes the name that their digest is. */
  async #name(stagingKey: string, sha256: string, sizeBytes: number, signal: AbortSignal): Promise<StoredArtifact> {
    const key = artifactKey(sha256);
    // Also where it is there already: what somebody has just brought is young, and no sweep takes it before an image names it.
    await this.store.putStream(key, await this.store.getStream(stagingKey, { signal }), { sha256, sizeBytes, signal });
    await this.store.delete(stagingKey, signal);
    return { key, sha256, sizeBytes };
  }
}

/** Counts and digests what passes; fails when it is too much. */
class Meter extends Transform {
  readonly #hash = createHash('sha256');
  readonly #maxBytes: number;
  #sha256: string | undefined;
  sizeBytes = 0;
  finished = false;
  overflowed = false;

  constructor(maxBytes: number) {
    super();
    this.#maxBytes = maxBytes;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: (error: Error | null, data?: Buffer) => void): void {
    this.sizeBytes += chunk.length;
    this.overflowed = this.sizeBytes > this.#maxBytes;
    if (this.overflowed) return done(new Error(`more than ${this.#maxBytes} bytes`));
    this.#hash.update(chunk);
    done(null, chunk);
  }

  override _flush(done: () => void): void {
    this.finished = true;
    done();
  }

  sha256(): string {
    return (this.#sha256 ??= this.#hash.digest('hex'));
  }
}
