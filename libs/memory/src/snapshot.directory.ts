import { createHash } from 'node:crypto';
import { readSync } from 'node:fs';
import { mkdir, open, readFile, rename, rm, stat, writeFile as writeWholeFile, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompress } from 'node:zlib';
import {
  decodeManifest,
  encodeManifest,
  filesOf,
  MANIFEST_FILE,
  SNAPSHOT_FORMAT_VERSION,
  type SnapshotFileEntry,
  type SnapshotMachine,
  type SnapshotManifest,
} from './manifest.ts';
import { encodePack, PackReader, PIECE_BYTES, type Piece, type PieceRun } from './pack.ts';
import { SnapshotError } from './snapshot.error.ts';

const MEMORY_FILE = 'memory.pack';
const DISK_FILE = 'disk.pack';
const DEVICES_FILE = 'devices.bin';
const SERIAL_FILE = 'serial.bin';
/** Holds the SHA-256 of the manifest whose files were verified in this directory already, as they were fetched. */
export const VERIFIED_FILE = 'verified';
/** What a node that uses a snapshot again and again keeps beside it: see expandSnapshot. */
const EXPANDED_FOLDER = 'expanded';
const EXPANDED_MEMORY = 'ram';
const EXPANDED_DEVICES = 'devices';
const EXPANDED_MARKER = 'manifest.sha256';
/** Machines run on it: nobody writes to it again. */
const READ_ONLY = 0o400;
const HASH_CHUNK_BYTES = 1024 * 1024;
/** Device state is 1 MB and 8 MB of screen memory. */
const MAX_DEVICES_BYTES = 512 * 1024 * 1024;
const DEVICES_CHUNK_BYTES = 16 * 1024 * 1024;

const compress = promisify(zstdCompress);
const expand = promisify(zstdDecompress);

export interface SnapshotContent {
  readonly machine: SnapshotMachine;
  readonly createdAt: Date;
  readonly pages: Iterable<Piece>;
  readonly devices: Uint8Array;
  /** Absent for a machine without a disk. */
  readonly clusters?: Iterable<Piece>;
  /** The last that the guest said on its serial line, at most MAX_SERIAL_BYTES. */
  readonly serial?: Uint8Array;
}

export interface WrittenSnapshot {
  readonly files: readonly SnapshotFileEntry[];
  /** The last of `files`. */
  readonly manifest: SnapshotFileEntry;
}

/** Writes a complete snapshot into an existing, empty directory, the manifest last; everything is on disk when it resolves. */
export async function writeSnapshot(directory: string, content: SnapshotContent): Promise<WrittenSnapshot> {
  const { machine, createdAt, pages, devices, clusters, serial } = content;
  const memory = await writePack(directory, MEMORY_FILE, pages);
  const disk = clusters && (await writePack(directory, DISK_FILE, clusters));
  const params = { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_checksumFlag]: 1 };
  const deviceFile = await writeFile(directory, DEVICES_FILE, [await compress(devices, { params })]);
  const serialFile = serial && serial.length > 0 ? await writeFile(directory, SERIAL_FILE, [serial]) : undefined;
  const manifest: SnapshotManifest = {
    formatVersion: SNAPSHOT_FORMAT_VERSION,
    createdAt: createdAt.toISOString(),
    machine,
    base: null,
    parent: null,
    files: { memory, devices: deviceFile, ...(disk ? { disk } : {}), ...(serialFile ? { serial: serialFile } : {}) },
  };
  const manifestFile = await writeFile(directory, MANIFEST_FILE, [encodeManifest(manifest)]);
  const files = [...filesOf(manifest), manifestFile].map(({ name, sha256, sizeBytes }) => ({ name, sha256, sizeBytes }));
  return { files, manifest: manifestFile };
}

/** Where `count` pages from a number on are to be put. Asked anew for every run, and written to at once. */
export type PagePlace = (number: number, count: number) => Uint8Array;

/** A snapshot whose manifest was read. Its digests are still being computed: nothing may run before `verified` resolves. */
export interface OpenedSnapshot {
  readonly manifest: SnapshotManifest;
  /** Resolves when every file is what the manifest says; rejects with SnapshotError. */
  readonly verified: Promise<void>;
  readMemory(place: PagePlace): Promise<void>;
  /** Path of the machine's RAM as one file, with holes where it is zero; only where it was expanded. It never changes. */
  readonly memoryImage: string | undefined;
  devices(): Promise<Uint8Array<ArrayBuffer>>;
  clusters(): AsyncGenerator<PieceRun>;
  /** What the guest had said lately on its serial line. */
  serial(): Promise<Uint8Array>;
  close(): Promise<void>;
}

/**
 * Opens a directory that holds a snapshot's files. Throws SnapshotError. Digests are not computed where the marker
 * VERIFIED_FILE says that they were, or where `expandSnapshot` was called before: then what that wrote is read.
 */
