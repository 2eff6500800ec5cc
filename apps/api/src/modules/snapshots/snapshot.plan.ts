import { findCondition, isSnapshotOver, SNAPSHOT_DATA_FINALIZER, SNAPSHOT_DEADLINE_MS, type Node, type VirtualMachine, type VirtualMachineSnapshot } from '@corral/contracts';

/** A node gives up a snapshot at its deadline and says why; one that has not said so by now has failed it. */
export const NODE_ANSWER_DEADLINE_MS = SNAPSHOT_DEADLINE_MS + 60_000;

const KEPT_RECHECK_MS = 5_000;

export interface SnapshotObservation {
  readonly snapshot: VirtualMachineSnapshot;
  /** The machine of the name it gives, if there is one. */
  readonly vm: VirtualMachine | undefined;
  /** The node it is bound to, if it is bound and the node exists. */
  readonly node: Node | undefined;
  /** A machine that left its node and is to go on from this snapshot, if there is one. */
  readonly awaitedBy: VirtualMachine | undefined;
  readonly now: Date;
}

export type SnapshotStep =
  | { readonly type: 'Nothing' }
  /** The machine's node takes it; status first says of which machine. The node adds of which incarnation. */
  | { readonly type: 'Bind'; readonly nodeName: string; readonly virtualMachineUid: string }
  /** Look again later. */
  | { readonly type: 'Wait'; readonly delayMs: number }
  | { readonly type: 'Fail'; readonly reason: SnapshotFailure; readonly message: string }
  /** It is to be deleted, and is all that is left of what the machine held: it stays until that runs again, or is deleted. */
  | { readonly type: 'Keep'; readonly delayMs: number; readonly message: string }
  /** Remove its bytes, then let it go. */
  | { readonly type: 'DeleteData' };

/** Failures this controller finds; the node adds its own. All are final: another snapshot is another object. */
export type SnapshotFailure = 'VirtualMachineNotFound' | 'VirtualMachineNotRunning' | 'DeadlineExceeded' | 'NodeLost';

/** The next step that brings the snapshot to an end, good or bad. */
export function planSnapshot({ snapshot, vm, node, awaitedBy, now }: SnapshotObservation): SnapshotStep {
  if (snapshot.metadata.deletionTimestamp !== undefined) {
    if (!snapshot.metadata.finalizers?.includes(SNAPSHOT_DATA_FINALIZER)) return { type: 'Nothing' };
    if (awaitedBy) return { type: 'Keep', delayMs: KEPT_RECHECK_MS, message: `Virtual machine "${awaitedBy.metadata.name}" goes on from it; it is deleted once that runs.` };
    return { type: 'DeleteData' };
  }
  if (isSnapshotOver(snapshot)) return { type: 'Nothing' };
  return snapshot.spec?.nodeName === undefined ? planBinding(snapshot, vm) : planTaking(snapshot, snapshot.spec.nodeName, node, now);
}

function planBinding(snapshot: VirtualMachineSnapshot, vm: VirtualMachine | undefined): SnapshotStep {
  const name = snapshot.spec?.virtualMachine ?? '';
  if (!vm) return { type: 'Fail', reason: 'VirtualMachineNotFound', message: `Virtual machine "${name}" does not exist.` };
  const phase = vm.metadata.deletionTimestamp === undefined ? (vm.status?.phase ?? 'Pending') : 'Terminating';
  const { nodeName } = vm.status ?? {};
  // One that sleeps has its memory on its node's disk.
  const hasMemory = phase === 'Running' || phase === 'Paused' || phase === 'Hibernated';
  if (!hasMemory || nodeName === undefined) {
    return { type: 'Fail', reason: 'VirtualMachineNotRunning', message: `Virtual machine "${name}" is ${phase}; only a machine that runs or is paused has a memory to keep.` };
  }
  return { type: 'Bind', nodeName, virtualMachineUid: vm.metadata.uid };
}

function planTaking(snapshot: VirtualMachineSnapshot, nodeName: string, node: Node | undefined, now: Date): SnapshotStep {
  if (!node || findCondition(node.status?.conditions, 'Ready')?.status === 'Unknown') {
    return { type: 'Fail', reason: 'NodeLost', message: `Node ${nodeName}, which was taking it, is gone.` };
  }
  const leftMs = Date.parse(snapshot.metadata.creationTimestamp) + NODE_ANSWER_DEADLINE_MS - now.getTime();
  if (leftMs > 0) return { type: 'Wait', delayMs: leftMs };
  return { type: 'Fail', reason: 'DeadlineExceeded', message: `Node ${nodeName} did not finish it within ${SNAPSHOT_DEADLINE_MS / 60_000} minutes.` };
}
