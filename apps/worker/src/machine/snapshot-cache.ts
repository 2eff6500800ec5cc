import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { decodeManifest, filesOf, MANIFEST_FILE, type SnapshotManifest, VERIFIED_FILE } from '@corral/memory';
import { type ObjectStore } from '@corral/object-store';
import { prune, touch } from './cache-pruning.ts';
import { SingleFlight } from './single-flight.ts';

export interface SnapshotCacheOptions {
  readonly directory: string;
  readonly store: ObjectStore;
  readonly maxBytes: number;
}

export interface CachedSnapshot {
  readonly directory: string;
  readonly manifest: SnapshotManifest;
}

const DOWNLOAD_DEADLINE_MS = 30 * 60_000;

/**
 * Snapshots on this node, each a folder named by the digest of its manifest. A folder that has its name holds every file
 * the manifest names, verified when it was fetched; a marker tells the VM process, which then need not do it again.
 */
export class SnapshotCache {
  readonly #options: SnapshotCacheOptions;
  readonly #flights = new SingleFlight<CachedSnapshot>();

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

  /** The snapshot, fetched when it is not here yet. Throws ObjectStoreFailure or SnapshotError. */
  async ensure(source: { readonly manifestKey: string; readonly digest: string }): Promise<CachedSnapshot> {
    const directory = join(this.#options.directory, source.digest);
    const manifest = await readManifest(directory);
    if (manifest) {
      await touch(directory, new Date());
      return { directory, manifest };
    }
    return this.#flights.do(source.digest, () => this.#fetch(source, directory));
  }

  /** Digests of the snapshots here, the most recently used first; at most `limit`. */
  async digests(limit: number): Promise<string[]> {
    const { directory } = this.#options;
    const names = (await readdir(directory)).filter((name) => DIGEST.test(name));
    const usedAt = await Promise.all(names.map(async (name) => (await stat(join(directory, name)).catch(() => undefined))?.mtimeMs ?? 0));
    const byUse = names.map((name, index) => ({ name, at: usedAt[index] ?? 0 })).sort((a, b) => b.at - a.at || (a.name < b.name ? -1 : 1));
    return byUse.slice(0, limit).map(({ name }) => name);
  }

  /** Makes room, but not of what is needed. */
  async prune(needed: ReadonlySet<string>): Promise<void> {
    const { directory, maxBytes } = this.#options;
    await prune({ directory, maxBytes, needed, now: new Date() });
  }

  /** Forgets a snapshot whose local copy proved bad, so that it is fetched anew. */
  async discard(digest: string): Promise<void> {
    await rm(join(this.#options.directory, digest), { recursive: true, force: true });
  }

  async #fetch(
    { manifestKey, digest }: { readonly manifestKey: string; readonly digest: string },
    directory: string,
  ): Promise<CachedSnapshot> {
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
      const manifest = decodeManifest(await readFile(join(temporary, MANIFEST_FILE)));
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
      await rename(temporary, directory);
      return { directory, manifest };
    } catch (error) {
      await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
      throw error;
    }
  }
}

const DIGEST = /^[0-9a-f]{64}$/;

/** A manifest names a handful of files. */
const MAX_MANIFEST_BYTES = 1024 * 1024;

async function readManifest(directory: string): Promise<SnapshotManifest | undefined> {
  const bytes = await readFile(join(directory, MANIFEST_FILE)).catch(() => undefined);
  return bytes && decodeManifest(bytes);
}
