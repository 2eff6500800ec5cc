import { type ObjectKey, type SnapshotTaken } from '@corral/contracts';
import { type SnapshotManifest } from '@corral/memory';
import { type HibernationRefusal } from '@corral/vm-lifecycle';
import { keepTaken } from '../snapshots/taken-snapshot.ts';
import { type MachineFolder } from './machine-folder.ts';
import { type MachineLineage } from './machine.lineage.ts';
import { type PackCache } from './pack-cache.ts';
import { type VmProcessHandle, VmProcessRefusal } from './vm-process.handle.ts';

/** To stand still, and then to be written. */
const SUSPEND_PAUSE_DEADLINE_MS = 2_000;
const SUSPEND_DEADLINE_MS = 13_000;
const HIBERNATE_DEADLINE_MS = 60_000;

/** How a machine's whole state comes to lie in its folder, to go on from later. */
export interface StateWriting {
  readonly folder: MachineFolder;
  readonly key: ObjectKey;
  readonly packs: PackCache;
  readonly lineage: MachineLineage;
  /** A process that has ended meanwhile has written nothing. */
  readonly process: VmProcessHandle | undefined;
}

/** What lies in the folder is not the machine's state until it is committed. */
export interface WrittenState {
  readonly taken: SnapshotTaken | undefined;
  readonly manifest: SnapshotManifest | undefined;
}

/** Pauses the machine, and writes what it is. Throws what the process refuses with, and PackForged. */
export async function writeSuspended({ process, ...rest }: StateWriting): Promise<WrittenState> {
  // First of all: what the guest did after its state was copied would be undone.
  await process?.request({ type: 'Pause' }, SUSPEND_PAUSE_DEADLINE_MS);
  const directory = await rest.folder.beginSuspended();
  return keep(directory, (await process?.request({ type: 'Snapshot', directory, ...(await without(rest)) }, SUSPEND_DEADLINE_MS))?.snapshot, rest);
}

/** Has the machine stand still for good, and writes what it is and what it shows. Throws likewise; with `ifIdle`, also Busy. */
export async function writeHibernated({ process, ...rest }: StateWriting, ifIdle: boolean): Promise<WrittenState> {
  const [directory, screenDirectory] = await Promise.all([rest.folder.beginSuspended(), rest.folder.beginScreen()]);
  return keep(directory, (await process?.request({ type: 'Hibernate', directory, screenDirectory, ifIdle, ...(await without(rest)) }, HIBERNATE_DEADLINE_MS))?.snapshot, rest);
}

const without = ({ key, packs, lineage }: Omit<StateWriting, 'process'>): Promise<{ readonly lost?: readonly string[] }> => lineage.without(packs, key.namespace ?? '');

async function keep(directory: string, taken: SnapshotTaken | undefined, { key, packs }: Omit<StateWriting, 'process'>): Promise<WrittenState> {
  return { taken, manifest: taken && (await keepTaken(directory, taken, key.namespace ?? '', packs)) };
}

/** Why a machine did not hibernate, in words for people. */
export function hibernationRefusalOf(error: unknown, requestedAt: string, at: Date): HibernationRefusal {
  const isBusy = error instanceof VmProcessRefusal && error.reason === 'Busy';
  const message = error instanceof VmProcessRefusal ? `${error.reason}: ${error.message}` : 'Its memory could not be written to the node’s disk';
  return { requestedAt, reason: isBusy ? 'Busy' : 'Failed', message, at };
}
