import { createReadStream } from 'node:fs';
import { join, posix } from 'node:path';
import { Transform } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { isPackReusable, PACK_DELETION_WINDOW_MS, type SnapshotFile, type SnapshotTaken } from '@corral/contracts';
import { type Layer, layersOf, packKey, type SnapshotManifest, storedFilesOf } from '@corral/memory';
import { type ObjectStore, ObjectStoreFailure } from '@corral/object-store';
import pLimit from 'p-limit';

export interface SnapshotUploadOptions {
  readonly store: ObjectStore;
  /** Where the files beside the manifest lie, and the manifest. */
  readonly directory: string;
  /** Where a pack lies on this node, if it does. */
  packPath(sha256: string): string;
  /** What the manifest's object key begins with, unique to this snapshot. */
  readonly keyPrefix: string;
  readonly namespace: string;
  readonly taken: SnapshotTaken;
  readonly manifest: SnapshotManifest;
  /** Object keys that something named before this snapshot did, and names still: nobody deletes them. */
  readonly named: ReadonlySet<string>;
  /** When this snapshot's own layers were named, as `performance.now()` counts. */
  readonly namedAtMs: number;
  readonly signal: AbortSignal;
  now(): Date;
  /** Throws when this node has no right to go on. */
  checkRight(): void;
  onProgress(uploadedBytes: number): void;
}

const READ_BYTES = 1024 * 1024;
const UPLOADS_AT_ONCE = 4;

/**
 * Stores a snapshot, the manifest last: a snapshot whose manifest is there is whole. Packs are named by their content and
 * shared inside a namespace: one that is there already is not sent again, unless it has been there so long that whoever removes
 * what nobody needs may be about to. Everything that is sent counts as stored only when the store itself has named its size and digest, and
 * never replaces other bytes. The result is the manifest's key. Throws ObjectStoreFailure or PartLost; trying again is safe.
 */
export async function uploadSnapshot(options: SnapshotUploadOptions): Promise<string> {
  const upload = new SnapshotUpload(options);
  await upload.parts();
  await upload.confirmRewritten();
  return upload.manifest();
}

/** Part of a snapshot is neither on this node nor in the object store. */
export class PartLost extends Error {
  override readonly name = 'PartLost';
  constructor(key: string) {
    super(`${key} is neither on this node nor in the object store`);
  }
}

class SnapshotUpload {
  readonly #options: SnapshotUploadOptions;
  readonly #atOnce = pLimit(UPLOADS_AT_ONCE);
  /** Ends everything that is under way when one part has failed. */
  readonly #failed = new AbortController();
  readonly #signal: AbortSignal;
  /** Packs that were there before, and that somebody may have been about to delete. */
  readonly #rewritten: Layer[] = [];
  #uploadedBytes = 0;

  constructor(options: SnapshotUploadOptions) {
    this.#options = options;
    this.#signal = AbortSignal.any([options.signal, this.#failed.signal]);
  }

  /** Everything but the manifest. */
  async parts(): Promise<void> {
    const { manifest } = this.#options;
    await this.#all([...layersOf(manifest).map((layer) => () => this.#bring(layer)), ...storedFilesOf(manifest).map((file) => () => this.#sendFile(file))]);
  }

  /** Looks once more at what was there before, when every deletion decided before this snapshot named it is over. */
  async confirmRewritten(): Promise<void> {
    if (this.#rewritten.length === 0) return;
    await pause(Math.max(0, this.#options.namedAtMs + PACK_DELETION_WINDOW_MS - performance.now()), undefined, { signal: this.#signal });
    await this.#all(this.#rewritten.map((layer) => async () => {
      if (!(await this.#isThere(layer))) await this.#sendPack(layer, { ifAbsent: true });
    }));
  }

  async manifest(): Promise<string> {
    const { taken, keyPrefix } = this.#options;
    await this.#sendFile(taken.manifest);
    return posix.join(keyPrefix, taken.manifest.name);
  }

  async #bring(layer: Layer): Promise<void> {
    const { store, namespace, named, taken } = this.#options;
    const found = await store.head(layer.key, this.#signal);
    const isOurs = layer.key === packKey(namespace, layer.sha256);
    // Other bytes under a pack's name are damage: what is written is always what the name says.
    const isWhole = found?.sizeBytes === layer.sizeBytes;
    if (!isOurs && isWhole) return;
    if (!isOurs) throw new ObjectStoreFailure('NotFound', `Layer ${layer.key}: there is no such object`);
    if (isWhole && (named.has(layer.key) || isPackReusable(found.modifiedAt, this.#options.now()))) {
      if (taken.files.some(({ name }) => name === layer.sha256)) this.#progress(layer.sizeBytes);
      return;
    }
    if (found) this.#rewritten.push(layer);
    await this.#sendPack(layer, { ifAbsent: !found });
  }

  async #isThere(layer: Layer): Promise<boolean> {
    return (await this.#options.store.head(layer.key, this.#signal))?.sizeBytes === layer.sizeBytes;
  }

  #sendPack(layer: Layer, how: { readonly ifAbsent: boolean }): Promise<void> {
    return this.#send(layer.key, this.#options.packPath(layer.sha256), layer, how);
  }

  #sendFile(file: SnapshotFile): Promise<void> {
    const { directory, keyPrefix } = this.#options;
    return this.#send(posix.join(keyPrefix, file.name), join(directory, file.name), file, { ifAbsent: true });
  }

  async #send(key: string, path: string, { sha256, sizeBytes }: Pick<Layer, 'sha256' | 'sizeBytes'>, { ifAbsent }: { readonly ifAbsent: boolean }): Promise<void> {
    const { store, checkRight } = this.#options;
    checkRight();
    let denied: Error | undefined;
    const meter = new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        try {
          checkRight();
        } catch (error) {
          denied = error as Error;
          return done(denied);
        }
        this.#progress(chunk.length);
        done(null, chunk);
      },
    });
    const file = createReadStream(path, { highWaterMark: READ_BYTES });
    file.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') denied = new PartLost(key);
      meter.destroy(error);
    });
    // The store hears of it too, unless it has given up: then nobody else listens.
    meter.on('error', () => undefined);
    try {
      await store.putStream(key, file.pipe(meter), { sha256, sizeBytes, signal: this.#signal, ifAbsent });
    } catch (error) {
      // The store only knows that its source broke.
      throw denied ?? error;
    } finally {
      file.destroy();
    }
  }

  #progress(bytes: number): void {
    this.#uploadedBytes += bytes;
    this.#options.onProgress(Math.min(this.#uploadedBytes, totalBytesOf(this.#options.taken)));
  }

  /** A few at once. The first failure ends the others, and is what is thrown once none is under way any more. */
  async #all(parts: readonly (() => Promise<void>)[]): Promise<void> {
    let first: { readonly error: unknown } | undefined;
    const underWay = parts.map((part) =>
      this.#atOnce(async () => {
        if (!first) await part();
      }).catch((error: unknown) => {
        first ??= { error };
        this.#failed.abort(error);
      }),
    );
    await Promise.all(underWay);
    if (first) throw (first as { readonly error: unknown }).error;
  }
}

export const totalBytesOf = (taken: SnapshotTaken): number =>
  taken.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
