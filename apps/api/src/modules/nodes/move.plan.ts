import { findCondition, isSnapshotOver, toKubeTime, withCondition, type Node, type VirtualMachine, type VirtualMachineSnapshot, type VirtualMachineStatus, type VmMove } from '@corral/contracts';
import { isLeaving } from '@corral/vm-lifecycle';

/** How long a machine may stand still for a move that does not come about. */
export const MOVE_DEADLINE_MS = 5 * 60_000;

/** On a snapshot that a machine takes along: its users neither asked for it nor need keep it. */
export const MOVE_LABEL = 'corral.dev/move';

export interface MoveObservation {
  readonly vm: VirtualMachine;
  /** The node it leaves. */
  readonly node: Node | undefined;
  /** The snapshot named by the move, once there is one. */
  readonly snapshot: VirtualMachineSnapshot | undefined;
  /** Why no other node can take it; undefined when one can. */
  readonly noPlace: string | undefined;
  readonly now: Date;
}

export type MoveStep =
  | { readonly type: 'Nothing' }
  | { readonly type: 'Wait'; readonly delayMs: number }
  /** Write down the snapshot's name first, so that a crash between the two makes no second one. */
  | { readonly type: 'NameSnapshot'; readonly name: string }
  | { readonly type: 'TakeSnapshot'; readonly name: string }
  /** The point of no return: it belongs to no node any more, and goes on from the snapshot. */
  | { readonly type: 'Switch'; readonly status: VirtualMachineStatus }
  /** It runs on where it is. */
  | { readonly type: 'Abort'; readonly reason: MoveFailure; readonly message: string };

export type MoveFailure = 'Uncordoned' | 'NotRunning' | 'SnapshotFailed' | 'NoOtherNode' | 'DeadlineExceeded';

/** The next step of a machine's move, or its end. Everything before Switch can be taken back, and is. */
export function planMove({ vm, node, snapshot, noPlace, now }: MoveObservation): MoveStep {
  const move = vm.status?.move;
  if (!move) return { type: 'Nothing' };
  const hasEnded = vm.status?.phase === 'Failed' || vm.status?.phase === 'Stopped' || vm.status?.phase === 'Hibernated';
  if (hasEnded || !isLeaving(vm) || vm.spec?.nodeName !== move.from || vm.spec.powerState === 'Stopped' || vm.metadata.deletionTimestamp !== undefined) {
    return { type: 'Abort', reason: 'NotRunning', message: 'The machine ended, or left by itself.' };
  }
  // A node that fell silent meanwhile: what becomes of the machine is decided there.
  if (!node || findCondition(node.status?.conditions, 'Ready')?.status === 'Unknown') return { type: 'Nothing' };
  if (isTakenBack(move, node)) return { type: 'Abort', reason: 'Uncordoned', message: `Node ${move.from} takes machines again.` };
  const leftMs = Date.parse(move.requestedAt) + MOVE_DEADLINE_MS - now.getTime();
  if (leftMs <= 0) return { type: 'Abort', reason: 'DeadlineExceeded', message: `It did not come about within ${MOVE_DEADLINE_MS / 60_000} minutes.` };

  if (move.snapshot === undefined) return isHeld(vm) ? { type: 'NameSnapshot', name: snapshotName(vm, move) } : { type: 'Wait', delayMs: leftMs };
  if (!snapshot) return isHeld(vm) ? { type: 'TakeSnapshot', name: move.snapshot } : { type: 'Wait', delayMs: leftMs };
  const ready = findCondition(snapshot.status?.conditions, 'Ready');
  if (ready?.status !== 'True') {
    return isSnapshotOver(snapshot) ? { type: 'Abort', reason: 'SnapshotFailed', message: `${ready?.reason ?? 'Unknown'}: ${ready?.message ?? ''}` } : { type: 'Wait', delayMs: leftMs };
  }
  if (!isHeld(vm) || snapshot.status?.incarnation !== move.incarnation) return { type: 'Abort', reason: 'NotRunning', message: 'The machine went on after its snapshot was taken.' };
  // What makes room for another leaves in any case: without a place it waits, with all that it holds.
  if (noPlace !== undefined && move.reason !== 'Preempted') return { type: 'Abort', reason: 'NoOtherNode', message: noPlace };
  return { type: 'Switch', status: movedStatus(vm, move, move.snapshot, now) };
}

/** It stands still for the move, and its node has said so. */
const isHeld = ({ status }: VirtualMachine): boolean => status?.phase === 'Paused' && findCondition(status.conditions, 'Ready')?.reason === 'Moving';

function isTakenBack({ reason }: VmMove, { spec, status }: Node): boolean {
  switch (reason) {
    case 'Drained':
      return !spec?.unschedulable;
    case 'Tainted':
      return !spec?.taints?.some(({ effect }) => effect === 'NoExecute');
    case 'NodeStopping':
      return status?.corral?.isEmptying !== true;
    case 'Evicted':
    case 'Preempted':
      return false;
  }
}

const MAX_NAME = 253;
/** The same for the same move, and another for the next. */
function snapshotName({ metadata }: VirtualMachine, { incarnation, requestedAt }: VmMove): string {
  const suffix = `-move-${incarnation}-${Math.floor(Date.parse(requestedAt) / 1000).toString(36)}`;
  return `${metadata.name.slice(0, MAX_NAME - suffix.length)}${suffix}`;
}

function movedStatus({ metadata, status = {} }: VirtualMachine, move: VmMove, snapshot: string, now: Date): VirtualMachineStatus {
  const { nodeName: _node, move: _move, residentBytes: _resident, memory: _memory, nextStartTime: _next, ...kept } = status;
  const generation = metadata.generation + 1;
  const message = `It left ${move.from} and goes on elsewhere from where it was.`;
  let conditions = withCondition(kept.conditions, { type: 'Ready', status: 'False', reason: 'Moving', message }, now, generation);
  conditions = withCondition(conditions, { type: 'Scheduled', status: 'False', reason: 'Moving', message: 'It waits for another node.' }, now, generation);
  return {
    ...kept,
    phase: 'Pending',
    conditions,
    continueFrom: { reason: 'Moved', snapshot, incarnation: move.incarnation },
    lastTermination: { reason: 'Moved', message: `Moved away from ${move.from}`, incarnation: move.incarnation, finishedAt: toKubeTime(now) },
  };
}
