import type { ServerResponse } from 'node:http';
import type { SerialHub } from './serial.hub.ts';

/** Answers with what the guest said on its serial line lately, as it said it. */
export function serveSerialTail({ tail }: SerialHub, response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': tail.length, 'cache-control': 'no-store' });
  response.end(tail);
}
