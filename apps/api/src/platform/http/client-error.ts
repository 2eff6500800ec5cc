import type { Socket } from 'node:net';
import { Problem, PROBLEMS, toStatus, type ProblemCode } from '@corral/contracts';

const CODES: Readonly<Record<string, readonly [ProblemCode, string]>> = {
  HPE_HEADER_OVERFLOW: ['request.headers-too-large', 'the headers of the request are too large'],
  ERR_HTTP_REQUEST_TIMEOUT: ['request.timed-out', 'the request did not arrive in time'],
};

/** Answers what is not HTTP at all with a Status too, and closes the connection: where the next request begins is unknown. */
export function refuseConnection(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const [code, message] = CODES[error.code ?? ''] ?? ['request.malformed', 'the request is not valid HTTP'];
  const body = JSON.stringify(toStatus(new Problem(code, message)));
  const { status, reason } = PROBLEMS[code];
  socket.end(`HTTP/1.1 ${status} ${reason}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`, () => socket.destroy());
}
