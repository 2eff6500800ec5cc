import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { filesOf, type SnapshotManifest, VERIFIED_FILE } from '@corral/memory';
import { type FrozenMoment } from '../frozen/frozen-moment.ts';
import { type MachineRecord } from '../machine/machine-folder.ts';
import { PackForged } from '../machine/pack-cache.ts';

interface Moment {
  /** Of the machine it was taken of, and of that life of it. */
  readonly incarnation: number;
  readonly record: MachineRecord;
}

/** Of a machine that slept: what it left on this node's disk. */
export interface KeptMoment extends Moment {
  readonly type: 'Kept';
  readonly directory: string;
  readonly manifest: SnapshotManifest;
  /** SHA-256 of the manifest. */
  readonly digest: string;
}

/** A moment of a machine of this node, from which others may go on here without anything being fetched. */
export type HeldMoment = KeptMoment | (Moment & { readonly type: 'Frozen'; readonly moment: FrozenMoment });

/** The moments that are held for forks, by the uid of their VirtualMachineSnapshot. */
export class ForkMoments {
  readonly #held = new Map<string, HeldMoment>();
  readonly #waiting = new Map<string, Set<(moment: HeldMoment) => void>>();

  /** Throws PackForged when what lies there is not what its manifest says. */
  async hold(uid: string, moment: HeldMoment): Promise<void> {
    if (this.#held.has(uid)) return;
    // Once here, and not in every process that starts from it.
    if (moment.type === 'Kept') await verify(moment);
    this.#held.set(uid, moment);
    for (const tell of this.#waiting.get(uid) ?? []) tell(moment);
  }

  /** No machine will go on from it any more. */
  drop(uid: string): void {
    const held = this.#held.get(uid);
    if (held?.type === 'Frozen') held.moment.close();
    this.#held.delete(uid);
  }

  /** The moment as soon as it is held; undefined when it is not within the deadline. */
  async find(uid: string, deadlineMs: number): Promise<HeldMoment | undefined> {
    const held = this.#held.get(uid);
    if (held) return held;
    const waiting = this.#waiting.get(uid) ?? new Set();
    this.#waiting.set(uid, waiting);
    const { promise, resolve } = Promise.withResolvers<HeldMoment | undefined>();
    const timer = setTimeout(() => resolve(undefined), deadlineMs);
    waiting.add(resolve);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      waiting.delete(resolve);
      if (waiting.size === 0) this.#waiting.delete(uid);
    }
  }
}

async function verify({ directory, manifest, digest }: KeptMoment): Promise<void> {
  for (const { name, sha256 } of filesOf(manifest)) {
    const bytes = await readFile(join(directory, name));
    if (createHash('sha256').update(bytes).digest('hex') !== sha256) throw new PackForged(`${name} is not what the manifest says`);
  }
  await writeFile(join(directory, VERIFIED_FILE), digest, { mode: 0o400 });
}
