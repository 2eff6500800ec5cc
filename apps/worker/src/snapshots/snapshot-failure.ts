import { SnapshotError } from '@corral/memory';
import { ObjectStoreFailure } from '@corral/object-store';
import { storageReason } from '../machine/storage-reason.ts';
import { VmProcessRefusal } from '../machine/vm-process.handle.ts';
import { type SnapshotReason } from './snapshot-status.ts';
import { PartLost } from './snapshot-upload.ts';

/** Why a try failed, and whether another may succeed. */
export class SnapshotFailure extends Error {
  override readonly name = 'SnapshotFailure';
  readonly reason: SnapshotReason;
  readonly final: boolean;
  constructor(
    reason: SnapshotReason,
    message: string,
    options: { readonly final?: boolean; readonly cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.reason = reason;
    this.final = options.final ?? false;
  }
}

/** Somebody else has had the last word: the snapshot is over, gone, or not this node's any more. */
export class Overtaken extends Error {
  override readonly name = 'Overtaken';
}

/** What of it the API is told. */
export function asFailure(error: unknown): SnapshotFailure {
  if (error instanceof SnapshotFailure) return error;
  if (error instanceof SnapshotError && error.reason === 'DiskFull') return new SnapshotFailure('NodeDiskFull', error.message, { cause: error });
  if (error instanceof ObjectStoreFailure) {
    const reason = storageReason(error);
    // An upload that meets nothing has met no bucket.
    return new SnapshotFailure(reason === 'ObjectMissing' ? 'UploadFailed' : reason, error.message, { cause: error });
  }
  if (error instanceof PartLost) return new SnapshotFailure('PartLost', error.message, { cause: error });
  if (error instanceof VmProcessRefusal) {
    if (error.reason === 'DiskFull') return new SnapshotFailure('NodeDiskFull', error.message, { cause: error });
    if (error.reason === 'NotStarted')
      return new SnapshotFailure('VirtualMachineNotRunning', error.message, { cause: error });
    return new SnapshotFailure('SnapshotFailed', `${error.reason}: ${error.message}`, { cause: error });
  }
  return new SnapshotFailure('SnapshotFailed', (error as Error).message, { cause: error });
}