export async function openSnapshot(directory: string): Promise<OpenedSnapshot> {
  const manifestBytes = await readSmall(directory, MANIFEST_FILE);
  const manifest = decodeManifest(manifestBytes);
  const files = new SnapshotFiles(directory, manifest);
  try {
    await files.open();
    const expanded = await isExpanded(directory, manifestBytes, manifest);
    const verified = expanded || (await isMarkedVerified(directory, manifestBytes)) ? Promise.resolve() : files.verify();
    // Whoever opened it awaits this when the rest is done.
    verified.catch(() => undefined);
    return {
      manifest,
      verified,
      memoryImage: expanded ? join(directory, EXPANDED_FOLDER, EXPANDED_MEMORY) : undefined,
      readMemory: (place) => (expanded ? files.readExpandedMemory(place) : files.readPackedMemory(place)),
      devices: () => (expanded ? files.expandedDevices() : files.packedDevices()),
      clusters: () => files.clusters(),
      serial: () => files.serial(),
      close: async () => {
        await verified.catch(() => undefined);
        await files.close();
      },
    };
  } catch (error) {
    await files.close();
    throw error;
  }
}

/**
 * Verifies a snapshot and keeps its memory and devices uncompressed beside it, so that opening it again costs a mapping, or a copy.
 * Throws SnapshotError. The files named by the manifest stay as they are.
 */
