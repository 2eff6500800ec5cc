import { findCondition, withCondition, type VirtualMachine, type VirtualMachineSnapshot, type VirtualMachineStatus } from '@corral/contracts';
import { canBeginAnew, lastSnapshot, RESTARTED_WITHOUT_STATE } from '../nodes/recovery.plan.ts';

/** Ends after which a machine goes on from its last snapshot, where it is; and what was lost, for people. */
const LOST = {
  SwapLost: 'A page of its memory was lost',
  SuspendedStateLost: 'What it was written out as is lost',
} as const;
type Loss = keyof typeof LOST;

/** What becomes of a machine that lost what it held. */
export interface StateLossStep {
  readonly reason: Loss;
  readonly status: VirtualMachineStatus;
  readonly message: string;
}

/** How the latest life of a machine lost what it held; undefined where it did not, or where it is said already what follows. */
export function lossOf({ metadata, status }: VirtualMachine): Loss | undefined {
  const { incarnation, lastTermination, continueFrom } = status ?? {};
  if (metadata.deletionTimestamp !== undefined || incarnation === undefined || continueFrom || lastTermination?.incarnation !== incarnation) return undefined;
  const { reason } = lastTermination;
  return reason === 'SwapLost' || reason === 'SuspendedStateLost' ? reason : undefined;
}

/**
 * The latest life of the machine ended because what it held could not be had again: it goes on from its last snapshot, where it is. Without one, it starts anew, and
 * says so. `snapshots` are those that are whole. Undefined where there is nothing to do. Pure.
 */
export function planStateLoss(vm: VirtualMachine, snapshots: readonly VirtualMachineSnapshot[], now: Date): StateLossStep | undefined {
  const { status } = vm;
  const reason = lossOf(vm);
  if (!status?.incarnation || !reason) return undefined;
  const { incarnation } = status;
  const snapshot = lastSnapshot(vm, snapshots);
  const said = findCondition(status.conditions, RESTARTED_WITHOUT_STATE);
  // Its node says so of a fork of which nothing is left: that starts no more.
  if (!snapshot && !canBeginAnew(vm, snapshots)) return undefined;
  if (!snapshot) {
    if (said?.status === 'True' && said.reason === reason) return undefined;
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
