import type { VmProcessFailure } from '@corral/contracts';
import { SnapshotError } from '@corral/memory';

/** Why the VM process could not do what it was asked; the reason is the protocol's, the message is for people. */
export class VmFailure extends Error {
  override readonly name = 'VmFailure';
  readonly reason: VmProcessFailure;

  constructor(reason: VmProcessFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

export function toFailure(error: unknown): VmFailure {
  if (error instanceof VmFailure) return error;
  if (error instanceof SnapshotError) return new VmFailure(error.reason, error.message, { cause: error });
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const message = error instanceof Error ? error.message : String(error);
  if (code === 'ENOSPC' || code === 'EDQUOT') return new VmFailure('DiskFull', `the node’s disk is full: ${message}`, { cause: error });
  return new VmFailure('Internal', message, { cause: error });
}
