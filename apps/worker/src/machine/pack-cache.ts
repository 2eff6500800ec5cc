import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, copyFile, link, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Layer } from '@corral/memory';
import { type ObjectStore, ObjectStoreFailure } from '@corral/object-store';
import pLimit from 'p-limit';
import { prune, touch } from './cache-pruning.ts';
import { SingleFlight } from './single-flight.ts';

export interface PackCacheOptions {
  readonly directory: string;
  readonly store: ObjectStore;
  readonly maxBytes: number;
}

const DOWNLOAD_DEADLINE_MS = 30 * 60_000;
/** A machine may have to stand still meanwhile. */
const LOOK_DEADLINE_MS = 2_000;
/** On the whole node: more would only share the same line. */
const DOWNLOADS_AT_ONCE = 4;

/** What a file was when its digest was right. Anybody who writes to it changes that. */
interface Seal {
  readonly inode: number;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
}

/**
 * The packs on this node, each a read-only file named by its SHA-256: those that were fetched, and those that machines here
 * wrote. Every pack is verified before its first use by this agent, and again when its file is not what it was then.
 */
export class PackCache {
  readonly #options: PackCacheOptions;
  readonly #flights = new SingleFlight<string>();
  readonly #downloads = pLimit(DOWNLOADS_AT_ONCE);
  readonly #seals = new Map<string, Seal>();

  constructor(options: PackCacheOptions) {
    this.#options = options;
  }

  /** Removes what interrupted downloads left. */
  async open(): Promise<void> {
    const { directory } = this.#options;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    for (const name of await readdir(directory)) if (name.endsWith('.part')) await rm(join(directory, name), { force: true });
  }

  get directory(): string {
    return this.#options.directory;
  }

  /** Path of a pack, whether it is here or not. */
  pathOf(sha256: string): string {
    return join(this.directory, sha256);
  }

  /** Brings packs to this node; resolves when each is here and is what it should be. Throws ObjectStoreFailure. */
  async ensure(layers: readonly Layer[]): Promise<void> {
    const fetches = layers.map((layer) => this.#flights.do(layer.sha256, () => this.#ensure(layer)));
    // None may still be writing when somebody reacts to the failure of one.
    await Promise.allSettled(fetches);
    await Promise.all(fetches);
  }

  /** Whether a pack is here, and whole. */
  async has({ sha256, sizeBytes }: Pick<Layer, 'sha256' | 'sizeBytes'>): Promise<boolean> {
    return this.#isIntact(sha256, sizeBytes);
  }

  /** Digests of those packs that nobody has: they are neither here, whole, nor in the object store. Where the store does not answer, nothing counts as lost. */
  async lostOf(layers: readonly Layer[]): Promise<string[]> {
    const looked = layers.map(async (layer) => {
      if (await this.#isIntact(layer.sha256, layer.sizeBytes)) return [];
      const deadline = AbortSignal.timeout(LOOK_DEADLINE_MS);
      try {
        const found = await this.#options.store.head(layer.key, deadline);
        return found?.sizeBytes === layer.sizeBytes ? [] : [layer.sha256];
      } catch (error) {
        if (error instanceof ObjectStoreFailure || deadline.aborted) return [];
        throw error;
      }
    });
    return (await Promise.all(looked)).flat();
  }

  /** Takes in a pack that a VM process says it wrote: nothing else than what its name says. Throws PackForged. */
  async adopt(path: string, { sha256, sizeBytes }: Pick<Layer, 'sha256' | 'sizeBytes'>): Promise<void> {
    await this.#flights.do(sha256, async () => {
      if (await this.#isIntact(sha256, sizeBytes)) {
        await rm(path, { force: true });
      } else {
        if ((await digestOf(path)) !== sha256) throw new PackForged(`a pack of ${sizeBytes} bytes is not what it is called`);
        await chmod(path, 0o400);
        await rename(path, this.pathOf(sha256));
      }
      await this.#use(sha256);
      return this.pathOf(sha256);
    });
  }

  /** Keeps a pack that lies elsewhere on this node, which stays there. What is not what it should be is left alone. */
  async lend(path: string, { sha256, sizeBytes }: Pick<Layer, 'sha256' | 'sizeBytes'>): Promise<void> {
    await this.#flights.do(sha256, async () => {
      const kept = this.pathOf(sha256);
      if (await this.#isIntact(sha256, sizeBytes)) return kept;
      await rm(kept, { force: true });
      await link(path, kept).catch(() => copyFile(path, kept));
      if (await this.#isIntact(sha256, sizeBytes)) await this.#use(sha256);
      else await rm(kept, { force: true });
      return kept;
    });
  }

  /** Forgets those of these packs whose copy here is damaged, so that they are fetched anew. */
  async recheck(layers: readonly Layer[]): Promise<void> {
    for (const { sha256, sizeBytes } of layers) {
      this.#seals.delete(sha256);
      if (!(await this.#isIntact(sha256, sizeBytes))) await rm(this.pathOf(sha256), { force: true });
    }
  }

  /** Makes room, but not of what is needed. `heldBytes` is what the node keeps of snapshots elsewhere, under the same budget. */
  async prune(needed: ReadonlySet<string>, heldBytes: number): Promise<void> {
    const { directory, maxBytes } = this.#options;
    for (const sha256 of await prune({ directory, maxBytes: maxBytes - heldBytes, needed, now: new Date() })) this.#seals.delete(sha256);
  }

  async #ensure(layer: Layer): Promise<string> {
    const path = this.pathOf(layer.sha256);
    if (!(await this.#isIntact(layer.sha256, layer.sizeBytes))) {
      await rm(path, { force: true });
      // Shared by everyone who waits for it, so no single caller's signal may end it.
      await this.#downloads(() => this.#options.store.downloadFile(layer.key, path, layer, AbortSignal.timeout(DOWNLOAD_DEADLINE_MS)));
      await chmod(path, 0o400);
    }
    await this.#use(layer.sha256);
    return path;
  }

  async #isIntact(sha256: string, sizeBytes: number): Promise<boolean> {
    const path = this.pathOf(sha256);
    const seal = await sealOf(path);
    if (seal?.sizeBytes !== sizeBytes) return false;
    const known = this.#seals.get(sha256);
    if (known?.inode === seal.inode && known.modifiedMs === seal.modifiedMs) return true;
    if ((await digestOf(path)) !== sha256) return false;
    this.#seals.set(sha256, seal);
    return true;
  }

  /** Says that it is used now, and remembers what it is. */
  async #use(sha256: string): Promise<void> {
    const path = this.pathOf(sha256);
    await touch(path, new Date());
    const seal = await sealOf(path);
    if (seal) this.#seals.set(sha256, seal);
  }
}

/** What a VM process wrote is not what it said. */
export class PackForged extends Error {
  override readonly name = 'PackForged';
}

async function sealOf(path: string): Promise<Seal | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() ? { inode: found.ino, sizeBytes: found.size, modifiedMs: found.mtimeMs } : undefined;
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
