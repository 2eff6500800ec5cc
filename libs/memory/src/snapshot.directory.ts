import { createHash, webcrypto } from 'node:crypto';
import { open, readFile, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompress } from 'node:zlib';
import {
  decodeManifest,
  encodeManifest,
  MANIFEST_FILE,
  SNAPSHOT_FORMAT_VERSION,
  type SnapshotFileEntry,
  type SnapshotMachine,
  type SnapshotManifest,
} from './manifest.ts';
import { decodePack, encodePack, type Piece, type PieceRun } from './pack.ts';
import { SnapshotError } from './snapshot.error.ts';

const MEMORY_FILE = 'memory.pack';
const DISK_FILE = 'disk.pack';
const DEVICES_FILE = 'devices.bin';
/** Holds the SHA-256 of the manifest whose files this node has verified in this directory already. */
export const VERIFIED_FILE = 'verified';
/** Device state is 1 MB and 8 MB of screen memory. */
const MAX_DEVICES_BYTES = 512 * 1024 * 1024;

const compress = promisify(zstdCompress);
const expand = promisify(zstdDecompress);

export interface SnapshotContent {
  readonly machine: SnapshotMachine;
  readonly createdAt: Date;
  readonly pages: Iterable<Piece>;
  readonly devices: Uint8Array;
  /** Absent for a machine without a disk. */
  readonly clusters?: Iterable<Piece>;
}

export interface WrittenSnapshot {
  readonly files: readonly SnapshotFileEntry[];
  /** The last of `files`. */
  readonly manifest: SnapshotFileEntry;
}

/** Writes a complete snapshot into an existing, empty directory, the manifest last; everything is on disk when it resolves. */
export async function writeSnapshot(directory: string, content: SnapshotContent): Promise<WrittenSnapshot> {
  const { machine, createdAt, pages, devices, clusters } = content;
  const memory = await writePack(directory, MEMORY_FILE, pages);
  const disk = clusters && (await writePack(directory, DISK_FILE, clusters));
  const params = { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_checksumFlag]: 1 };
  const deviceFile = await writeFile(directory, DEVICES_FILE, [await compress(devices, { params })]);
  const manifest: SnapshotManifest = {
    formatVersion: SNAPSHOT_FORMAT_VERSION,
    createdAt: createdAt.toISOString(),
    machine,
    base: null,
    parent: null,
    files: { memory, devices: deviceFile, ...(disk ? { disk } : {}) },
  };
  const manifestFile = await writeFile(directory, MANIFEST_FILE, [encodeManifest(manifest)]);
  const files = [memory, deviceFile, ...(disk ? [disk] : []), manifestFile].map(({ name, sha256, sizeBytes }) => ({ name, sha256, sizeBytes }));
  return { files, manifest: manifestFile };
}

/** A snapshot's content, while its digests are still being computed: nothing may run before `verified` resolves. */
export interface OpenedSnapshot {
  readonly manifest: SnapshotManifest;
  /** Resolves when every file is what the manifest says; rejects with SnapshotError. */
  readonly verified: Promise<void>;
  pages(): AsyncGenerator<PieceRun>;
  devices(): Promise<Uint8Array<ArrayBuffer>>;
  clusters(): AsyncGenerator<PieceRun>;
}

/** Opens a directory that holds a snapshot's files. Throws SnapshotError. */
export async function openSnapshot(directory: string): Promise<OpenedSnapshot> {
  const manifestBytes = await read(directory, MANIFEST_FILE);
  const manifest = decodeManifest(manifestBytes);
  const { memory, devices, disk } = manifest.files;
  const [memoryBytes, deviceBytes, diskBytes] = await Promise.all([
    readWhole(directory, memory),
    readWhole(directory, devices),
    disk ? readWhole(directory, disk) : undefined,
  ]);
  const verified = verify(directory, manifestBytes, [
    [memory, memoryBytes],
    [devices, deviceBytes],
    ...(disk && diskBytes ? [[disk, diskBytes] as const] : []),
  ]);
  // Whoever opened it awaits this when the rest is done.
  verified.catch(() => undefined);
  return {
    manifest,
    verified,
    pages: () => decodePack(memoryBytes),
    devices: async () => {
      try {
        return await expandExactly(deviceBytes);
      } catch (error) {
        throw new SnapshotError('SnapshotCorrupt', `${DEVICES_FILE} does not decompress`, { cause: error });
      }
    },
    clusters: async function* () {
      if (diskBytes) yield* decodePack(diskBytes);
    },
  };
}

async function expandExactly(compressed: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await expand(compressed, { maxOutputLength: MAX_DEVICES_BYTES });
  return new Uint8Array(bytes);
}

async function verify(
  directory: string,
  manifestBytes: Uint8Array,
  files: readonly (readonly [SnapshotFileEntry, Uint8Array<ArrayBuffer>])[],
): Promise<void> {
  const marker = await readFile(join(directory, VERIFIED_FILE), 'utf8').catch(() => '');
  if (marker.trim() === createHash('sha256').update(manifestBytes).digest('hex')) return;
  await Promise.all(
    files.map(async ([{ name, sha256 }, bytes]) => {
      // Web Crypto hashes in another thread, while this one builds the machine.
      const digest = Buffer.from(await webcrypto.subtle.digest('SHA-256', bytes)).toString('hex');
      if (digest !== sha256) throw new SnapshotError('SnapshotCorrupt', `${name} is not what was saved: its SHA-256 is ${digest}, not ${sha256}`);
    }),
  );
}

async function readWhole(directory: string, { name, sizeBytes }: SnapshotFileEntry): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await read(directory, name);
  if (bytes.length !== sizeBytes) {
    throw new SnapshotError('SnapshotCorrupt', `${name} has ${bytes.length} bytes; the manifest says ${sizeBytes}`);
  }
  return bytes;
}

async function read(directory: string, name: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return await readFile(join(directory, name));
  } catch (error) {
    throw new SnapshotError('SnapshotUnreadable', `the snapshot’s ${name} cannot be read`, { cause: error });
  }
}

async function writePack(directory: string, name: string, pieces: Iterable<Piece>): Promise<SnapshotFileEntry & { readonly pieces: number }> {
  let count = 0;
  const counted = (function* () {
    for (const piece of pieces) {
      count += 1;
      yield piece;
    }
  })();
  const file = await writeFile(directory, name, encodePack(counted));
  return { ...file, pieces: count };
}

async function writeFile(
  directory: string,
  name: string,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<SnapshotFileEntry> {
  const handle: FileHandle = await open(join(directory, name), 'wx');
  try {
    const hash = createHash('sha256');
    let sizeBytes = 0;
    for await (const chunk of chunks) {
      hash.update(chunk);
      await handle.write(chunk);
      sizeBytes += chunk.length;
    }
    await handle.sync();
    return { name, sha256: hash.digest('hex'), sizeBytes };
  } finally {
    await handle.close();
  }
}
