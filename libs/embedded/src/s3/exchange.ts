import type { IncomingMessage, ServerResponse } from 'node:http';

/** One authenticated request, taken apart. */
export interface S3Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly method: string;
  readonly query: URLSearchParams;
  readonly bucketName: string;
  readonly key: string;
  /** What the signature promises of the body. */
  readonly payloadHash: string;
}

export function answerXml(response: ServerResponse, body: string): void {
  response.writeHead(200, { 'content-type': 'application/xml', 'content-length': Buffer.byteLength(body) }).end(body);
}
