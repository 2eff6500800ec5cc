import { createHash, hash } from 'node:crypto';
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';
import type { SnapshotMachine } from './machine.ts';
import { SNAPSHOT_SCREEN_FILE } from '@corral/contracts/for-vm-process';
import { adopted, encodeManifest, storedFilesOf, type Layer, MANIFEST_FILE, packKey, SNAPSHOT_FORMAT_VERSION, type SnapshotFileEntry, type SnapshotManifest } from './manifest.ts';
import { encodePack, type Piece } from './pack.ts';
import { SnapshotError } from './snapshot.error.ts';

const DEVICES_FILE = 'devices.bin';
const SERIAL_FILE = 'serial.bin';
/** There is no room: on the disk, for this user, or in one file. Source: write(2). */
const FULL: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

const compress = promisify(zstdCompress);

/** What changed, on what it lies: see layerPlan. */
export interface LayeredPieces {
  /** What the new pack lies on, the base first. */
  readonly below: readonly Layer[];
  /** Over a base, a page that became zero is one like any other. */
  readonly pieces: Iterable<Piece>;
}

export interface SnapshotContent {
  readonly machine: SnapshotMachine;
  readonly createdAt: Date;
  /** SHA-256 of the manifest this one follows; null for the first. */
  readonly parent: string | null;
  /** Where its new packs will lie in the object store. */
  readonly namespace: string;
  readonly memory: LayeredPieces;
  readonly devices: Uint8Array;
  /** Absent for a machine without a disk. */
  readonly disk?: LayeredPieces;
  /** The last that the guest said on its serial line, at most MAX_SERIAL_BYTES. */
  readonly serial?: Uint8Array;
  /** What the machine shows, as a PNG of at most MAX_SNAPSHOT_SCREEN_BYTES. */
  readonly screen?: Uint8Array;
}

export interface WrittenSnapshot {
  /** What was written: new packs, named by their digest, and the files beside the manifest. */
  readonly files: readonly SnapshotFileEntry[];
  /** The last of `files`. */
  readonly manifest: SnapshotFileEntry;
  /** What the manifest says. */
  readonly content: SnapshotManifest;
}

/**
 * Writes a snapshot into an existing, empty directory, the manifest last; everything is on disk when it resolves. Packs it
 * lies on are not written again: only the manifest names them. Throws SnapshotError where there is no room; whatever
 * went wrong, nothing it wrote is left.
 */
export async function writeSnapshot(directory: string, content: SnapshotContent): Promise<WrittenSnapshot> {
  const writer = new SnapshotWriter(directory);
  try {
    return await write(writer, content);
  } catch (error) {
    await writer.remove();
    if (!FULL.has((error as NodeJS.ErrnoException).code)) throw error;
    throw new SnapshotError('DiskFull', 'the node’s disk has no room for the snapshot', { cause: error });
  }
}

async function write(writer: SnapshotWriter, content: SnapshotContent): Promise<WrittenSnapshot> {
  const { machine, createdAt, parent, namespace, memory, devices, disk, serial, screen } = content;
  const memoryLayers = await writeLayers(writer, memory, namespace);
  const diskLayers = disk && (await writeLayers(writer, disk, namespace));
  const params = { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_checksumFlag]: 1 };
  const deviceFile = await writer.write(DEVICES_FILE, [await compress(devices, { params })]);
  const serialFile = serial && serial.length > 0 ? await writer.write(SERIAL_FILE, [serial]) : undefined;
  const screenFile = screen && (await writer.write(SNAPSHOT_SCREEN_FILE, [screen]));
  const manifest: SnapshotManifest = {
    formatVersion: SNAPSHOT_FORMAT_VERSION,
    createdAt: createdAt.toISOString(),
    machine,
    parent,
    memory: { layers: memoryLayers.layers },
    devices: deviceFile,
    ...(diskLayers ? { disk: { layers: diskLayers.layers } } : {}),
    ...(serialFile ? { serial: serialFile } : {}),
    ...(screenFile ? { screen: screenFile } : {}),
  };
  const manifestFile = await writer.write(MANIFEST_FILE, [encodeManifest(manifest)]);
  const packs = [memoryLayers.written, diskLayers?.written].filter((pack) => pack !== undefined);
  const files = new Map([...packs, ...storedFilesOf(manifest), manifestFile].map((file) => [file.name, file]));
  return { files: [...files.values()], manifest: manifestFile, content: manifest };
}

/** Where nothing changed there is no new layer. */
async function writeLayers(writer: SnapshotWriter, { below, pieces }: LayeredPieces, namespace: string): Promise<{ layers: Layer[]; written?: SnapshotFileEntry }> {
  const layers = below.map((layer) => adopted(layer, namespace));
  let count = 0;
  const counted = (function* () {
    for (const piece of pieces) {
      count += 1;
      yield piece;
    }
  })();
  let index: Uint8Array = new Uint8Array(0);
  const chunks = (async function* () {
    for await (const chunk of encodePack(counted)) {
      // The last one is.
      index = chunk;
      yield chunk;
    }
  })();
  const written = await writer.writePack(chunks, () => count > 0);
  if (!written) return { layers };
  const { sha256, sizeBytes } = written;
  return { layers: [...layers, { sha256, sizeBytes, pieces: count, indexSha256: hash('sha256', index), key: packKey(namespace, sha256) }], written };
}

/** Files of one folder, each written once, hashed on the way and synchronised. */
class SnapshotWriter {
  readonly #directory: string;
  readonly #names = new Set<string>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  async write(name: string, chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<SnapshotFileEntry> {
    const handle: FileHandle = await open(join(this.#directory, name), 'wx');
    this.#names.add(name);
    try {
      const hash = createHash('sha256');
      let sizeBytes = 0;
      for await (const chunk of chunks) {
        hash.update(chunk);
        // Not `write`: that may write less than it is given, and say so only in its answer.
        await handle.writeFile(chunk);
        sizeBytes += chunk.length;
      }
      await handle.sync();
      return { name, sha256: hash.digest('hex'), sizeBytes };
    } finally {
      await handle.close();
    }
  }

  /** Under the name of its digest; undefined, and no file, where it turns out not to be wanted. */
  async writePack(chunks: AsyncIterable<Uint8Array>, isWanted: () => boolean): Promise<SnapshotFileEntry | undefined> {
    const temporary = 'pack.part';
    const { sha256, sizeBytes } = await this.write(temporary, chunks);
    this.#names.delete(temporary);
    const path = join(this.#directory, temporary);
    if (!isWanted()) {
      await rm(path);
      return undefined;
    }
    await rename(path, join(this.#directory, sha256));
    this.#names.add(sha256);
    return { name: sha256, sha256, sizeBytes };
  }

  /** Everything it wrote, also what it was writing. */
  async remove(): Promise<void> {
    for (const name of this.#names) await rm(join(this.#directory, name), { force: true });
  }
}
