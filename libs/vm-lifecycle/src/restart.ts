import { findCondition, toKubeTime, type VirtualMachine, type VmLineage, type VmMemoryStatus, type VmTermination } from '@corral/contracts';
import { type HibernationRefusal, isToSleep } from './hibernation.ts';
import { isLive, panicTermination, type MachineState, type StartOrigin } from './machine-state.ts';

export const RESTART_BASE_MS = 1_000;
/** How long a machine that lost what it held waits for the word where to go on: an earlier start would be one without that. */
export const STATE_LOST_WAIT_MS = 30_000;
export const RESTART_MAX_MS = 5 * 60_000;
/** A run this long was a success: the next end begins the back-off anew. */
export const RESTART_RESET_MS = 10 * 60_000;

/** Everything a decision about one VM on this node is made of. */
export interface World {
  readonly nodeName: string;
  /** The API's word on it; undefined when it is gone there, or bound elsewhere. */
  readonly vm: VirtualMachine | undefined;
  readonly machine: MachineState;
  /** A suspended state lies on this node. */
  readonly suspended: boolean;
  /** The machine's folder holds a disk overlay that was written to. */
  readonly diskWritten: boolean;
  /** Ends in a row, each after a run shorter than RESTART_RESET_MS. */
  readonly failures: number;
  /** What the machine's next snapshot builds on; of a machine that is Prepared, once it has started. */
  readonly lineage?: VmLineage;
  /** Bytes of the VM process resident, as last sampled. */
  readonly residentBytes?: number;
  /** Since when nobody used the guest and it rested; undefined while it is used. */
  readonly idleSince?: Date;
  /** Why it did not fall asleep when it was last to. */
  readonly hibernationRefusal?: HibernationRefusal;
  /** Where its RAM is, as its process said last: it says so only when that is worth telling. */
  readonly memory?: VmMemoryStatus;
  readonly nodeStopping: boolean;
  readonly now: Date;
}

export type NextStart =
  | { readonly type: 'Now'; readonly origin: StartOrigin }
  | { readonly type: 'At'; readonly at: Date }
  | { readonly type: 'No' };

/** Wait before the start that follows `failures` ends in a row: 1 s, doubled up to 5 min. */
export function restartDelayMs(failures: number): number {
  return failures <= 0 ? 0 : Math.min(RESTART_MAX_MS, RESTART_BASE_MS * 2 ** Math.min(failures - 1, 30));
}

/** How many ends in a row there are after a run of `ranMs` ended. */
export function failuresAfter(failures: number, ranMs: number): number {
  return ranMs >= RESTART_RESET_MS ? 1 : failures + 1;
}

/** What the machine should be doing now: what its user wants, except that one about to leave its node stands still, and one nobody uses sleeps. */
export function desiredState(vm: VirtualMachine): 'Running' | 'Paused' | 'Stopped' | 'Hibernated' {
  const wish = vm.metadata.deletionTimestamp === undefined ? (vm.spec?.powerState ?? 'Running') : 'Stopped';
  if (wish === 'Running' && isLeaving(vm)) return 'Paused';
  return wish !== 'Stopped' && isToSleep(vm) ? 'Hibernated' : wish;
}

/** Whether a move holds the incarnation that is there now; one that ended meanwhile has nothing left to hold. */
export const isLeaving = ({ status }: VirtualMachine): boolean =>
  status?.move !== undefined && status.move.incarnation === status.incarnation;

/** Whether this incarnation was given up by the control plane: it lives on elsewhere, or soon will. */
export function isGivenUp({ status }: VirtualMachine, incarnation: number): boolean {
  const { lastTermination } = status ?? {};
  const wasTaken = lastTermination !== undefined && ENDED_BY_CONTROL_PLANE.has(lastTermination.reason);
  return (status?.incarnation ?? 0) > incarnation || (wasTaken && lastTermination.incarnation >= incarnation);
}

/** Whether it was sent back to a snapshot and is to go on from there any moment: what is open to it may wait. */
export const isGoingBack = ({ metadata, spec, status }: VirtualMachine): boolean =>
  status?.continueFrom?.reason === 'RolledBack' && spec?.powerState !== 'Stopped' && metadata.deletionTimestamp === undefined;

/** Whether what it is to go on from is what was just given up: the control plane has not said yet where it goes on instead. */
export const isContinuationLost = ({ status }: VirtualMachine, { reason, snapshot }: VmTermination): boolean =>
  reason === 'ContinuationLost' && status?.continueFrom !== undefined && status.continueFrom.snapshot === snapshot;

