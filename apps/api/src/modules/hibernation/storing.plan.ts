import { findCondition, isSnapshotOver, type VirtualMachine, type VirtualMachineSnapshot } from '@corral/contracts';
import { isAsleep } from '@corral/vm-lifecycle';

/** On a snapshot in which a sleeping machine outlives its node: its users neither asked for it nor need keep it. */
export const HIBERNATION_LABEL = 'corral.dev/hibernation';

/** One that wakes up at once need not be stored. */
export const STORE_AFTER_MS = 3_000;

export interface StoringObservation {
  readonly vm: VirtualMachine;
  /** The snapshot that its hibernation names, once there is one. */
  readonly snapshot: VirtualMachineSnapshot | undefined;
  readonly now: Date;
}

export type StoringStep =
  | { readonly type: 'Nothing' }
  | { readonly type: 'Wait'; readonly delayMs: number }
  /** Write down the snapshot's name first, so that a crash between the two makes no second one. */
  | { readonly type: 'NameSnapshot'; readonly name: string }
  | { readonly type: 'TakeSnapshot'; readonly name: string }
  /** Every byte is in the object store. */
  | { readonly type: 'Stored' }
  /** It sleeps on where it is; another try comes later. */
  | { readonly type: 'GiveUp'; readonly message: string };

/** The next step that brings a sleeping machine into the object store. */
export function planStoring({ vm, snapshot, now }: StoringObservation): StoringStep {
  const { hibernation } = vm.status ?? {};
  const isHere = isAsleep(vm) && vm.spec?.nodeName !== undefined && vm.metadata.deletionTimestamp === undefined;
  if (!isHere || !hibernation || hibernation.since === undefined || hibernation.storedAt !== undefined) return { type: 'Nothing' };
  const delayMs = Date.parse(hibernation.since) + STORE_AFTER_MS - now.getTime();
  if (delayMs > 0) return { type: 'Wait', delayMs };
  if (hibernation.snapshot === undefined) return { type: 'NameSnapshot', name: snapshotName(vm, hibernation.incarnation, hibernation.requestedAt) };
  if (!snapshot) return { type: 'TakeSnapshot', name: hibernation.snapshot };
  const ready = findCondition(snapshot.status?.conditions, 'Ready');
  if (ready?.status === 'True' && snapshot.status?.incarnation === hibernation.incarnation) return { type: 'Stored' };
  return isSnapshotOver(snapshot) ? { type: 'GiveUp', message: `${ready?.reason ?? 'Unknown'}: ${ready?.message ?? ''}` } : { type: 'Nothing' };
}

const MAX_NAME = 253;
/** The same for the same sleep, and another for the next. */
function snapshotName({ metadata }: VirtualMachine, incarnation: number, requestedAt: string): string {
  const suffix = `-sleep-${incarnation}-${Math.floor(Date.parse(requestedAt) / 1000).toString(36)}`;
  return `${metadata.name.slice(0, MAX_NAME - suffix.length)}${suffix}`;
}
