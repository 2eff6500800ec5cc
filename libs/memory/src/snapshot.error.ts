export type SnapshotErrorReason = 'SnapshotCorrupt' | 'SnapshotUnreadable' | 'SnapshotIncompatible' | 'DiskFull';

/**
 * A snapshot that cannot be used, or written. Corrupt: its bytes are not what was written. Unreadable: bytes are missing.
 * Incompatible: for another machine. DiskFull: there is no room to write it, and nothing of it is left.
 */
export class SnapshotError extends Error {
  override readonly name = 'SnapshotError';
  readonly reason: SnapshotErrorReason;

  constructor(reason: SnapshotErrorReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}
