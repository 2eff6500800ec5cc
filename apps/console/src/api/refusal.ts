import type { Status } from '@corral/contracts';

/** The API said no, or could not be reached (code 0). Carries the Status body as it came. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly code: number;
  readonly reason: string;
  readonly status: Status | undefined;
  readonly requestId: string | undefined;

  constructor(
    code: number,
    reason: string,
    message: string,
    from: { readonly status?: Status; readonly requestId?: string } = {},
  ) {
    super(message);
    this.code = code;
    this.reason = reason;
    this.status = from.status;
    this.requestId = from.requestId;
  }
}

export function isStatus(body: unknown): body is Status {
  return (
    typeof body === 'object' &&
    body !== null &&
    'kind' in body &&
    body.kind === 'Status' &&
    'code' in body &&
    typeof body.code === 'number'
  );
}

/** Any thrown value as a Refusal, so that pages handle one thing. */
export function asRefusal(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new Refusal(
    0,
    error instanceof DOMException && error.name === 'TimeoutError' ? 'Timeout' : 'Unreachable',
    message,
  );
}
