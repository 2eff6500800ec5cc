import { findCondition, withCondition, type VirtualMachine, type VirtualMachineSnapshot, type VirtualMachineStatus } from '@corral/contracts';
import { isContinuationLost } from '@corral/vm-lifecycle';
import { canBeginAnew, lastSnapshot, olderThan, RESTARTED_WITHOUT_STATE } from '../nodes/recovery.plan.ts';

/** Ends after which a machine goes on from its last snapshot, where it is; and what was lost, for people. */
const LOST = {
  SwapLost: 'A page of its memory was lost',
  SuspendedStateLost: 'What it was written out as is lost',
  ContinuationLost: 'The snapshot it was to go on from is lost',
} as const;
type Loss = keyof typeof LOST;

/** What becomes of a machine that lost what it held. */
export interface StateLossStep {
  readonly reason: Loss;
  readonly status: VirtualMachineStatus;
  readonly message: string;
}

/** How the latest life of a machine lost what it held; undefined where it did not, or where it is said already what follows. */
export function lossOf(vm: VirtualMachine): Loss | undefined {
  const { incarnation, lastTermination, continueFrom } = vm.status ?? {};
  if (vm.metadata.deletionTimestamp !== undefined || incarnation === undefined || lastTermination?.incarnation !== incarnation) return undefined;
  const { reason } = lastTermination;
  if (continueFrom) return isContinuationLost(vm, lastTermination) ? 'ContinuationLost' : undefined;
  return reason === 'SwapLost' || reason === 'SuspendedStateLost' ? reason : undefined;
}

/** Of these snapshots, those that the machine may go on from: none that it could not go on from just now, and none since. */
export function candidatesOf({ status }: VirtualMachine, snapshots: readonly VirtualMachineSnapshot[]): readonly VirtualMachineSnapshot[] {
  const { reason, snapshot } = status?.lastTermination ?? {};
  return reason === 'ContinuationLost' && snapshot !== undefined ? olderThan(snapshot, snapshots) : snapshots;
}

/**
 * The latest life of the machine ended because what it held could not be had again: it goes on from its last snapshot, where it is. Without one, it starts anew, and
 * says so. `snapshots` are those that are whole. Undefined where there is nothing to do. Pure.
 */
export function planStateLoss(vm: VirtualMachine, snapshots: readonly VirtualMachineSnapshot[], now: Date): StateLossStep | undefined {
  const reason = lossOf(vm);
  if (!vm.status?.incarnation || !reason) return undefined;
  const { continueFrom: _lost, ...status } = vm.status;
  const { incarnation = 0 } = status;
  const snapshot = lastSnapshot(vm, candidatesOf(vm, snapshots));
  const said = findCondition(status.conditions, RESTARTED_WITHOUT_STATE);
  // Its node says so of a fork of which nothing is left: that starts no more.
  if (!snapshot && !canBeginAnew(vm, snapshots)) return reason === 'ContinuationLost' ? { reason, status, message: `${LOST[reason]}, and nothing else of the machine is left` } : undefined;
  if (!snapshot) {
    if (!vm.status.continueFrom && said?.status === 'True' && said.reason === reason) return undefined;
    const message = `${LOST[reason]} and there is no snapshot of the machine: it starts anew, without what it held`;
    return { reason, status: { ...status, conditions: withCondition(status.conditions, { type: RESTARTED_WITHOUT_STATE, status: 'True', reason, message }, now, vm.metadata.generation) }, message };
  }
  const message = `${LOST[reason]}; the machine continues from snapshot ${snapshot.metadata.name}`;
  const restored = { type: RESTARTED_WITHOUT_STATE, status: 'False', reason: 'RestoredFromSnapshot', message: `From snapshot ${snapshot.metadata.name}` } as const;
  return {
    reason,
    status: {
      ...status,
      continueFrom: { reason, snapshot: snapshot.metadata.name, incarnation },
      ...(said ? { conditions: withCondition(status.conditions, restored, now, vm.metadata.generation) } : {}),
    },
    message,
  };
}
