import { chmod, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type StoredArtifact } from '@corral/contracts';
import { type ObjectStore } from '@corral/object-store';
import { prune, touch } from './cache-pruning.ts';
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
    for (const name of await readdir(directory))
      if (name.endsWith('.part')) await rm(join(directory, name), { force: true });
  }

  pathOf(sha256: string): string {
    return join(this.#options.directory, sha256);
  }

  /** Path of the artifact, fetched when it is not here yet. Throws ObjectStoreFailure. */
  async ensure(artifact: StoredArtifact): Promise<string> {
    const path = this.pathOf(artifact.sha256);
    if (await isThere(path)) {
      await touch(path, new Date());
      return path;
    }
    return this.#flights.do(artifact.sha256, async () => {
      // Shared by everyone who waits for it, so no single caller's signal may end it.
      await this.#options.store.downloadFile(artifact.key, path, artifact, AbortSignal.timeout(DOWNLOAD_DEADLINE_MS));
      await chmod(path, 0o400);
      return path;
    });
  }

  /** Makes room, but not of what machines here may still read. */
  async prune(needed: ReadonlySet<string>): Promise<void> {
    const { directory, maxBytes } = this.#options;
    await prune({ directory, maxBytes, needed, now: new Date() });
  }
}

const isThere = async (path: string): Promise<boolean> => (await stat(path).catch(() => undefined))?.isFile() ?? false;
