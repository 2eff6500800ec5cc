import type { IncomingMessage } from 'node:http';
import { Problem } from '@corral/contracts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { sendStatus } from './status-reply.ts';

/** Whether a body follows the headers (RFC 9112 §6). */
const hasBody = ({ headers }: IncomingMessage): boolean => headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;

/** Answers 408 and closes the connection when a body that is read whole is not there in time: nobody holds memory by dawdling. */
export function requireBodyWithin(timeoutMs: number, request: FastifyRequest, reply: FastifyReply): void {
  const { raw } = request;
  if (!hasBody(raw)) return;
  const timer = setTimeout(() => {
    if (reply.sent) return;
    const late = new Problem('request.timed-out', `the body of the request did not arrive within ${timeoutMs / 1000} seconds`);
    sendStatus(late, request, reply.header('connection', 'close'));
  }, timeoutMs);
  const stop = (): void => clearTimeout(timer);
  raw.once('end', stop).once('close', stop);
  reply.raw.once('close', stop);
}
