import { type SnapshotMachine } from '@corral/memory';
import { type FrozenMoment, type PackedMoment } from '../frozen/frozen-moment.ts';
import { type LayeredManifest } from '../machine/machine.lineage.ts';
import { type Machine } from '../machine/machine.ts';
import { type MachineRecord } from '../machine/machine-folder.ts';
import { type Facts } from './snapshot-status.ts';

/** A moment of a machine that lies in the spool: written already, or frozen for forks and only written where somebody elsewhere needs it. */
export interface SnapshotMoment {
  readonly packed: PackedMoment | undefined;
  readonly frozen?: FrozenMoment;
  readonly pauseMs: number;
  readonly facts: Facts;
  /** The layers it needs, as far as they are written. */
  readonly liesOn: LayeredManifest;
  /** What the machine is made of. */
  readonly record?: MachineRecord;
  /** What kept packs of it from being deleted before it named them. */
  readonly namedBefore: ReadonlySet<string>;
  /** How many moments of this snapshot were lost before this one. */
  readonly retake: number;
  /** When the API knew what it needs, as `performance.now()` counts. */
  namedAtMs?: number;
}

/** What a machine left of itself. */
interface TakenState extends Pick<SnapshotMoment, 'packed' | 'frozen' | 'pauseMs' | 'liesOn'> {
  readonly machine: SnapshotMachine;
}

/** Written as a snapshot; throws what the machine refuses with. */
export async function writtenState(machine: Machine, directory: string, incarnation: number): Promise<TakenState> {
  const { taken, manifest } = await machine.moments.snapshot(directory, incarnation);
  return { packed: { directory, taken, manifest, isAsPlanned: true }, pauseMs: taken.pauseMs, liesOn: manifest, machine: manifest.machine };
}

/** Frozen for forks; throws likewise. */
export async function frozenState(machine: Machine, directory: string, incarnation: number): Promise<TakenState> {
  const frozen = await machine.moments.freeze(directory, incarnation);
  return { packed: undefined, frozen, pauseMs: frozen.pauseMs, liesOn: frozen.liesOn, machine: frozen.machine };
}
