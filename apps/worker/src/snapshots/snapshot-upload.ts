import { createReadStream } from 'node:fs';
import { join, posix } from 'node:path';
import { Transform } from 'node:stream';
import { type SnapshotTaken } from '@corral/contracts';
import { type ObjectStore } from '@corral/object-store';

export interface SnapshotUploadOptions {
  readonly store: ObjectStore;
  /** Where the files lie. */
  readonly directory: string;
  /** What their object keys begin with. */
  readonly keyPrefix: string;
  readonly taken: SnapshotTaken;
  readonly signal: AbortSignal;
  /** Throws when this node has no right to go on. */
  checkRight(): void;
  onProgress(uploadedBytes: number): void;
}

const READ_BYTES = 1024 * 1024;

/**
 * Stores a snapshot's files, the manifest last: a snapshot whose manifest is there is whole. Each file counts as stored
 * only when the store itself has named its size and digest, and never replaces another that is there. The result is the manifest's key. Throws ObjectStoreFailure;
 * trying again is safe.
 */
export async function uploadSnapshot({
  store,
  directory,
  keyPrefix,
  taken,
  signal,
  checkRight,
  onProgress,
}: SnapshotUploadOptions): Promise<string> {
  let uploadedBytes = 0;
  for (const { name, sha256, sizeBytes } of [
    ...taken.files.filter(({ name }) => name !== taken.manifest.name),
    taken.manifest,
  ]) {
    checkRight();
    const meter = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        try {
          checkRight();
        } catch (error) {
          return done(error as Error);
        }
        uploadedBytes += chunk.length;
        onProgress(uploadedBytes);
        done(null, chunk);
      },
    });
    const file = createReadStream(join(directory, name), { highWaterMark: READ_BYTES });
    file.on('error', (error) => meter.destroy(error));
    // The store hears of it too, unless it has given up: then nobody else listens.
    meter.on('error', () => undefined);
    try {
      await store.putStream(posix.join(keyPrefix, name), file.pipe(meter), { sha256, sizeBytes, signal, ifAbsent: true });
    } finally {
      file.destroy();
    }
  }
  return posix.join(keyPrefix, taken.manifest.name);
}

export const totalBytesOf = (taken: SnapshotTaken): number =>
  taken.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
