import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

export interface Target {
  readonly url: string;
  readonly token: string;
}

export interface Answer {
  readonly status: number;
  readonly bodyBytes: number;
  /** Only where the caller asked for it. */
  readonly text: string | undefined;
}

interface Pending {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
  readonly keepsBody: boolean;
}

const HEAD_END = Buffer.from('\r\n\r\n');
const LINE_END = Buffer.from('\r\n');

/**
 * One HTTP/1.1 connection that is kept open, one request at a time. Load generator and server share the same cores, so the
 * generator must be cheap: this reads as little of an answer as it takes to know where it ends.
 */
export class Connection {
  readonly #socket: Socket;
  readonly #head: string;
  #pending: Pending | undefined;
  #buffered: Buffer = Buffer.alloc(0);
  #answerHead: { status: number; /** -1: chunked. */ length: number } | undefined;
  #body: Buffer[] = [];
  #bodyBytes = 0;
  #chunkLeft = 0;
  #failure: Error | undefined;

  private constructor(socket: Socket, { url, token }: Target) {
    this.#socket = socket;
    this.#head = `host: ${new URL(url).host}\r\nauthorization: Bearer ${token}\r\naccept: application/json\r\n`;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    const fail = (error?: Error): void => {
      this.#failure ??= error ?? new Error('the server closed the connection');
      this.#pending?.reject(this.#failure);
    };
    socket.on('error', fail);
    socket.on('close', () => fail());
  }

  static async open(target: Target): Promise<Connection> {
    return new Connection(await openSocket(target), target);
  }

  request(method: string, path: string, body?: string, contentType = 'application/json', keepsBody = false): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure);
      this.#pending = { resolve, reject, keepsBody };
      const payload = body === undefined ? '\r\n' : `content-type: ${contentType}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
      this.#socket.write(`${method} ${path} HTTP/1.1\r\n${this.#head}${payload}`);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    let data = this.#buffered.length === 0 ? chunk : Buffer.concat([this.#buffered, chunk]);
    this.#buffered = Buffer.alloc(0);
    if (!this.#answerHead) {
      const end = data.indexOf(HEAD_END);
      if (end < 0) {
        this.#buffered = data;
        return;
      }
      const text = data.toString('latin1', 0, end);
      const length = /\r\ncontent-length: *(\d+)/i.exec(text)?.[1];
      this.#answerHead = { status: Number(text.slice(9, 12)), length: length === undefined ? -1 : Number(length) };
      data = data.subarray(end + HEAD_END.length);
    }
    if (this.#answerHead.length >= 0) {
      this.#keep(data);
      if (this.#bodyBytes >= this.#answerHead.length) this.#finish();
      return;
    }
    this.#takeChunks(data);
  }

  #takeChunks(data: Buffer): void {
    let rest = data;
    for (;;) {
      if (this.#chunkLeft > 0) {
        const part = rest.subarray(0, Math.max(0, this.#chunkLeft - LINE_END.length));
        this.#keep(part);
        const taken = Math.min(rest.length, this.#chunkLeft);
        this.#chunkLeft -= taken;
        rest = rest.subarray(taken);
        if (this.#chunkLeft > 0) return;
      }
      const end = rest.indexOf(LINE_END);
      if (end < 0) {
        this.#buffered = rest;
        return;
      }
      const size = Number.parseInt(rest.toString('latin1', 0, end), 16);
      if (size === 0) return this.#finish();
      this.#chunkLeft = size + LINE_END.length;
      rest = rest.subarray(end + LINE_END.length);
    }
  }

  #keep(part: Buffer): void {
    this.#bodyBytes += part.length;
    if (this.#pending?.keepsBody) this.#body.push(part);
  }

  #finish(): void {
    const pending = this.#pending;
    const answer = { status: this.#answerHead?.status ?? 0, bodyBytes: this.#bodyBytes, text: pending?.keepsBody ? Buffer.concat(this.#body).toString() : undefined };
    this.#pending = undefined;
    this.#answerHead = undefined;
    this.#body = [];
    this.#bodyBytes = 0;
    this.#chunkLeft = 0;
    pending?.resolve(answer);
  }
}

/** Connected, over TLS for https: whose certificate is not looked at, as a test server's seldom verifies. */
export function openSocket({ url }: Target): Promise<Socket> {
  const { hostname, port, protocol } = new URL(url);
  return new Promise((resolve, reject) => {
    const isTls = protocol === 'https:';
    const options = { host: hostname, port: Number(port || (isTls ? 443 : 80)) };
    const socket = isTls ? connectTls({ ...options, rejectUnauthorized: false }) : connectTcp(options);
    socket.once('error', reject);
    socket.once(isTls ? 'secureConnect' : 'connect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
  });
}
