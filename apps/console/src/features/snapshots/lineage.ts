import type { VirtualMachine, VirtualMachineSnapshot } from '@corral/contracts';
import { snapshotStatus } from '@corral/ui';

/** Named in the contracts too; written here, because those bring every schema along, which the browser has no use for. */
const CHECKPOINT_LABEL = 'corral.dev/checkpoint';
const MOVE_LABEL = 'corral.dev/move';
const HIBERNATION_LABEL = 'corral.dev/hibernation';

/** Why a snapshot was taken: a person asked, the machine's policy did, it moved to another node, or it slept. */
export type SnapshotKind = 'Named' | 'Checkpoint' | 'Move' | 'Sleep';

export function kindOf({ metadata }: VirtualMachineSnapshot): SnapshotKind {
  if (metadata.labels?.[CHECKPOINT_LABEL] === 'true') return 'Checkpoint';
  if (metadata.labels?.[HIBERNATION_LABEL] === 'true') return 'Sleep';
  return metadata.labels?.[MOVE_LABEL] === 'true' ? 'Move' : 'Named';
}

/** False for the moment of a live fork: held for the machines that start from it, and gone soon. */
export const isKept = ({ spec }: VirtualMachineSnapshot): boolean => spec?.fork === undefined;

/** A moment that a machine can go back to. */
export interface Moment {
  readonly snapshot: VirtualMachineSnapshot;
  readonly kind: SnapshotKind;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Whether the machine came by here on its way to what it is now; one that was rolled back has left others aside. */
  readonly isOnPath: boolean;
}

const takenAt = ({ metadata }: VirtualMachineSnapshot): number => Date.parse(metadata.creationTimestamp);

/** The moments of one machine that are whole, the oldest first. */
export function momentsOf(vm: VirtualMachine, snapshots: readonly VirtualMachineSnapshot[]): Moment[] {
  const path = pathOf(vm, snapshots);
  const depths = depthsOf(snapshots);
  const depthOf = ({ snapshot }: Moment): number => depths.get(snapshot.metadata.name) ?? 0;
  return snapshots
    .filter((snapshot) => snapshotStatus(snapshot).says === 'Verified')
    .map((snapshot) => ({
      snapshot,
      kind: kindOf(snapshot),
      at: takenAt(snapshot),
      isOnPath: path === undefined || path.has(snapshot.metadata.name),
    }))
    // Times are told in whole seconds; of two in one second, that which the other came after is the earlier.
    .sort((a, b) => a.at - b.at || depthOf(a) - depthOf(b) || (a.snapshot.metadata.name < b.snapshot.metadata.name ? -1 : 1));
}

/** How many snapshots each came after, one after the other. */
function depthsOf(snapshots: readonly VirtualMachineSnapshot[]): ReadonlyMap<string, number> {
  const parents = new Map(snapshots.map(({ metadata, status }) => [metadata.name, status?.parent]));
  const depthOf = (name: string): number => {
    const seen = new Set<string>();
    for (let parent = parents.get(name); parent !== undefined && parents.has(parent) && !seen.has(parent); parent = parents.get(parent)) seen.add(parent);
    return seen.size;
  };
  return new Map(snapshots.map(({ metadata: { name } }) => [name, depthOf(name)]));
}

/** Names of the snapshots between what the machine is now and its beginning; undefined where that is not known. */
function pathOf({ status }: VirtualMachine, snapshots: readonly VirtualMachineSnapshot[]): ReadonlySet<string> | undefined {
  const byName = new Map(snapshots.map((snapshot) => [snapshot.metadata.name, snapshot]));
  const path = new Set<string>();
  let name = status?.lineage?.snapshot;
  if (name === undefined || !byName.has(name)) return undefined;
  while (name !== undefined && name !== '' && !path.has(name)) {
    path.add(name);
    name = byName.get(name)?.status?.parent;
  }
  return path;
}

/**
 * Where each moment lies between 0 and 1: by its time, and no closer to its neighbour than `gap`, so that each can be told
 * from the next and met with a pointer. 1 is now.
 */
export function positionsOf(times: readonly number[], now: number, gap: number): number[] {
  const from = times[0] ?? now;
  const span = Math.max(1, now - from);
  // The last keeps its distance from now as well, so the whole may have to be squeezed.
  const step = Math.min(gap, 1 / Math.max(1, times.length));
  const positions: number[] = [];
  for (const [index, time] of times.entries()) {
    const leastRight = (positions[index - 1] ?? -step) + step;
    const mostRight = 1 - step * (times.length - index);
    positions.push(Math.min(Math.max((time - from) / span, leastRight), Math.max(leastRight, mostRight)));
  }
  return positions;
}
