import { posix } from 'node:path';
import { Readable } from 'node:stream';
import { type ObjectStore, ObjectStoreFailure } from '@corral/object-store';
import { z } from 'zod';

const FILE = 'working-set.json';
const MAX_BYTES = 256 * 1024;
/** It only says in which order to read: nobody waits for it for long. */
const DEADLINE_MS = 2_000;

const WorkingSetFile = z.object({ pack: z.string(), frames: z.array(z.number().int().nonnegative()).max(32_768) });

/**
 * Which frames of a snapshot's base a machine needed first, as somebody saw it once: a small object beside the snapshot. It is
 * advice for the order in which a base is fetched; where it is wrong, or not there, that takes longer, and nothing else.
 */
export class WorkingSet {
  readonly #store: ObjectStore;
  readonly #key: string;
  readonly #pack: string;

  constructor(store: ObjectStore, manifestKey: string, pack: string) {
    this.#store = store;
    this.#key = posix.join(posix.dirname(manifestKey), FILE);
    this.#pack = pack;
  }

  /** Empty where nobody has seen one. Throws ObjectStoreFailure, and whatever speaks against what is there. */
  async read(): Promise<readonly number[]> {
    const bytes = await this.#store.getBytes(this.#key, MAX_BYTES, AbortSignal.timeout(DEADLINE_MS)).catch((error: unknown) => {
      if (error instanceof ObjectStoreFailure && error.reason === 'NotFound') return undefined;
      throw error;
    });
    if (!bytes) return [];
    const { pack, frames } = WorkingSetFile.parse(JSON.parse(bytes.toString()));
    return pack === this.#pack ? frames : [];
  }

  /** The first who saw it has it. Throws ObjectStoreFailure. */
  async write(frames: readonly number[]): Promise<void> {
    const text = JSON.stringify({ pack: this.#pack, frames: [...frames] } satisfies z.input<typeof WorkingSetFile>);
    await this.#store.putStream(this.#key, Readable.from([Buffer.from(text)]), { contentType: 'application/json', ifAbsent: true }).catch((error: unknown) => {
      if (!(error instanceof ObjectStoreFailure && error.reason === 'Conflict')) throw error;
    });
  }
}
