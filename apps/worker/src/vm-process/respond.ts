import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { Problem, toStatus, type Status } from '@corral/contracts/for-vm-process';
import { AgentBusy, AgentLost } from '@corral/guest-agent';

const MAX_JSON_BYTES = 16 * 1024 * 1024;

export const SUCCESS: Status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 200 };

export function respondJson(response: ServerResponse, status: number, body: unknown): void {
  const bytes = Buffer.from(JSON.stringify(body));
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': bytes.length });
  response.end(bytes);
}

/** What went wrong as a Problem, where it is one of the things that go wrong in a guest. */
export function toProblem(error: unknown): unknown {
  if (error instanceof AgentBusy) return new Problem('request.too-many', error.message, { cause: error });
  if (error instanceof AgentLost) return new Problem('vm.no-guest-agent', error.message, { cause: error });
  return error;
}

/** Answers with a Status body; once a body has begun, only breaking the connection tells that it is not whole. */
export function respondError(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const problem = toProblem(error);
  if (!(problem instanceof Problem)) console.error('data plane:', error);
  const status = toStatus(problem);
  respondJson(response, status.code, status);
}

/** The same for a WebSocket handshake that is refused. */
export function refuseUpgrade(socket: Duplex, error: unknown): void {
  const status = toStatus(toProblem(error));
  const body = JSON.stringify(status);
  socket.end(
    `HTTP/1.1 ${status.code} ${status.reason ?? 'Refused'}\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}

export async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_JSON_BYTES) throw new Problem('request.too-large', `the body is larger than ${MAX_JSON_BYTES} bytes`);
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (error) {
    throw new Problem('request.malformed', 'the body is not JSON', { cause: error });
  }
}
