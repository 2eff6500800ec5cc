import { Problem, type ProblemCode, type ProblemDetails, PROBLEMS } from '@corral/contracts';
import { z } from 'zod';

const StatusBody = z.object({
  kind: z.literal('Status'),
  message: z.string().optional(),
  reason: z.string().optional(),
  code: z.number().int().optional(),
  details: z.record(z.string(), z.unknown()).optional(),
});

/** Reasons that several problems share, and which of them a client means. */
const SHARED_REASONS: Readonly<Record<string, ProblemCode>> = {
  NotFound: 'object.not-found',
  Timeout: 'wait.timed-out',
  /** Kubernetes answers a watch from a compacted version with either reason. */
  Gone: 'version.expired',
};

/** The Problem a Status body stands for: by its reason, else by the HTTP status; never by its message. */
export function problemOf(httpStatus: number, body: unknown): Problem {
  const parsed = StatusBody.safeParse(body);
  const code = codeOf(parsed.success ? parsed.data.reason : undefined, httpStatus);
  if (!parsed.success) return new Problem(code, `The API answered ${httpStatus} without saying why`);
  const { message, details } = parsed.data;
  return new Problem(
    code,
    message ?? `The API answered ${httpStatus}`,
    details ? { details: details as ProblemDetails } : {},
  );
}

function codeOf(reason: string | undefined, httpStatus: number): ProblemCode {
  if (reason !== undefined) {
    const shared = SHARED_REASONS[reason];
    if (shared) return shared;
    for (const [code, row] of Object.entries(PROBLEMS)) if (row.reason === reason) return code as ProblemCode;
  }
  if (httpStatus === 404) return 'object.not-found';
  if (httpStatus === 409) return 'object.conflict';
  if (httpStatus === 410) return 'version.expired';
  if (httpStatus === 429) return 'request.too-many';
  if (httpStatus >= 500) return 'dependency.unavailable';
  for (const [code, row] of Object.entries(PROBLEMS)) if (row.status === httpStatus) return code as ProblemCode;
  return 'request.malformed';
}
