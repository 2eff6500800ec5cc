import { createHash } from 'node:crypto';
import { open, readFile, type FileHandle } from 'node:fs/promises';
import { join, posix } from 'node:path';
import type { Layer, SnapshotFileEntry } from './manifest.ts';
import { PackReader } from './pack.ts';
import { SnapshotError } from './snapshot.error.ts';

const HASH_CHUNK_BYTES = 1024 * 1024;

/** Any file of a snapshot: what is read of it must be what its manifest says. */
export class SnapshotFile {
  readonly name: string;
  readonly #handle: FileHandle;
  readonly #expected: Pick<SnapshotFileEntry, 'sha256' | 'sizeBytes'>;

  private constructor(name: string, handle: FileHandle, expected: Pick<SnapshotFileEntry, 'sha256' | 'sizeBytes'>) {
    this.name = name;
    this.#handle = handle;
    this.#expected = expected;
  }

  /** The first of the paths that is there. Throws SnapshotError where none is, or where it has another size. */
  static async open(name: string, paths: readonly string[], expected: Pick<SnapshotFileEntry, 'sha256' | 'sizeBytes'>): Promise<SnapshotFile> {
    const handle = await openFirst(name, paths);
    try {
      const { size } = await handle.stat();
      if (size === expected.sizeBytes) return new SnapshotFile(name, handle, expected);
      throw new SnapshotError('SnapshotCorrupt', `${name} has ${size} bytes; the manifest says ${expected.sizeBytes}`);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  get sizeBytes(): number {
    return this.#expected.sizeBytes;
  }

  /** Throws SnapshotError where the file ends before. */
  async read(offset: number, length: number): Promise<Uint8Array> {
    const { bytesRead, buffer } = await this.#handle.read(Buffer.allocUnsafe(length), 0, length, offset);
    if (bytesRead !== length) throw new SnapshotError('SnapshotCorrupt', `${this.name} ends early`);
    return buffer;
  }

  readAll(): Promise<Uint8Array> {
    return this.read(0, this.sizeBytes);
  }

  /** Computes its digest. Throws SnapshotError where it is another. */
  async verify(): Promise<void> {
    const chunk = Buffer.allocUnsafe(HASH_CHUNK_BYTES);
    const hash = createHash('sha256');
    for (let at = 0; at < this.sizeBytes; ) {
      const { bytesRead } = await this.#handle.read(chunk, 0, chunk.length, at);
      if (bytesRead === 0) break;
      hash.update(chunk.subarray(0, bytesRead));
      at += bytesRead;
    }
    const digest = hash.digest('hex');
    if (digest === this.#expected.sha256) return;
    throw new SnapshotError('SnapshotCorrupt', `${this.name} is not what was saved: its SHA-256 is ${digest}, not ${this.#expected.sha256}`);
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

/** Where a pack may lie: in the folder where a node keeps packs of many snapshots, by digest, having verified them; or beside its manifest. */
export function packPaths({ key, sha256 }: Pick<Layer, 'key' | 'sha256'>, directory: string, packs: string | undefined): string[] {
  return [...(packs === undefined ? [] : [join(packs, sha256)]), join(directory, posix.basename(key))];
}

/** The pack of a layer. Throws SnapshotError. */
export async function openLayer(layer: Layer, file: SnapshotFile): Promise<PackReader> {
  const pack = await PackReader.open(file);
  if (pack.numbers.length === layer.pieces) return pack;
  throw new SnapshotError('SnapshotCorrupt', `${file.name} holds ${pack.numbers.length} pieces; the manifest says ${layer.pieces}`);
}

/** A small file, whole. Throws SnapshotError where it is not there. */
export async function readSmall(directory: string, name: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return await readFile(join(directory, name));
  } catch (error) {
    throw unreadable(name, error);
  }
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function openFirst(name: string, paths: readonly string[]): Promise<FileHandle> {
  let cause: unknown;
  for (const path of paths) {
    try {
      return await open(path);
    } catch (error) {
      cause = error;
    }
  }
  throw unreadable(name, cause);
}

function unreadable(name: string, cause: unknown): SnapshotError {
  return new SnapshotError('SnapshotUnreadable', `the snapshot’s ${name} cannot be read`, { cause });
}