export async function expandSnapshot(directory: string): Promise<void> {
  const manifestBytes = await readSmall(directory, MANIFEST_FILE);
  const manifest = decodeManifest(manifestBytes);
  if (await isExpanded(directory, manifestBytes, manifest)) return;
  const files = new SnapshotFiles(directory, manifest);
  const folder = join(directory, `${EXPANDED_FOLDER}.${process.pid}`);
  try {
    await files.open();
    if (!(await isMarkedVerified(directory, manifestBytes))) await files.verify();
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder);
    await files.writeExpandedMemory(join(folder, EXPANDED_MEMORY));
    await writeWholeFile(join(folder, EXPANDED_DEVICES), await files.packedDevices());
    await writeWholeFile(join(folder, EXPANDED_MARKER), sha256(manifestBytes));
    await rm(join(directory, EXPANDED_FOLDER), { recursive: true, force: true });
    await rename(folder, join(directory, EXPANDED_FOLDER));
  } finally {
    await files.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function isMarkedVerified(directory: string, manifestBytes: Uint8Array): Promise<boolean> {
  const marker = await readFile(join(directory, VERIFIED_FILE), 'utf8').catch(() => '');
  return marker.trim() === sha256(manifestBytes);
}

async function isExpanded(directory: string, manifestBytes: Uint8Array, { machine }: SnapshotManifest): Promise<boolean> {
  const folder = join(directory, EXPANDED_FOLDER);
  const marker = await readFile(join(folder, EXPANDED_MARKER), 'utf8').catch(() => undefined);
  if (marker !== sha256(manifestBytes)) return false;
  const size = await stat(join(folder, EXPANDED_MEMORY)).then(({ size: bytes }) => bytes, () => -1);
  return size === memoryBytes(machine);
}

/** The open files of one snapshot. */
class SnapshotFiles {
  readonly #directory: string;
  readonly #manifest: SnapshotManifest;
  readonly #handles = new Map<string, FileHandle>();

  constructor(directory: string, manifest: SnapshotManifest) {
    this.#directory = directory;
    this.#manifest = manifest;
  }

  /** Opens every file and compares its size. */
  async open(): Promise<void> {
    for (const { name, sizeBytes } of filesOf(this.#manifest)) {
      const handle = await open(join(this.#directory, name)).catch((error: unknown) => {
        throw unreadable(name, error);
      });
      this.#handles.set(name, handle);
      const { size } = await handle.stat();
      if (size !== sizeBytes) throw new SnapshotError('SnapshotCorrupt', `${name} has ${size} bytes; the manifest says ${sizeBytes}`);
    }
  }

  async verify(): Promise<void> {
    const chunk = Buffer.allocUnsafe(HASH_CHUNK_BYTES);
    for (const entry of filesOf(this.#manifest)) {
      const handle = this.#handle(entry.name);
      const hash = createHash('sha256');
      for (let at = 0; at < entry.sizeBytes; ) {
        const { bytesRead } = await handle.read(chunk, 0, chunk.length, at);
        if (bytesRead === 0) break;
        hash.update(chunk.subarray(0, bytesRead));
        at += bytesRead;
      }
      const digest = hash.digest('hex');
      if (digest === entry.sha256) continue;
      throw new SnapshotError('SnapshotCorrupt', `${entry.name} is not what was saved: its SHA-256 is ${digest}, not ${entry.sha256}`);
    }
  }

  async readPackedMemory(place: PagePlace): Promise<void> {
    const pack = await this.#memoryPack();
    for await (const { numbers, bytes } of pack.runs()) {
      for (const run of contiguous(numbers)) {
        place(run.number, run.count).set(bytes.subarray(run.at * PIECE_BYTES, (run.at + run.count) * PIECE_BYTES));
      }
    }
  }

  /** Straight from the host's page cache into the guest's RAM; synchronous, because that memory may move in between. */
  async readExpandedMemory(place: PagePlace): Promise<void> {
    const pack = await this.#memoryPack();
    const file = await open(join(this.#directory, EXPANDED_FOLDER, EXPANDED_MEMORY));
    try {
      for (const run of contiguous(pack.numbers)) {
        const bytes = run.count * PIECE_BYTES;
        const read = readSync(file.fd, place(run.number, run.count), 0, bytes, run.number * PIECE_BYTES);
        if (read !== bytes) throw new SnapshotError('SnapshotUnreadable', 'the expanded snapshot ends early');
      }
    } finally {
      await file.close();
    }
  }

  async writeExpandedMemory(path: string): Promise<void> {
    const pack = await this.#memoryPack();
    const file = await open(path, 'wx', READ_ONLY);
    try {
      await file.truncate(memoryBytes(this.#manifest.machine));
      for await (const { numbers, bytes } of pack.runs()) {
        for (const { number, count, at } of contiguous(numbers)) await file.write(bytes, at * PIECE_BYTES, count * PIECE_BYTES, number * PIECE_BYTES);
      }
    } finally {
      await file.close();
    }
  }

  async packedDevices(): Promise<Uint8Array<ArrayBuffer>> {
    const { name, sizeBytes } = this.#manifest.files.devices;
    const compressed = await readAt(this.#handle(name), 0, sizeBytes);
    try {
      // With Node's default of 16 KiB, nine megabytes would take six hundred trips through a thread.
      return new Uint8Array(await expand(compressed, { maxOutputLength: MAX_DEVICES_BYTES, chunkSize: DEVICES_CHUNK_BYTES }));
    } catch (error) {
      throw new SnapshotError('SnapshotCorrupt', `${name} does not decompress`, { cause: error });
    }
  }

  expandedDevices(): Promise<Uint8Array<ArrayBuffer>> {
    return readSmall(join(this.#directory, EXPANDED_FOLDER), EXPANDED_DEVICES);
  }

  async *clusters(): AsyncGenerator<PieceRun> {
    const { disk } = this.#manifest.files;
    if (disk) yield* (await this.#pack(disk)).runs();
  }

  async serial(): Promise<Uint8Array> {
    const { serial } = this.#manifest.files;
    return serial ? readAt(this.#handle(serial.name), 0, serial.sizeBytes) : new Uint8Array(0);
  }

  async close(): Promise<void> {
    const handles = [...this.#handles.values()];
    this.#handles.clear();
    await Promise.all(handles.map((handle) => handle.close()));
  }

  /** Its pages are the machine's: `place` need not look. */
  async #memoryPack(): Promise<PackReader> {
    const { files, machine } = this.#manifest;
    const pack = await this.#pack(files.memory);
    const pages = memoryBytes(machine) / PIECE_BYTES;
    const beyond = pack.numbers.find((number) => number >= pages);
    if (beyond === undefined) return pack;
    throw new SnapshotError('SnapshotCorrupt', `${files.memory.name} holds page ${beyond}; ${machine.memoryMiB}Mi have ${pages}`);
  }

  async #pack(entry: SnapshotFileEntry & { readonly pieces: number }): Promise<PackReader> {
    const handle = this.#handle(entry.name);
    const pack = await PackReader.open({ sizeBytes: entry.sizeBytes, read: (offset, length) => readAt(handle, offset, length) });
    if (pack.numbers.length !== entry.pieces) {
      throw new SnapshotError('SnapshotCorrupt', `${entry.name} holds ${pack.numbers.length} pieces; the manifest says ${entry.pieces}`);
    }
    return pack;
  }

  #handle(name: string): FileHandle {
    const handle = this.#handles.get(name);
    if (!handle) throw new SnapshotError('SnapshotUnreadable', `${name} is not open`);
    return handle;
  }
}

const memoryBytes = ({ memoryMiB }: SnapshotMachine): number => memoryMiB * 1024 * 1024;

interface Contiguous {
  /** Of the first page. */
  readonly number: number;
  readonly count: number;
  /** Position of the first one among the pieces. */
  readonly at: number;
}

function* contiguous(numbers: Uint32Array): Generator<Contiguous> {
  for (let at = 0; at < numbers.length; ) {
    const number = numbers[at] ?? 0;
    let count = 1;
    while (numbers[at + count] === number + count) count += 1;
    yield { number, count, at };
    at += count;
  }
}

async function readAt(handle: FileHandle, offset: number, length: number): Promise<Uint8Array> {
  const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(length), 0, length, offset);
  if (bytesRead !== length) throw new SnapshotError('SnapshotCorrupt', 'a file of the snapshot ends early');
  return buffer;
}

async function readSmall(directory: string, name: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return await readFile(join(directory, name));
  } catch (error) {
    throw unreadable(name, error);
  }
}

function unreadable(name: string, cause: unknown): SnapshotError {
  return new SnapshotError('SnapshotUnreadable', `the snapshot’s ${name} cannot be read`, { cause });
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
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
