import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { decodeManifest, filesOf, type Layer, layersOf, MANIFEST_FILE, type SnapshotManifest, VERIFIED_FILE } from '@corral/memory';
import { type ObjectStore } from '@corral/object-store';
import { folderBytes, prune, touch } from './cache-pruning.ts';
import { type PackCache } from './pack-cache.ts';
import { SingleFlight } from './single-flight.ts';

export interface SnapshotCacheOptions {
  readonly directory: string;
  readonly store: ObjectStore;
  readonly packs: PackCache;
  readonly maxBytes: number;
}

export interface SnapshotSource {
  readonly manifestKey: string;
  readonly digest: string;
}

export interface CachedSnapshot {
  readonly directory: string;
  readonly manifest: SnapshotManifest;
  /** Where one of its packs lies on this node. */
  packPath(layer: Layer): string;
}

export type Described = Omit<CachedSnapshot, 'packPath'>;

const DOWNLOAD_DEADLINE_MS = 30 * 60_000;

/**
 * Snapshots on this node, each a folder named by the digest of its manifest. A folder that has its name holds the manifest
 * and the files beside it, verified when they were fetched; a marker tells the VM process, which then need not do it again.
 * Packs lie in the PackCache, which many snapshots share.
 */
export class SnapshotCache {
  readonly #options: SnapshotCacheOptions;
  readonly #flights = new SingleFlight<Described>();

  constructor(options: SnapshotCacheOptions) {
    this.#options = options;
  }

  /** Removes what interrupted downloads left. */
  async open(): Promise<void> {
    const { directory } = this.#options;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    for (const name of await readdir(directory))
      if (name.endsWith('.tmp')) await rm(join(directory, name), { recursive: true, force: true });
  }

  /** The snapshot with every pack it lies on, fetched where they are not here yet. Throws ObjectStoreFailure or SnapshotError. */
  async ensure(source: SnapshotSource): Promise<CachedSnapshot> {
    return this.complete(await this.describe(source));
  }

  /** A described snapshot with those of its packs that are wanted. Throws likewise. */
  async complete(described: Described, isWanted: (layer: Layer) => boolean = () => true): Promise<CachedSnapshot> {
    const { packs } = this.#options;
    const { directory, manifest } = described;
    await lendPacks(directory, manifest, packs);
    await packs.ensure(layersOf(manifest).filter(isWanted));
    return { ...described, packPath: ({ sha256 }) => packs.pathOf(sha256) };
  }

  /** The snapshot without its packs. Throws ObjectStoreFailure or SnapshotError. */
  async describe(source: SnapshotSource): Promise<Described> {
    const directory = join(this.#options.directory, source.digest);
    const manifest = await readManifest(directory, source);
    if (!manifest) {
      return this.#flights.do(source.digest, async () => {
        // Who looked just before another's fetch was over would put it anew under machines that start from it.
        const fetched = await readManifest(directory, source);
        return fetched ? { directory, manifest: fetched } : this.#fetch(source, directory);
      });
    }
    await touch(directory, new Date());
    return { directory, manifest };
  }

  /** Digests of the snapshots here, the most recently used first; at most `limit`. */
  async digests(limit: number): Promise<string[]> {
    const { directory } = this.#options;
    const names = (await readdir(directory)).filter((name) => DIGEST.test(name));
    const usedAt = await Promise.all(names.map(async (name) => (await stat(join(directory, name)).catch(() => undefined))?.mtimeMs ?? 0));
    const byUse = names.map((name, index) => ({ name, at: usedAt[index] ?? 0 })).sort((a, b) => b.at - a.at || (a.name < b.name ? -1 : 1));
    return byUse.slice(0, limit).map(({ name }) => name);
  }

  /** Makes room, but not of what is needed: these snapshots with their packs, and these packs. */
  async prune(needed: { readonly snapshots: ReadonlySet<string>; readonly packs: ReadonlySet<string> }): Promise<void> {
    const { directory, maxBytes, packs } = this.#options;
    await prune({ directory, maxBytes, needed: needed.snapshots, now: new Date() });
    const manifests = await Promise.all([...needed.snapshots].map((digest) => readManifest(join(directory, digest), { digest }).catch(() => undefined)));
    const layers = manifests.flatMap((manifest) => (manifest ? layersOf(manifest) : []));
    await packs.prune(new Set([...needed.packs, ...layers.map(({ sha256 }) => sha256)]), await folderBytes(directory));
  }

  /** Forgets a snapshot whose local copy proved bad, so that it is fetched anew, and those of its packs that are damaged. */
  async discard(digest: string): Promise<void> {
    const directory = join(this.#options.directory, digest);
    const manifest = await readManifest(directory, { digest }).catch(() => undefined);
    await rm(directory, { recursive: true, force: true });
    if (manifest) await this.#options.packs.recheck(layersOf(manifest));
  }

  async #fetch({ manifestKey, digest }: SnapshotSource, directory: string): Promise<Described> {
    const { store } = this.#options;
    const temporary = `${directory}.tmp`;
    const failed = new AbortController();
    const signal = AbortSignal.any([AbortSignal.timeout(DOWNLOAD_DEADLINE_MS), failed.signal]);
    await rm(temporary, { recursive: true, force: true });
    await mkdir(temporary, { recursive: true, mode: 0o700 });
    try {
      await store.downloadFile(
        manifestKey,
        join(temporary, MANIFEST_FILE),
        { sha256: digest, sizeBytes: MAX_MANIFEST_BYTES },
        signal,
      );
      const manifest = decodeManifest(await readFile(join(temporary, MANIFEST_FILE)), posix.dirname(manifestKey));
      const downloads = filesOf(manifest).map((file) =>
        store.downloadFile(posix.join(posix.dirname(manifestKey), file.name), join(temporary, file.name), file, signal),
      );
      await Promise.all(downloads).catch(async (error: unknown) => {
        // One failure is the end of all; and none may still write when the folder is removed.
        failed.abort(error);
        await Promise.allSettled(downloads);
        throw error;
      });
      await writeFile(join(temporary, VERIFIED_FILE), digest, { mode: 0o400 });
      await rm(directory, { recursive: true, force: true });
      await rename(temporary, directory);
      return { directory, manifest };
    } catch (error) {
      await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
      throw error;
    }
  }
}

/** Snapshots of version 1 were kept with their packs, by a node agent of before. */
export async function lendPacks(directory: string, manifest: SnapshotManifest, packs: PackCache): Promise<void> {
  if (manifest.formatVersion !== 1) return;
  const beside = new Set(await readdir(directory));
  for (const layer of layersOf(manifest)) {
    const name = posix.basename(layer.key);
    if (beside.has(name)) await packs.lend(join(directory, name), layer);
  }
}

const DIGEST = /^[0-9a-f]{64}$/;

/** A manifest names a handful of files. */
const MAX_MANIFEST_BYTES = 1024 * 1024;

/** Undefined where it is not there, or is not what it is called. */
async function readManifest(directory: string, { digest, manifestKey }: Pick<SnapshotSource, 'digest'> & Partial<SnapshotSource>): Promise<SnapshotManifest | undefined> {
  const bytes = await readFile(join(directory, MANIFEST_FILE)).catch(() => undefined);
  if (!bytes || createHash('sha256').update(bytes).digest('hex') !== digest) return undefined;
  return decodeManifest(bytes, manifestKey === undefined ? undefined : posix.dirname(manifestKey));
}
