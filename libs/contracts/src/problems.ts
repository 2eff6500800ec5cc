/**
 * Every way Corral refuses a request: one row, one code, one Kubernetes reason. Code matches on `code` or on the wire's
 * `reason`, never on message text.
 * Source of reasons: k8s.io/apimachinery/pkg/apis/meta/v1, StatusReason.
 */
export const PROBLEMS = {
  'request.malformed': { status: 400, reason: 'BadRequest' },
  'request.unauthenticated': { status: 401, reason: 'Unauthorized' },
  'request.forbidden': { status: 403, reason: 'Forbidden' },
  'route.not-found': { status: 404, reason: 'NotFound' },
  'object.not-found': { status: 404, reason: 'NotFound' },
  'method.not-allowed': { status: 405, reason: 'MethodNotAllowed' },
  'media.not-acceptable': { status: 406, reason: 'NotAcceptable' },
  'request.timed-out': { status: 408, reason: 'Timeout' },
  'wait.timed-out': { status: 408, reason: 'Timeout' },
  'object.exists': { status: 409, reason: 'AlreadyExists' },
  'object.conflict': { status: 409, reason: 'Conflict' },
  'idempotency.in-progress': { status: 409, reason: 'IdempotencyKeyInProgress' },
  'node.full': { status: 409, reason: 'NodeFull' },
  'vm.not-running': { status: 409, reason: 'VirtualMachineNotRunning' },
  /** It hibernated and takes longer to wake up than anybody should wait. */
  'vm.waking': { status: 503, reason: 'VirtualMachineWaking' },
  /** The machine’s node could not keep the moment that was to be forked from; the message says why. */
  'fork.failed': { status: 409, reason: 'ForkFailed' },
  'fork.moment-gone': { status: 409, reason: 'ForkMomentGone' },
  'vm.no-guest-agent': { status: 409, reason: 'GuestAgentUnavailable' },
  'guest.file-not-found': { status: 404, reason: 'GuestFileNotFound' },
  'guest.file-refused': { status: 409, reason: 'GuestFileRefused' },
  'guest.screen-graphical': { status: 409, reason: 'ScreenIsGraphical' },
  'vm.no-screen': { status: 409, reason: 'ScreenUnavailable' },
  'guest.command-refused': { status: 422, reason: 'GuestCommandRefused' },
  /** Between store and quotas only: read the quotas anew and write again. */
  'quotas.unknown': { status: 409, reason: 'Conflict' },
  'version.expired': { status: 410, reason: 'Expired' },
  'request.too-large': { status: 413, reason: 'RequestEntityTooLarge' },
  'media.unsupported': { status: 415, reason: 'UnsupportedMediaType' },
  'object.invalid': { status: 422, reason: 'Invalid' },
  'idempotency.key-reused': { status: 422, reason: 'IdempotencyKeyReused' },
  'request.headers-too-large': { status: 431, reason: 'RequestHeaderFieldsTooLarge' },
  'request.too-many': { status: 429, reason: 'TooManyRequests' },
  internal: { status: 500, reason: 'InternalError' },
  'node.unreachable': { status: 503, reason: 'NodeUnreachable' },
  /** It has lost touch with the API, or is just back, and serves nothing until it knows again what is its own: come again in a moment. */
  'node.fenced': { status: 503, reason: 'NodeFenced' },
  'dependency.unavailable': { status: 503, reason: 'ServiceUnavailable' },
  'version.not-reached': { status: 504, reason: 'Timeout' },
} as const satisfies Record<string, { readonly status: number; readonly reason: string }>;
export type ProblemCode = keyof typeof PROBLEMS;

/** One bad field. `field` is a path such as `spec.source.image`. Source: metav1.StatusCause, field.ErrorType. */
export interface FieldProblem {
  readonly field: string;
  readonly reason:
    | 'FieldValueRequired'
    | 'FieldValueInvalid'
    | 'FieldValueNotSupported'
    | 'FieldValueTypeInvalid'
    | 'FieldValueForbidden'
    | 'FieldValueTooLong'
    | 'FieldValueDuplicate'
    | 'FieldValueNotFound'
    | 'FieldUnknown'
    // A rollback that would not be possible is refused before anything is touched.
    | 'SnapshotNotReady'
    | 'SnapshotIncompatible'
    | 'VirtualMachineMoving'
    // Likewise a fork.
    | 'VirtualMachineNotRunning';
  readonly message: string;
}

export interface ProblemDetails {
  readonly name?: string;
  readonly group?: string;
  /** The plural (`virtualmachines`), except in Invalid, where Kubernetes puts the Kind. */
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly { readonly reason: string; readonly message: string; readonly field?: string }[];
  readonly retryAfterSeconds?: number;
}

/** A refusal with a code. `message` is shown to the caller and says what to do; anything private belongs in `cause`. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly code: ProblemCode;
  readonly details: ProblemDetails | undefined;
  /** Of a list that cannot be gone on with as it began: goes on with the rest as it is now. */
  readonly continueToken: string | undefined;

  constructor(code: ProblemCode, message: string, options: { details?: ProblemDetails; continueToken?: string; cause?: unknown } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : {});
    this.code = code;
    this.details = options.details;
    this.continueToken = options.continueToken;
  }
}

/** Whether it is one of these. */
export const isProblem = (error: unknown, ...codes: readonly ProblemCode[]): error is Problem => error instanceof Problem && codes.includes(error.code);

/** Kubernetes's error body. Source: metav1.Status. */
export interface Status {
  readonly kind: 'Status';
  readonly apiVersion: 'v1';
  readonly metadata: { readonly continue?: string };
  readonly status: 'Success' | 'Failure';
  readonly message?: string;
  readonly reason?: string;
  readonly details?: ProblemDetails;
  readonly code: number;
}

/** What the caller sees of any error: a Problem in its own words, a bug as "Internal error" and nothing more. */
export function toStatus(error: unknown): Status {
  const problem = error instanceof Problem ? error : new Problem('internal', 'Internal error; the server log has the cause');
  const { status, reason } = PROBLEMS[problem.code];
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: problem.continueToken === undefined ? {} : { continue: problem.continueToken },
    status: 'Failure',
    message: problem.message,
    reason,
    ...(problem.details ? { details: problem.details } : {}),
    code: status,
  };
}