const ENDED_BY_WISH: ReadonlySet<VmTermination['reason']> = new Set(['Stopped', 'GuestPoweredOff', 'RolledBack']);
const ENDED_BY_NODE: ReadonlySet<VmTermination['reason']> = new Set(['NodeStopped', 'NodeLost', 'Moved', 'Hibernated']);
const ENDED_BY_CONTROL_PLANE: ReadonlySet<VmTermination['reason']> = new Set(['NodeLost', 'Moved', 'RolledBack']);

/** The machine goes on from its last snapshot, which the control plane names. */
const STATE_LOST: ReadonlySet<VmTermination['reason']> = new Set(['SwapLost', 'SuspendedStateLost', 'ContinuationLost']);

export const isFailure = ({ reason }: VmTermination): boolean => !ENDED_BY_WISH.has(reason);

/** Whether the policy starts a machine again that ended like this. */
export function restarts(policy: 'Always' | 'OnFailure' | 'Never', termination: VmTermination): boolean {
  return policy === 'Always' || (policy === 'OnFailure' && isFailure(termination));
}

/**
 * How the latest incarnation ended; undefined while it lives and before there was any. An incarnation that status holds
 * for living while no process exists died with an earlier node agent.
 */
export function terminationOf({ vm, machine, suspended, now }: World): VmTermination | undefined {
  const told = vm?.status?.lastTermination;
  // It was ended for that: how its process went says nothing.
  if (told?.reason === 'RolledBack' && told.incarnation === vm?.status?.incarnation && !isLive(machine)) return told;
  if (machine.phase === 'Ended') return machine.termination;
  if (machine.phase === 'Panicked') return panicTermination(machine);
  if (isLive(machine)) return undefined;
  const { incarnation = 0, lastTermination } = vm?.status ?? {};
  if (incarnation === 0) return undefined;
  if (lastTermination?.incarnation === incarnation) return lastTermination;
  const message = suspended
    ? 'The node agent stopped and suspended the machine'
    : 'The node agent ended without stopping the machine';
  return { reason: 'NodeStopped', message, incarnation, finishedAt: toKubeTime(now) };
}

/** What a start begins with: the nearest state there is. What a machine left behind here when it left is older than what it continues from. */
export const originOf = ({ vm, suspended, diskWritten }: Pick<World, 'vm' | 'suspended' | 'diskWritten'>): StartOrigin =>
  vm?.status?.continueFrom ? 'Source' : suspended ? 'Suspended' : diskWritten ? 'Disk' : 'Source';

/** When, if ever, the machine starts (again), and from what; told as if no process existed. */
export function nextStart(world: World): NextStart {
  const { vm, suspended, now, nodeStopping, failures } = world;
  if (!vm || nodeStopping || desiredState(vm) === 'Stopped') return { type: 'No' };
  if (suspended && desiredState(vm) === 'Hibernated') return { type: 'No' };
  const again: NextStart = { type: 'Now', origin: originOf(world) };
  const termination = terminationOf(world);
  const isLost = termination !== undefined && isContinuationLost(vm, termination);
  // A move is no end, nor is a rollback: what moved goes on, whatever the policy says about ends.
  const goesOn = (vm.status?.continueFrom?.reason === 'Moved' && !isLost) || isGoingBack(vm);
  if (suspended || goesOn) return again;

  if (!termination || termination.reason === 'Stopped' || wasSwitchedOff(vm)) return again;
  if (!restarts(vm.spec?.restartPolicy ?? 'Always', termination)) return { type: 'No' };
  if (ENDED_BY_NODE.has(termination.reason) || (STATE_LOST.has(termination.reason) && vm.status?.continueFrom && !isLost)) return again;

  // The end of a panicked guest is counted when its process goes, which is after the wait.
  const ends = world.machine.phase === 'Panicked' ? failures + 1 : Math.max(1, failures);
  const delayMs = STATE_LOST.has(termination.reason) ? Math.max(STATE_LOST_WAIT_MS, restartDelayMs(ends)) : restartDelayMs(ends);
  const at = plannedStart(vm, termination) ?? new Date(Date.parse(termination.finishedAt) + delayMs);
  return now.getTime() >= at.getTime() ? again : { type: 'At', at };
}

/** Switched off by its user after it ended: switching on again starts it, whatever the policy says about ends. */
function wasSwitchedOff(vm: VirtualMachine): boolean {
  return findCondition(vm.status?.conditions, 'Ready')?.reason === 'Stopped';
}

/** The start already promised in status for this end: keeps a back-off across restarts of the node agent. */
function plannedStart({ status }: VirtualMachine, termination: VmTermination): Date | undefined {
  if (status?.nextStartTime === undefined || status.lastTermination?.incarnation !== termination.incarnation)
    return undefined;
  return new Date(status.nextStartTime);
}
