import { Catch, HttpException, Logger, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { PROBLEMS, Problem, toStatus, type ProblemCode, type Status } from '@corral/contracts';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** What a library's refusal of a request means in the catalogue. */
const CODES_BY_STATUS: Readonly<Record<number, ProblemCode>> = {
  400: 'request.malformed', 401: 'request.unauthenticated', 403: 'request.forbidden', 404: 'route.not-found', 405: 'method.not-allowed',
  406: 'media.not-acceptable', 413: 'request.too-large', 415: 'media.unsupported', 429: 'request.too-many',
};

/** Every error as a Problem: Nest's and Fastify's own refusals are the caller's mistake, anything else is ours. */
export function problemOf(error: unknown): Problem | undefined {
  if (error instanceof Problem) return error;
  const status = error instanceof HttpException ? error.getStatus() : isFastifyRefusal(error) ? error.statusCode : undefined;
  if (status === undefined || status >= 500) return undefined;
  if (status === 404) return new Problem('route.not-found', 'the server could not find the requested resource', { cause: error });
  const message = status === 413 ? 'the body of the request is too large' : error instanceof Error ? error.message : 'the request was refused';
  return new Problem(CODES_BY_STATUS[status] ?? 'request.malformed', message, { cause: error });
}

function isFastifyRefusal(error: unknown): error is { statusCode: number } {
  return error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number' && error.statusCode >= 400;
}

const logger = new Logger('Http');

/** What a caller is told of an error. A bug is logged with its cause and shown as nothing more than "Internal error". */
export function statusOf(error: unknown, request: { readonly id?: unknown; readonly method?: string | undefined; readonly url?: string | undefined }): Status {
  const problem = problemOf(error);
  if (!problem || PROBLEMS[problem.code].status >= 500) {
    logger[problem ? 'warn' : 'error']({ err: problem?.cause ?? error, requestId: request.id, method: request.method, url: request.url }, problem?.message ?? 'Request failed');
  }
  return toStatus(problem ?? error);
}

/** Answers that mean "later" say when. */
const COME_BACK = [429, 503];
const DEFAULT_RETRY_AFTER_S = 1;

export const retryAfterSecondsOf = ({ details, code }: Status): number | undefined => details?.retryAfterSeconds ?? (COME_BACK.includes(code) ? DEFAULT_RETRY_AFTER_S : undefined);

/** Answers with Kubernetes's Status. */
export function sendStatus(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const status = statusOf(error, request);
  request.refusal = status.reason;
  if (reply.raw.headersSent) {
    reply.raw.destroy();
    return;
  }
  const retryAfterSeconds = retryAfterSecondsOf(status);
  if (retryAfterSeconds !== undefined) void reply.header('retry-after', retryAfterSeconds);
  if (status.code === 401) void reply.header('www-authenticate', 'Bearer realm="corral"');
  void reply.code(status.code).type('application/json').send(JSON.stringify(status));
}

/** The same answer for what Nest's controllers throw. */
@Catch()
export class StatusFilter implements ExceptionFilter {
  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    sendStatus(error, http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>());
  }
}
