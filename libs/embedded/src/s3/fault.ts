/**
 * A refusal in S3's words.
 * Source: Amazon S3 API Reference, "Error responses". InsufficientStorage is ours, with the status of RFC 4918 §11.5.
 */
const FAULTS = {
  AccessDenied: 403,
  BadDigest: 400,
  BucketAlreadyOwnedByYou: 409,
  BucketNotEmpty: 409,
  EntityTooSmall: 400,
  IncompleteBody: 400,
  InsufficientStorage: 507,
  InternalError: 500,
  InvalidAccessKeyId: 403,
  InvalidArgument: 400,
  InvalidBucketName: 400,
  InvalidPart: 400,
  InvalidPartOrder: 400,
  InvalidRange: 416,
  KeyTooLongError: 400,
  MalformedXML: 400,
  MethodNotAllowed: 405,
  NoSuchBucket: 404,
  NoSuchKey: 404,
  NoSuchUpload: 404,
  NotImplemented: 501,
  NotModified: 304,
  PreconditionFailed: 412,
  RequestTimeTooSkewed: 403,
  SignatureDoesNotMatch: 403,
} as const;

export class S3Fault extends Error {
  override readonly name = 'S3Fault';
  readonly code: keyof typeof FAULTS;
  readonly status: number;

  constructor(code: keyof typeof FAULTS, message: string = code) {
    super(message);
    this.code = code;
    this.status = FAULTS[code];
  }
}

/** Any error as a fault: a full disk is the client's business, everything else ours. */
export function toFault(error: unknown): S3Fault {
  if (error instanceof S3Fault) return error;
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOSPC' || code === 'EDQUOT') return new S3Fault('InsufficientStorage', 'The disk is full');
  return new S3Fault('InternalError', 'Internal error; the server log has the cause');
}
