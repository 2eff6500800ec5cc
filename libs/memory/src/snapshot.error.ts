export type SnapshotErrorReason = 'SnapshotCorrupt' | 'SnapshotUnreadable' | 'SnapshotIncompatible';

/** A snapshot that cannot be used. Corrupt: its bytes are not what was written. Unreadable: bytes are missing. Incompatible: for another machine. */
export class SnapshotError extends Error {
  override readonly name = 'SnapshotError';
  readonly reason: SnapshotErrorReason;

  constructor(reason: SnapshotErrorReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}
