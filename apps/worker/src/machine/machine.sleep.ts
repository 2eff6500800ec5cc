import { type Clock } from '@corral/base';
import { type ObjectKey, type SnapshotTaken } from '@corral/contracts';
import { type SnapshotManifest } from '@corral/memory';
import { type HibernationRefusal } from '@corral/vm-lifecycle';
import { type Logger } from 'pino';
import { keepTaken } from '../snapshots/taken-snapshot.ts';
import { type MachineFolder } from './machine-folder.ts';
import { type MachineNotice, notice, warning } from './machine-notice.ts';
import { type MachineLineage } from './machine.lineage.ts';
import { type PackCache } from './pack-cache.ts';
import { type VmProcessHandle, VmProcessRefusal } from './vm-process.handle.ts';

/** To stand still, and then to be written. */
const SUSPEND_PAUSE_DEADLINE_MS = 2_000;
const SUSPEND_DEADLINE_MS = 13_000;
const HIBERNATE_DEADLINE_MS = 60_000;
const RESUME_DEADLINE_MS = 10_000;

/** The machine that sleeps. */
export interface SleepOwner {
  readonly key: ObjectKey;
  readonly folder: MachineFolder;
  readonly log: Logger;
  /** One that has ended meanwhile has written nothing. */
  readonly process: VmProcessHandle | undefined;
  /** Whether it falls asleep still, and neither ended nor was stopped meanwhile. */
  readonly isFallingAsleep: boolean;
  onNotice(notice: MachineNotice): void;
  /** It sleeps, or runs on. */
  onSlept(isAsleep: boolean): void;
}

/** What lies in the folder is not the machine's state until it is committed. */
interface WrittenState {
  readonly taken: SnapshotTaken | undefined;
  readonly manifest: SnapshotManifest | undefined;
}

/** How a machine's whole state comes to lie in its folder, to go on from later, and whether it lies there. */
export class MachineSleep {
  readonly #owner: SleepOwner;
  readonly #lineage: MachineLineage;
  readonly #packs: PackCache;
  readonly #clock: Clock;
  /** A whole state lies in the folder. */
  isKept = false;
  /** Why it did not fall asleep when it was last to. */
  refusal: HibernationRefusal | undefined;

  constructor(owner: SleepOwner, lineage: MachineLineage, { packs, clock }: { readonly packs: PackCache; readonly clock: Clock }) {
    this.#owner = owner;
    this.#lineage = lineage;
    this.#packs = packs;
    this.#clock = clock;
  }

  /** Keeps the state and ends the process. What cannot be kept is started anew later. Never rejects. */
  async suspend(): Promise<void> {
    const { folder, process, log } = this.#owner;
    try {
      // First of all: what the guest did after its state was copied would be undone.
      await process?.request({ type: 'Pause' }, SUSPEND_PAUSE_DEADLINE_MS);
      const directory = await folder.beginSuspended();
      const reply = await process?.request({ type: 'Snapshot', directory, ...(await this.#without()) }, SUSPEND_DEADLINE_MS);
      await this.#commit(await this.#keep(directory, reply?.snapshot));
      this.#owner.onNotice(notice('Suspended', 'Suspended to the node’s disk because the node agent stops'));
    } catch (error) {
      log.error({ err: error }, 'The machine could not be suspended; it will start anew');
    } finally {
      process?.kill();
    }
  }

  /** Has the machine stand still for good, keeps its state and what it shows, and ends its process; what cannot be kept runs on, and so does, with `ifIdle`, what somebody uses. Never rejects. */
  async hibernate(requestedAt: string, ifIdle: boolean): Promise<void> {
    const { folder, process } = this.#owner;
    try {
      const [directory, screenDirectory] = await Promise.all([folder.beginSuspended(), folder.beginScreen()]);
      const reply = await process?.request({ type: 'Hibernate', directory, screenDirectory, ifIdle, ...(await this.#without()) }, HIBERNATE_DEADLINE_MS);
      const written = await this.#keep(directory, reply?.snapshot);
      if (written.manifest) this.#lineage.took(written.manifest);
      // Stopped meanwhile: its memory is of no use any more.
      if (!this.#owner.isFallingAsleep) return;
      await this.#commit(written);
      this.#owner.onSlept(true);
      process?.kill();
    } catch (error) {
      await this.#refuse(hibernationRefusalOf(error, requestedAt, this.#clock.now()), error);
    }
  }

  async discard(): Promise<void> {
    await this.#owner.folder.discardSuspended();
    this.isKept = false;
  }

  #without(): Promise<{ readonly lost?: readonly string[] }> {
    return this.#lineage.without(this.#packs, this.#owner.key.namespace ?? '');
  }

  async #keep(directory: string, taken: SnapshotTaken | undefined): Promise<WrittenState> {
    return { taken, manifest: taken && (await keepTaken(directory, taken, this.#owner.key.namespace ?? '', this.#packs)) };
  }

  async #commit({ taken, manifest }: WrittenState): Promise<void> {
    if (manifest) this.#lineage.took(manifest);
    await this.#owner.folder.commitSuspended(taken);
    this.isKept = true;
  }

  async #refuse(refusal: HibernationRefusal, error: unknown): Promise<void> {
    const { log, process } = this.#owner;
    this.refusal = refusal;
    // It may have ended by itself: then there is nobody to go on.
    if (!this.#owner.isFallingAsleep) return;
    try {
      if (refusal.reason !== 'Busy') {
        log.error({ err: error }, 'The machine could not hibernate; it runs on');
        this.#owner.onNotice(warning('HibernationFailed', refusal.message));
        await process?.request({ type: 'Resume' }, RESUME_DEADLINE_MS);
      }
      this.#owner.onSlept(false);
    } catch (cause) {
      log.error({ err: cause }, 'The machine stands still; it is ended');
      process?.kill();
    }
  }
}

/** Why a machine did not hibernate, in words for people. */
function hibernationRefusalOf(error: unknown, requestedAt: string, at: Date): HibernationRefusal {
  const isBusy = error instanceof VmProcessRefusal && error.reason === 'Busy';
  const message = error instanceof VmProcessRefusal ? `${error.reason}: ${error.message}` : 'Its memory could not be written to the node’s disk';
  return { requestedAt, reason: isBusy ? 'Busy' : 'Failed', message, at };
}
