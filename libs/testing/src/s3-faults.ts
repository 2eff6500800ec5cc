import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { Transform } from 'node:stream';
import { assertNever } from '@corral/base';

/** What is wrong with the object store. */
export type S3Fault =
  | { readonly type: 'None' }
  /** Connections are cut before an answer. */
  | { readonly type: 'Down' }
  /** Every answer begins this much later. */
  | { readonly type: 'Slow'; readonly delayMs: number }
  /** Requests are taken and never answered. */
  | { readonly type: 'Stalled' }
  /** Whatever would store bytes is answered 507 InsufficientStorage. */
  | { readonly type: 'Full' }
  /** Everything is answered 500 InternalError. */
  | { readonly type: 'Failing' }
  /** The connection is cut after this many bytes of a downloaded body. */
  | { readonly type: 'TruncatedDownload'; readonly afterBytes: number }
  /** The lowest bit of this byte of a downloaded body is another. */
  | { readonly type: 'FlippedDownload'; readonly offset: number }
  /** Likewise of an uploaded body, as it goes over the wire. */
  | { readonly type: 'FlippedUpload'; readonly offset: number };

export interface S3Request {
  readonly method: string;
  /** `/bucket/key`, still encoded. */
  readonly path: string;
  /** What was asked of it, where not all was. Source: RFC 9110, section 14.2. */
  readonly range?: string;
}

/** An S3 server as it can be on a bad day: passes requests on to a real one, except for what `inject` says. */
export class S3FaultProxy {
  readonly #server: Server;
  readonly #upstream: URL;
  readonly #timers = new Set<NodeJS.Timeout>();
  #fault: S3Fault = { type: 'None' };
  #applies: (request: S3Request) => boolean = () => true;
  /** Every request since the start, in order. */
  readonly requests: S3Request[] = [];

  private constructor(upstream: string) {
    this.#upstream = new URL(upstream);
    this.#server = createServer((request, response) => this.#handle(request, response));
  }

  static async start(upstream: string): Promise<S3FaultProxy> {
    const proxy = new S3FaultProxy(upstream);
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once('error', reject).listen(0, '127.0.0.1', resolve);
    });
    return proxy;
  }

  /** To be used as S3_ENDPOINT. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** From now on this is wrong, with all requests or with those chosen. */
  inject(fault: S3Fault, applies: (request: S3Request) => boolean = () => true): void {
    this.#fault = fault;
    this.#applies = applies;
  }

  heal(): void {
    this.inject({ type: 'None' });
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    const [path = '/'] = (request.url ?? '/').split('?');
    const { range } = request.headers;
    const seen = { method: request.method ?? 'GET', path, ...(range === undefined ? {} : { range }) };
    this.requests.push(seen);
    const fault: S3Fault = this.#applies(seen) ? this.#fault : { type: 'None' };
    const stores = seen.method === 'PUT' || seen.method === 'POST';
    switch (fault.type) {
      case 'Down':
        request.socket.destroy();
        return;
      case 'Stalled':
        request.resume();
        return;
      case 'Failing':
        refuse(request, response, 500, 'InternalError');
        return;
      case 'Full':
        if (stores) refuse(request, response, 507, 'InsufficientStorage');
        else this.#forward(request, response, fault);
        return;
      case 'Slow': {
        const timer = setTimeout(() => {
          this.#timers.delete(timer);
          this.#forward(request, response, fault);
        }, fault.delayMs);
        this.#timers.add(timer);
        return;
      }
      case 'None':
      case 'TruncatedDownload':
      case 'FlippedDownload':
      case 'FlippedUpload':
        this.#forward(request, response, fault);
        return;
      default:
        assertNever(fault, 'S3 fault');
    }
  }

  #forward(request: IncomingMessage, response: ServerResponse, fault: S3Fault): void {
    const { hostname, port } = this.#upstream;
    // The Host header goes on as it came, because the client signed it.
    const onward = httpRequest({ hostname, port, method: request.method, path: request.url, headers: request.headers });
    const cut = (): void => void response.destroy();
    onward.on('error', cut);
    response.on('close', () => onward.destroy());
    onward.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.on('error', cut);
      const body = request.method === 'GET' ? downloadFault(fault, cut) : undefined;
      (body ? answer.pipe(body) : answer).pipe(response);
    });
    const upload = fault.type === 'FlippedUpload' ? request.pipe(flipBit(fault.offset)) : request;
    upload.pipe(onward);
  }
}

function downloadFault(fault: S3Fault, cut: () => void): Transform | undefined {
  if (fault.type === 'TruncatedDownload') return truncate(fault.afterBytes, cut);
  if (fault.type === 'FlippedDownload') return flipBit(fault.offset);
  return undefined;
}

function truncate(afterBytes: number, cut: () => void): Transform {
  let remaining = afterBytes;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const kept = chunk.subarray(0, remaining);
      remaining -= kept.length;
      this.push(kept);
      if (kept.length < chunk.length) setImmediate(cut);
      else done();
    },
  });
}

function flipBit(offset: number): Transform {
  let position = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const at = offset - position;
      position += chunk.length;
      const copy = Buffer.from(chunk);
      if (at >= 0 && at < copy.length) copy.writeUInt8(copy.readUInt8(at) ^ 1, at);
      done(null, copy);
    },
  });
}

function refuse(request: IncomingMessage, response: ServerResponse, status: number, code: string): void {
  request.resume();
  const body = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`;
  response
    .writeHead(status, { 'content-type': 'application/xml', 'content-length': Buffer.byteLength(body) })
    .end(body);
}
