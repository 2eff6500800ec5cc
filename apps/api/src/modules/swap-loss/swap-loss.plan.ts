import { findCondition, withCondition, type VirtualMachine, type VirtualMachineSnapshot, type VirtualMachineStatus } from '@corral/contracts';
import { lastSnapshot, RESTARTED_WITHOUT_STATE } from '../nodes/recovery.plan.ts';

/** What becomes of a machine that lost a page of its memory. */
export interface SwapLossStep {
  readonly status: VirtualMachineStatus;
  readonly message: string;
}

/**
 * The latest life of the machine ended because a page could not be had again: it goes on from its last snapshot, where it is. Without one, it starts anew, and
 * says so. Undefined where there is nothing to do. Pure.
 */
export function planSwapLoss(vm: VirtualMachine, snapshots: readonly VirtualMachineSnapshot[], now: Date): SwapLossStep | undefined {
  const { status } = vm;
  const { incarnation, lastTermination, continueFrom } = status ?? {};
  if (!status || vm.metadata.deletionTimestamp !== undefined || incarnation === undefined || continueFrom) return undefined;
  if (lastTermination?.reason !== 'SwapLost' || lastTermination.incarnation !== incarnation) return undefined;
  const snapshot = lastSnapshot(vm, snapshots);
  const said = findCondition(status.conditions, RESTARTED_WITHOUT_STATE);
  if (!snapshot) {
    if (said?.status === 'True' && said.reason === 'SwapLost') return undefined;
    const message = 'A page of its memory was lost and there is no snapshot of the machine: it starts anew, without what it held';
    return { status: { ...status, conditions: withCondition(status.conditions, { type: RESTARTED_WITHOUT_STATE, status: 'True', reason: 'SwapLost', message }, now, vm.metadata.generation) }, message };
  }
  const message = `A page of its memory was lost; the machine continues from snapshot ${snapshot.metadata.name}`;
  const restored = { type: RESTARTED_WITHOUT_STATE, status: 'False', reason: 'RestoredFromSnapshot', message: `From snapshot ${snapshot.metadata.name}` } as const;
  return {
    status: {
      ...status,
      continueFrom: { reason: 'SwapLost', snapshot: snapshot.metadata.name, incarnation },
      ...(said ? { conditions: withCondition(status.conditions, restored, now, vm.metadata.generation) } : {}),
    },
    message,
  };
}
