import { chmod, mkdir, readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { type StoredArtifact } from '@corral/contracts';
import { type ObjectStore } from '@corral/object-store';
import { SingleFlight } from './single-flight.ts';

export interface ArtifactCacheOptions {
  readonly directory: string;
  readonly store: ObjectStore;
  readonly maxBytes: number;
}

const DOWNLOAD_DEADLINE_MS = 30 * 60_000;

/** The artifacts of images on this node, each a read-only file named by its SHA-256. A file that is there has been verified. */
export class ArtifactCache {
  readonly #options: ArtifactCacheOptions;
  readonly #flights = new SingleFlight<string>();

  constructor(options: ArtifactCacheOptions) {
    this.#options = options;
  }

  /** Removes what interrupted downloads left. */
  async open(): Promise<void> {
    const { directory } = this.#options;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    for (const name of await readdir(directory)) if (name.endsWith('.part')) await rm(join(directory, name), { force: true });
  }

  pathOf(sha256: string): string {
    return join(this.#options.directory, sha256);
  }

  /** Path of the artifact, fetched when it is not here yet. Throws ObjectStoreFailure. */
  async ensure(artifact: StoredArtifact): Promise<string> {
    const path = this.pathOf(artifact.sha256);
    if (await isThere(path)) {
      await touch(path);
      return path;
    }
    return this.#flights.do(artifact.sha256, async () => {
      // Shared by everyone who waits for it, so no single caller's signal may end it.
      await this.#options.store.downloadFile(artifact.key, path, artifact, AbortSignal.timeout(DOWNLOAD_DEADLINE_MS));
      await chmod(path, 0o400);
      return path;
    });
  }

  /** Removes the least recently used artifacts that nobody needs, until the rest fits. */
  async prune(needed: ReadonlySet<string>): Promise<void> {
    const { directory, maxBytes } = this.#options;
    const files = [];
    for (const name of await readdir(directory)) {
      const file = await stat(join(directory, name)).catch(() => undefined);
      if (file && !name.endsWith('.part')) files.push({ name, sizeBytes: file.size, usedAt: file.mtimeMs });
    }
    let total = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    for (const { name, sizeBytes } of files.sort((a, b) => a.usedAt - b.usedAt)) {
      if (total <= maxBytes) return;
      if (needed.has(name)) continue;
      await rm(join(directory, name), { force: true });
      total -= sizeBytes;
    }
  }
}

const isThere = async (path: string): Promise<boolean> => (await stat(path).catch(() => undefined))?.isFile() ?? false;

/** Modification times say when an artifact was last used: access times are often not kept. */
async function touch(path: string): Promise<void> {
  const now = new Date();
  await utimes(path, now, now).catch(() => undefined);
}
