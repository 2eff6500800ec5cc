import {
  isSnapshotOver,
  SNAPSHOT_DEADLINE_MS,
  toKubeTime,
  type VirtualMachineSnapshot,
  type VirtualMachineSnapshotStatus,
  withCondition,
} from '@corral/contracts';

/** Why a snapshot is not Ready. Stable: programs match on it. */
export type SnapshotReason =
  | 'Taking'
  | 'Uploading'
  /** A moment of a live fork, on its node until a machine elsewhere needs it. */
  | 'Held'
  | 'UploadFailed'
  | 'StorageFull'
  | 'StorageUnreachable'
  | 'DigestMismatch'
  | 'ObjectExists'
  | 'NodeFenced'
  /** What was taken is not there any more, and what it lies on neither: it is taken anew. */
  | 'PartLost'
  | 'NodeDiskFull'
  | 'SnapshotFailed'
  | 'VirtualMachineNotRunning'
  | 'NodeRestarted';

/** What a node may say something about: a snapshot that is bound to it, wanted, and has no last word yet. */
export function isUnderWay(snapshot: VirtualMachineSnapshot | undefined, nodeName: string): snapshot is VirtualMachineSnapshot {
  return (
    snapshot?.spec?.nodeName === nodeName &&
    snapshot.metadata.deletionTimestamp === undefined &&
    !isSnapshotOver(snapshot)
  );
}

export function isPastDeadline({ metadata }: VirtualMachineSnapshot, now: Date): boolean {
  return now.getTime() - Date.parse(metadata.creationTimestamp) > SNAPSHOT_DEADLINE_MS;
}

export type Facts = Partial<Omit<VirtualMachineSnapshotStatus, 'conditions' | 'observedGeneration'>>;

export function notReady(
  snapshot: VirtualMachineSnapshot,
  reason: SnapshotReason,
  message: string,
  now: Date,
  facts: Facts = {},
): VirtualMachineSnapshotStatus {
  return withReady(snapshot, { status: 'False', reason, message }, now, facts);
}

/** The last word on a snapshot that could not be taken or kept. */
export function failed(
  snapshot: VirtualMachineSnapshot,
  reason: SnapshotReason,
  message: string,
  now: Date,
): VirtualMachineSnapshotStatus {
  return notReady(snapshot, reason, message, now, { completedAt: toKubeTime(now) });
}

export function verified(snapshot: VirtualMachineSnapshot, facts: Facts, now: Date): VirtualMachineSnapshotStatus {
  return withReady(
    snapshot,
    { status: 'True', reason: 'Verified', message: 'Every byte is in the object store, with its digest' },
    now,
    {
      parent: '',
      ...facts,
      completedAt: toKubeTime(now),
    },
  );
}

function withReady(
  { metadata, status }: VirtualMachineSnapshot,
  ready: { readonly status: 'True' | 'False'; readonly reason: string; readonly message: string },
  now: Date,
  facts: Facts,
): VirtualMachineSnapshotStatus {
  return {
    ...status,
    ...facts,
    observedGeneration: metadata.generation,
    conditions: withCondition(status?.conditions, { type: 'Ready', ...ready }, now, metadata.generation),
  };
}
