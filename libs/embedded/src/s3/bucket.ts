import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { z } from 'zod';
import { CHECKSUM_ALGORITHMS } from './checksum.ts';
import { S3Fault } from './fault.ts';
import { syncFolder, writeAtomically, type Durability } from './files.ts';

const READ_BYTES = 1024 * 1024;
const ABANDONED_UPLOAD_MS = 24 * 3600 * 1000;

/** One object: its record names the files that hold its bytes, in order, so that a multipart upload is never copied. */
const ObjectRecord = z.object({
  key: z.string(),
  extents: z.array(z.object({ file: z.string(), sizeBytes: z.number().int() })),
  sizeBytes: z.number().int(),
  etag: z.string(),
  modifiedAt: z.string(),
  /** Content-Type, x-amz-meta-* and the like, given back as they came. */
  headers: z.record(z.string(), z.string()),
  checksums: z.partialRecord(z.enum(CHECKSUM_ALGORITHMS), z.string()),
  /** The multipart upload it came from, so that completing twice answers the same twice. */
  uploadId: z.string().optional(),
});
export type ObjectRecord = z.output<typeof ObjectRecord>;

export interface WriteConditions {
  readonly ifMatch?: string | undefined;
  readonly ifNoneMatch?: string | undefined;
}

/**
 * One bucket in one folder: `objects/<sha256 of key>.json` are the records, `data/` the bytes, `uploads/` what is not yet
 * an object. A record's rename is the moment an object exists; data that no record names is swept at the next start.
 */
export class Bucket {
  readonly folder: string;
  readonly durability: Durability;
  readonly #records = new Map<string, ObjectRecord>();
  readonly #writes = new Map<string, Promise<unknown>>();
  #sortedKeys: readonly string[] | undefined;

  private constructor(folder: string, durability: Durability) {
    this.folder = folder;
    this.durability = durability;
  }

  static async open(folder: string, durability: Durability): Promise<Bucket> {
    const bucket = new Bucket(folder, durability);
    for (const part of ['objects', 'data', 'uploads'])
      await mkdir(join(folder, part), { recursive: true, mode: 0o700 });
    await bucket.#load();
    await bucket.#sweep();
    return bucket;
  }

  async #load(): Promise<void> {
    for (const name of await readdir(join(this.folder, 'objects'))) {
      const file = join(this.folder, 'objects', name);
      if (!name.endsWith('.json')) {
        await rm(file, { force: true });
        continue;
      }
      const record = ObjectRecord.parse(JSON.parse(await readFile(file, 'utf8')));
      this.#records.set(record.key, record);
    }
  }

  async #sweep(): Promise<void> {
    const named = new Set([...this.#records.values()].flatMap(({ extents }) => extents.map(({ file }) => file)));
    for (const file of await readdir(join(this.folder, 'data'))) {
      if (!named.has(file)) await rm(join(this.folder, 'data', file), { force: true });
    }
    for (const upload of await readdir(join(this.folder, 'uploads'))) {
      const folder = join(this.folder, 'uploads', upload);
      if (Date.now() - (await stat(folder)).mtimeMs > ABANDONED_UPLOAD_MS)
        await rm(folder, { recursive: true, force: true });
    }
  }

  get isEmpty(): boolean {
    return this.#records.size === 0;
  }

  get sortedKeys(): readonly string[] {
    this.#sortedKeys ??= [...this.#records.keys()].sort();
    return this.#sortedKeys;
  }

  find(key: string): ObjectRecord | undefined {
    return this.#records.get(key);
  }

  get(key: string): ObjectRecord {
    const record = this.#records.get(key);
    if (!record) throw new S3Fault('NoSuchKey');
    return record;
  }

  /** A path for bytes that are about to become an object. */
  newDataFile(): { readonly file: string; readonly path: string } {
    const file = randomUUID();
    return { file, path: this.pathOf(file) };
  }

  pathOf(file: string): string {
    return join(this.folder, 'data', file);
  }

  /** Makes the object exist, or replaces it. When the conditions do not hold, throws PreconditionFailed and drops the new bytes. */
  commit(record: ObjectRecord, conditions: WriteConditions): Promise<void> {
    return this.#inTurn(record.key, async () => {
      const previous = this.#records.get(record.key);
      try {
        if (conditions.ifNoneMatch === '*' && previous) throw new S3Fault('PreconditionFailed');
        if (conditions.ifMatch !== undefined && conditions.ifMatch !== previous?.etag)
          throw new S3Fault('PreconditionFailed');
        await syncFolder(join(this.folder, 'data'), this.durability);
        await writeAtomically(this.#recordFile(record.key), JSON.stringify(record), this.durability);
      } catch (error) {
        await this.#removeData(record);
        throw error;
      }
      this.#records.set(record.key, record);
      this.#sortedKeys = undefined;
      if (previous) await this.#removeData(previous);
    });
  }

  /** Deleting what is not there succeeds, as S3 has it. */
  delete(key: string): Promise<void> {
    return this.#inTurn(key, async () => {
      const record = this.#records.get(key);
      if (!record) return;
      await rm(this.#recordFile(key), { force: true });
      await syncFolder(join(this.folder, 'objects'), this.durability);
      this.#records.delete(key);
      this.#sortedKeys = undefined;
      await this.#removeData(record);
    });
  }

  /** Bytes `first` to `last`, both included. Once this resolves, replacing or deleting the object does not disturb the reader. */
  async read(record: ObjectRecord, first: number, last: number): Promise<Readable> {
    const spans: { readonly handle: FileHandle; readonly start: number; readonly end: number }[] = [];
    let offset = 0;
    try {
      for (const { file, sizeBytes } of record.extents) {
        const start = Math.max(first - offset, 0);
        const end = Math.min(last - offset, sizeBytes - 1);
        if (start <= end) spans.push({ handle: await open(this.pathOf(file), 'r'), start, end });
        offset += sizeBytes;
      }
    } catch (error) {
      await Promise.all(spans.map(({ handle }) => handle.close()));
      // It was replaced between the look at its record and now.
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') throw new S3Fault('NoSuchKey');
      throw error;
    }
    const closeAll = (): Promise<unknown> => Promise.allSettled(spans.map(({ handle }) => handle.close()));
    return Readable.from(
      (async function* () {
        try {
          for (const { handle, start, end } of spans) {
            yield* handle.createReadStream({ start, end, highWaterMark: READ_BYTES, autoClose: false });
          }
        } finally {
          await closeAll();
        }
      })(),
      { objectMode: false, highWaterMark: READ_BYTES },
    ).once('close', () => void closeAll());
  }

  async moveIn(path: string): Promise<string> {
    const { file, path: destination } = this.newDataFile();
    await rename(path, destination);
    return file;
  }

  #recordFile(key: string): string {
    return join(this.folder, 'objects', `${createHash('sha256').update(key).digest('hex')}.json`);
  }

  async #removeData({ extents }: ObjectRecord): Promise<void> {
    for (const { file } of extents) await rm(this.pathOf(file), { force: true });
  }

  /** One write of a key at a time: conditions are checked against what the write before left. */
  #inTurn<T>(key: string, write: () => Promise<T>): Promise<T> {
    const turn = (this.#writes.get(key) ?? Promise.resolve()).then(write, write);
    this.#writes.set(key, turn);
    const forget = (): void => {
      if (this.#writes.get(key) === turn) this.#writes.delete(key);
    };
    turn.then(forget, forget);
    return turn;
  }
}
