import { readFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { promisify } from 'node:util';
import { zstdDecompress } from 'node:zlib';
import { LayerStack } from './layer-stack.ts';
import { machinePages } from './machine-pages.ts';
import { decodeManifest, filesOf, type Layer, layersOf, MANIFEST_FILE, type SnapshotManifest } from './manifest.ts';
import { type PackReader, PIECE_BYTES, type PieceRun } from './pack.ts';
import { SnapshotError } from './snapshot.error.ts';
import { openLayer, packPaths, readSmall, sha256Of, SnapshotFile } from './snapshot.files.ts';

/** Holds the SHA-256 of the manifest whose files were verified in this directory already, as they were fetched. */
export const VERIFIED_FILE = 'verified';
/** Device state is 1 MB and 8 MB of screen memory. */
const MAX_DEVICES_BYTES = 512 * 1024 * 1024;
const DEVICES_CHUNK_BYTES = 16 * 1024 * 1024;
const MAX_CLUSTERS = 0x2000_0000;

const expand = promisify(zstdDecompress);

/** Where `count` pages from a number on are to be put. Asked anew for every run, and written to at once. */
export type PagePlace = (number: number, count: number) => Uint8Array;

export interface OpenOptions {
  /** Where a node keeps packs by digest; those that lie beside the manifest need it not. */
  readonly packs?: string;
  /** Digest of a pack whose pages come from elsewhere: where it is the lowest of memory, it need not be here and is not read. */
  readonly base?: string;
}

/** Pieces that count, and of which layer they are: 0 is the base. */
export interface LayerRun extends PieceRun {
  readonly layer: number;
}

/** A snapshot whose manifest was read. Its digests are still being computed: nothing may run before `verified` resolves. */
export interface OpenedSnapshot {
  readonly manifest: SnapshotManifest;
  /** SHA-256 of the manifest: the snapshot's name. */
  readonly digest: string;
  /** Resolves when every file is what the manifest says; rejects with SnapshotError. */
  readonly verified: Promise<void>;
  /** Whether the lowest layer of memory comes from elsewhere, as `base` said: what is read here belongs on it. */
  readonly isOnBase: boolean;
  /** Each page once, as the last layer has it. Of RAM, then of screen memory: see ramPages. */
  pages(): AsyncGenerator<LayerRun>;
  /** The same, put where it belongs. */
  readMemory(place: PagePlace): Promise<void>;
  devices(): Promise<Uint8Array<ArrayBuffer>>;
  /** Each changed cluster once, as the last layer has it. */
  clusters(): AsyncGenerator<LayerRun>;
  /** What the guest had said lately on its serial line. */
  serial(): Promise<Uint8Array>;
  close(): Promise<void>;
}

/**
 * Opens a directory that holds a snapshot's manifest. Throws SnapshotError. Digests are not computed where the marker
 * VERIFIED_FILE says that they were.
 */
export async function openSnapshot(directory: string, options: OpenOptions = {}): Promise<OpenedSnapshot> {
  const manifestBytes = await readSmall(directory, MANIFEST_FILE);
  const manifest = decodeManifest(manifestBytes);
  const digest = sha256Of(manifestBytes);
  const isOnBase = options.base !== undefined && manifest.memory.layers[0]?.sha256 === options.base;
  const files = await OpenFiles.open(directory, isOnBase ? withoutBase(manifest) : manifest, options.packs);
  // Whoever opened it awaits this when the rest is done.
  const verified = (await isMarkedVerified(directory, digest)) ? Promise.resolve() : files.verify();
  verified.catch(() => undefined);
  return new DirectorySnapshot(manifest, digest, isOnBase, verified, files);
}

const withoutBase = (manifest: SnapshotManifest): SnapshotManifest => ({ ...manifest, memory: { layers: manifest.memory.layers.slice(1) } });

async function isMarkedVerified(directory: string, digest: string): Promise<boolean> {
  return (await readFile(join(directory, VERIFIED_FILE), 'utf8').catch(() => '')).trim() === digest;
}

class DirectorySnapshot implements OpenedSnapshot {
  readonly manifest: SnapshotManifest;
  readonly digest: string;
  readonly isOnBase: boolean;
  readonly verified: Promise<void>;
  readonly #files: OpenFiles;

  constructor(manifest: SnapshotManifest, digest: string, isOnBase: boolean, verified: Promise<void>, files: OpenFiles) {
    this.manifest = manifest;
    this.digest = digest;
    this.isOnBase = isOnBase;
    this.verified = verified;
    this.#files = files;
  }

  async *pages(): AsyncGenerator<LayerRun> {
    yield* runsOf(await this.#files.memoryPacks(), this.isOnBase ? 1 : 0);
  }

  async readMemory(place: PagePlace): Promise<void> {
    for await (const { numbers, bytes } of this.pages()) {
      for (const run of contiguous(numbers)) {
        place(run.number, run.count).set(bytes.subarray(run.at * PIECE_BYTES, (run.at + run.count) * PIECE_BYTES));
      }
    }
  }

  async devices(): Promise<Uint8Array<ArrayBuffer>> {
    return this.#files.devices();
  }

  async *clusters(): AsyncGenerator<LayerRun> {
    yield* runsOf(await this.#files.diskPacks(), 0);
  }

  async serial(): Promise<Uint8Array> {
    return this.#files.serial();
  }

  async close(): Promise<void> {
    await this.verified.catch(() => undefined);
    await this.#files.close();
  }
}

/** The open files of one snapshot. */
class OpenFiles {
  readonly #manifest: SnapshotManifest;
  readonly #files = new Map<string, SnapshotFile>();

  private constructor(manifest: SnapshotManifest) {
    this.#manifest = manifest;
  }

  /** Opens every file that is to be read, and compares its size. Throws SnapshotError. */
  static async open(directory: string, manifest: SnapshotManifest, packs: string | undefined): Promise<OpenFiles> {
    const opened = new OpenFiles(manifest);
    try {
      for (const file of filesOf(manifest)) opened.#files.set(file.sha256, await SnapshotFile.open(file.name, [join(directory, file.name)], file));
      for (const layer of layersOf(manifest)) {
        if (opened.#files.has(layer.sha256)) continue;
        opened.#files.set(layer.sha256, await SnapshotFile.open(posix.basename(layer.key), packPaths(layer, directory, packs), layer));
      }
      return opened;
    } catch (error) {
      await opened.close();
      throw error;
    }
  }

  async verify(): Promise<void> {
    for (const file of this.#files.values()) await file.verify();
  }

  /** Their pages are the machine's: whoever places them need not look. */
  memoryPacks(): Promise<PackReader[]> {
    const { memory, machine } = this.#manifest;
    return this.#packs(memory.layers, 'page', machinePages(machine.memoryMiB));
  }

  diskPacks(): Promise<PackReader[]> {
    return this.#packs(this.#manifest.disk?.layers ?? [], 'cluster', MAX_CLUSTERS);
  }

  async devices(): Promise<Uint8Array<ArrayBuffer>> {
    const { sha256, name } = this.#manifest.devices;
    const compressed = await this.#file(sha256).readAll();
    try {
      // With Node's default of 16 KiB, nine megabytes would take six hundred trips through a thread.
      return new Uint8Array(await expand(compressed, { maxOutputLength: MAX_DEVICES_BYTES, chunkSize: DEVICES_CHUNK_BYTES }));
    } catch (error) {
      throw new SnapshotError('SnapshotCorrupt', `${name} does not decompress`, { cause: error });
    }
  }

  async serial(): Promise<Uint8Array> {
    const { serial } = this.#manifest;
    return serial ? this.#file(serial.sha256).readAll() : new Uint8Array(0);
  }

  async close(): Promise<void> {
    const files = [...this.#files.values()];
    this.#files.clear();
    await Promise.all(files.map((file) => file.close()));
  }

  #packs(layers: readonly Layer[], what: string, end: number): Promise<PackReader[]> {
    return Promise.all(
      layers.map(async (layer) => {
        const pack = await openLayer(layer, this.#file(layer.sha256));
        const beyond = pack.numbers.find((number) => number >= end);
        if (beyond === undefined) return pack;
        throw new SnapshotError('SnapshotCorrupt', `${posix.basename(layer.key)} holds ${what} ${beyond}; there are ${end}`);
      }),
    );
  }

  #file(sha256: string): SnapshotFile {
    const file = this.#files.get(sha256);
    if (!file) throw new SnapshotError('SnapshotUnreadable', 'the snapshot is closed');
    return file;
  }
}

/** Of packs that lie on one another, each piece once, as the last one has it. */
async function* runsOf(packs: readonly PackReader[], firstLayer: number): AsyncGenerator<LayerRun> {
  const stack = new LayerStack(packs.map(({ numbers }) => numbers));
  for (const [at, pack] of packs.entries()) {
    for await (const run of pack.runs((number) => stack.shows(at, number))) yield { ...run, layer: firstLayer + at };
  }
}

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
