import { type ObjectKey, SNAPSHOT_DEADLINE_MS, type SnapshotTaken } from '@corral/contracts';
import { type SnapshotManifest } from '@corral/memory';
import { type Logger } from 'pino';
import { FrozenMoment } from '../frozen/frozen-moment.ts';
import { keepTaken } from '../snapshots/taken-snapshot.ts';
import { type MachineFolder } from './machine-folder.ts';
import { type MachineLife } from './machine.life.ts';
import { type MachineLineage } from './machine.lineage.ts';
import { type PackCache } from './pack-cache.ts';
import { type VmProcessHandle, VmProcessRefusal } from './vm-process.handle.ts';

/** Its pages are copied, twice; nothing is compressed. */
const FREEZE_DEADLINE_MS = 60_000;
const REQUEST_DEADLINE_MS = 10_000;

/** The machine whose moments these are. */
export interface MomentsOwner {
  readonly key: ObjectKey;
  readonly folder: MachineFolder;
  readonly log: Logger;
  /** The life that goes on; undefined between two. */
  readonly life: MachineLife | undefined;
  /** It lies in its folder, whole, and no process goes on from there. */
  readonly isAsleep: boolean;
  /** What its next snapshot builds on has changed. */
  onChange(): void;
}

/** What a machine was at one moment, kept for others: its snapshots, and what its forks go on from. */
export class MachineMoments {
  readonly #owner: MomentsOwner;
  readonly #lineage: MachineLineage;
  readonly #packs: PackCache;

  constructor(owner: MomentsOwner, lineage: MachineLineage, packs: PackCache) {
    this.#owner = owner;
    this.#lineage = lineage;
    this.#packs = packs;
  }

  /**
   * Writes a snapshot of this incarnation, or of what is left of it while it sleeps, into an existing, empty folder. Throws VmProcessRefusal, or Error when the
   * machine ends meanwhile, or PackForged where its process did not write what it says.
   */
  async snapshot(directory: string, incarnation: number): Promise<{ readonly taken: SnapshotTaken; readonly manifest: SnapshotManifest }> {
    const { isAsleep, folder, life } = this.#owner;
    const kept = isAsleep ? await folder.copySuspended(directory) : undefined;
    if (kept) return kept;
    if (life?.moment && !life.moment.isClosed) await this.buildOn(life.moment);
    const without = await this.#lineage.without(this.#packs, this.#namespace);
    const { snapshot: taken } = await this.#processOf(incarnation).request({ type: 'Snapshot', directory, ...without }, SNAPSHOT_DEADLINE_MS);
    if (!taken) throw new Error('The VM process says that it took a snapshot, and not which');
    const manifest = await keepTaken(directory, taken, this.#namespace, this.#packs);
    this.#lineage.took(manifest);
    return { taken, manifest };
  }

  /**
   * Keeps what this incarnation is at this moment in an existing, empty folder, for others of this node to begin with; it runs on. Throws VmProcessRefusal,
   * SnapshotError or PackForged, or Error when the machine ends meanwhile.
   */
  async freeze(directory: string, incarnation: number): Promise<FrozenMoment> {
    const process = this.#processOf(incarnation);
    await process.request({ type: 'Freeze', directory }, FREEZE_DEADLINE_MS);
    try {
      return await FrozenMoment.open(directory, { pid: process.pid ?? 0, namespace: this.#namespace, packs: this.#packs });
    } finally {
      // The node agent holds the pages from here on, or nobody wants them.
      process.request({ type: 'ReleaseFrozen', directory }, REQUEST_DEADLINE_MS).catch((error: unknown) => this.#owner.log.debug({ err: error }, 'The frozen pages stay with the machine until it ends'));
    }
  }

  /** The moment that this machine began with is a snapshot by now: its next one builds on that, unless it has been written out since. Never rejects. */
  async buildOn(moment: FrozenMoment): Promise<void> {
    const { life } = this.#owner;
    if (life?.moment !== moment || !life.process) return;
    try {
      const { directory, manifest, isAsPlanned } = await moment.packed();
      if (!isAsPlanned) return;
      await life.process.request({ type: 'BuildOn', directory }, REQUEST_DEADLINE_MS);
      this.#lineage.beganWith(moment.liesOn, manifest);
      this.#owner.onChange();
    } catch (error) {
      this.#owner.log.warn({ err: error }, 'The machine’s next snapshot holds what its siblings’ hold, too');
    }
  }

  get #namespace(): string {
    return this.#owner.key.namespace ?? '';
  }

  #processOf(incarnation: number): VmProcessHandle {
    const { life } = this.#owner;
    if (life?.process && life.run.incarnation === incarnation) return life.process;
    throw new VmProcessRefusal('NotStarted', `Incarnation ${incarnation} of the machine has no process`);
  }
}
