/**
 * Unreachable: no answer, or one that says the store itself is unwell. Full: it has no room. Denied: our key may not.
 * Timeout: it stopped making progress. Corrupt: the bytes are not the ones that were promised.
 * Conflict: the key holds something else already.
 */
export type ObjectStoreFailureReason = 'Unreachable' | 'NotFound' | 'Full' | 'Denied' | 'Timeout' | 'Corrupt' | 'Conflict';

/** Something the object store did not do. `message` names the operation and is fit for a condition. */
export class ObjectStoreFailure extends Error {
  override readonly name = 'ObjectStoreFailure';
  readonly reason: ObjectStoreFailureReason;

  constructor(reason: ObjectStoreFailureReason, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : {});
    this.reason = reason;
  }
}

const DESCRIPTIONS: Readonly<Record<ObjectStoreFailureReason, string>> = {
  Unreachable: 'the object store cannot be reached or failed',
  NotFound: 'there is no such object',
  Full: 'the object store is full',
  Denied: 'the object store refused our credentials',
  Timeout: 'the object store did not answer in time',
  Corrupt: 'the bytes are damaged',
  Conflict: 'there is something already',
};

/** Any error of the SDK, the network or a deadline, as a failure of `operation`. */
export function toFailure(operation: string, error: unknown): ObjectStoreFailure {
  if (error instanceof ObjectStoreFailure) return error;
  const reason = reasonOf(error);
  return new ObjectStoreFailure(reason, `${operation}: ${DESCRIPTIONS[reason]}`, { cause: error });
}

/** Names of S3 and of the servers that speak it, where the status alone does not tell. */
const REASONS_BY_NAME: Readonly<Record<string, ObjectStoreFailureReason>> = {
  NoSuchKey: 'NotFound',
  NoSuchBucket: 'NotFound',
  NotFound: 'NotFound',
  InsufficientStorage: 'Full',
  InsufficientCapacity: 'Full',
  QuotaExceeded: 'Full',
  XMinioStorageFull: 'Full',
  BadDigest: 'Corrupt',
  InvalidDigest: 'Corrupt',
  IncompleteBody: 'Corrupt',
  XAmzContentSHA256Mismatch: 'Corrupt',
  XAmzContentChecksumMismatch: 'Corrupt',
  TimeoutError: 'Timeout',
  PreconditionFailed: 'Conflict',
  ConditionalRequestConflict: 'Conflict',
};

function reasonOf(error: unknown): ObjectStoreFailureReason {
  if (!(error instanceof Error)) return 'Unreachable';
  const byName = REASONS_BY_NAME[error.name];
  if (byName) return byName;
  switch (statusOf(error)) {
    case 404:
      return 'NotFound';
    case 401:
    case 403:
      return 'Denied';
    case 409:
    case 412:
      return 'Conflict';
    case 507:
      return 'Full';
    default:
      return 'Unreachable';
  }
}

function statusOf(error: Error): number | undefined {
  if (!('$metadata' in error)) return undefined;
  const { $metadata: metadata } = error;
  if (typeof metadata !== 'object' || metadata === null || !('httpStatusCode' in metadata)) return undefined;
  return typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : undefined;
}
