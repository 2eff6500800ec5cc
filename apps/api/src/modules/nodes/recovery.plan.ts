import {
  findCondition, startSourceOf, toKubeTime, withCondition,
  type VirtualMachine, type VirtualMachineSnapshot, type VirtualMachineStatus, type VmContinuation, type VmTermination,
} from '@corral/contracts';
import { isAsleep, MACHINE_FINALIZER } from '@corral/vm-lifecycle';
import { unboundStatus } from '../hibernation/sleeping-status.ts';

export interface LostMachine {
  readonly vm: VirtualMachine;
  /** Every snapshot of the machine's namespace. */
  readonly snapshots: readonly VirtualMachineSnapshot[];
  /** Whether the node's object is still there; without it nobody expects the node back. */
  readonly nodeExists: boolean;
  readonly now: Date;
}

export type RecoveryStep =
  /** It has something on the lost node that is worth more than running elsewhere, or has nothing to run for. */
  | { readonly type: 'Keep' }
  /** It is being deleted, and nobody else would let go of it. */
  | { readonly type: 'Release' }
  /** Takes it from the node, in one write. */
  | { readonly type: 'Unbind'; readonly status: VirtualMachineStatus; readonly event: RecoveryEvent };

export interface RecoveryEvent {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

/** True when a machine was started again without what it held, because there was no snapshot of it. */
export const RESTARTED_WITHOUT_STATE = 'RestartedWithoutState';

/** What becomes of a machine whose node is lost. */
export function planRecovery({ vm, snapshots, nodeExists, now }: LostMachine): RecoveryStep {
  if (vm.metadata.deletionTimestamp !== undefined) return vm.metadata.finalizers?.includes(MACHINE_FINALIZER) ? { type: 'Release' } : { type: 'Keep' };
  if (nodeExists && (vm.spec?.powerState === 'Stopped' || isSuspended(vm))) return { type: 'Keep' };

  if (isAsleep(vm)) {
    const message = `Node ${nodeOf(vm)} is lost; the machine sleeps on in the object store.`;
    const status = unboundStatus(vm, now, { isWoken: false, message });
    if (status) return { type: 'Unbind', status, event: { type: 'Normal', reason: 'NodeLost', message } };
    if (nodeExists) return { type: 'Keep' };
  }

  const { incarnation = 0 } = vm.status ?? {};
  if (incarnation === 0) return unbind(vm, {}, now, { type: 'Normal', reason: 'Rescheduled', message: `Node ${nodeOf(vm)} was lost before the machine had started there.` });

  const lastTermination = terminationOf(vm, incarnation, now);
  const continuation = continuationOf(vm, snapshots, incarnation);
  if (continuation) {
    const event = { type: 'Warning', reason: 'NodeLost', message: `Node ${nodeOf(vm)} is lost; the machine continues elsewhere from snapshot ${continuation.snapshot}.` } as const;
    return unbind(vm, { lastTermination, continueFrom: continuation }, now, event, { status: 'False', reason: 'RestoredFromSnapshot', message: `From snapshot ${continuation.snapshot}.` });
  }
  const willStart = vm.spec?.restartPolicy !== 'Never';
  if (willStart && !canBeginAnew(vm, snapshots)) {
    const message = `Node ${nodeOf(vm)} is lost, and there is neither a snapshot of the machine nor the moment that it was forked at: nothing is left of it.`;
    return unbind(vm, { lastTermination }, now, { type: 'Warning', reason: 'NodeLost', message });
  }
  const message = `Node ${nodeOf(vm)} is lost and there is no snapshot of the machine: ${willStart ? 'it starts anew from its source, without what it held' : 'restartPolicy Never keeps it from starting anew'}.`;
  const event = { type: 'Warning', reason: willStart ? RESTARTED_WITHOUT_STATE : 'NodeLost', message } as const;
  return unbind(vm, { lastTermination }, now, event, willStart ? { status: 'True', reason: 'NodeLost', message } : undefined);
}

/** What began with a moment of another machine has no other source than that. */
export function canBeginAnew(vm: VirtualMachine, snapshots: readonly VirtualMachineSnapshot[]): boolean {
  const { fork } = vm.status ?? {};
  const isFork = fork !== undefined && startSourceOf(vm).virtualMachine !== undefined;
  return !isFork || snapshots.some((one) => one.metadata.name === fork.snapshot && isReady(one));
}

const isReady = ({ metadata, status }: VirtualMachineSnapshot): boolean => metadata.deletionTimestamp === undefined && findCondition(status?.conditions, 'Ready')?.status === 'True';

/**
 * The newest snapshot of what this machine is: of its latest incarnation, and there the last one asked for. One that was sent
 * back has nothing of what it was before: until it has a snapshot of its own since, it is what it was sent back to.
 */
export function lastSnapshot(vm: VirtualMachine, snapshots: readonly VirtualMachineSnapshot[]): VirtualMachineSnapshot | undefined {
  const ready = snapshots.filter(isReady);
  const { lastRollback } = vm.status ?? {};
  const own = ready.filter(({ status }) => status?.virtualMachineUid === vm.metadata.uid && (status.incarnation ?? 0) > (lastRollback?.incarnation ?? -1));
  const newest = own.reduce<VirtualMachineSnapshot | undefined>((best, next) => (!best || isLater(ageOf(next), ageOf(best)) ? next : best), undefined);
  return newest ?? (lastRollback && ready.find(({ metadata }) => metadata.name === lastRollback.snapshot));
}

/** Those taken before the one of this name; all of them where there is none of it. */
export function olderThan(name: string, snapshots: readonly VirtualMachineSnapshot[]): readonly VirtualMachineSnapshot[] {
  const one = snapshots.find(({ metadata }) => metadata.name === name);
  return one ? snapshots.filter((other) => !isLater(ageOf(other), ageOf(one))) : snapshots;
}

function ageOf({ metadata, status }: VirtualMachineSnapshot): readonly [number, number, number] {
  return [status?.incarnation ?? 0, Date.parse(metadata.creationTimestamp), Date.parse(status?.completedAt ?? metadata.creationTimestamp)];
}

/** Or as late. */
function isLater(a: readonly number[], b: readonly number[]): boolean {
  const index = a.findIndex((value, at) => value !== b[at]);
  return index === -1 || (a[index] ?? 0) > (b[index] ?? 0);
}

/** A machine that was lost before it had run again still continues from what it was to continue from, unless that is gone. */
function continuationOf(vm: VirtualMachine, snapshots: readonly VirtualMachineSnapshot[], incarnation: number): VmContinuation | undefined {
  const pending = vm.status?.continueFrom;
  const isThere = pending && snapshots.some(({ metadata }) => metadata.name === pending.snapshot && metadata.deletionTimestamp === undefined);
  if (isThere) return { ...pending, incarnation };
  const snapshot = lastSnapshot(vm, snapshots);
  return snapshot && { reason: 'NodeLost', snapshot: snapshot.metadata.name, incarnation };
}

const nodeOf = (vm: VirtualMachine): string => vm.spec?.nodeName ?? vm.status?.nodeName ?? 'unknown';

/** Its memory lies on the node's disk, newer than any snapshot: it waits for the node, unless somebody says that it will not come back. */
const isSuspended = ({ status }: VirtualMachine): boolean => findCondition(status?.conditions, 'Ready')?.reason === 'Suspended';

function terminationOf(vm: VirtualMachine, incarnation: number, now: Date): VmTermination {
  const told = vm.status?.lastTermination;
  if (told?.incarnation === incarnation) return told;
  return { reason: 'NodeLost', message: `Node ${nodeOf(vm)} did not answer any more`, incarnation, finishedAt: toKubeTime(now) };
}

function unbind(
  vm: VirtualMachine,
  left: Pick<VirtualMachineStatus, 'lastTermination' | 'continueFrom'>,
  now: Date,
  event: RecoveryEvent,
  withoutState?: { readonly status: 'True' | 'False'; readonly reason: string; readonly message: string },
): RecoveryStep {
  const { nodeName: _node, move: _move, continueFrom: _before, residentBytes: _resident, memory: _memory, nextStartTime: _next, hibernation, ...awake } = vm.status ?? {};
  // Whoever woke it waits for it still; one that nobody has kept sleeps no more.
  const kept = hibernation?.wakeRequestedAt === undefined ? awake : { ...awake, hibernation };
  const generation = vm.metadata.generation + 1;
  let conditions = withCondition(kept.conditions, { type: 'Ready', status: 'False', reason: event.reason, message: event.message }, now, generation);
  conditions = withCondition(conditions, { type: 'Scheduled', status: 'False', reason: event.reason, message: 'It waits for another node.' }, now, generation);
  // Said where it is so, and corrected where it once was.
  const isWorthSaying = withoutState && (withoutState.status === 'True' || findCondition(conditions, RESTARTED_WITHOUT_STATE) !== undefined);
  if (isWorthSaying) conditions = withCondition(conditions, { type: RESTARTED_WITHOUT_STATE, ...withoutState }, now, generation);
  return { type: 'Unbind', status: { ...kept, ...left, phase: 'Pending', conditions }, event };
}
