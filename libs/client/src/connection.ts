import { Problem } from '@corral/contracts';
import { WebSocket } from 'ws';
import { problemOf } from './status-problem.ts';

export interface ConnectionOptions {
  /** Where the API answers, e.g. `http://127.0.0.1:8086`. */
  readonly baseUrl: string;
  /** Bearer token, or where to get it at each request; absent for what anonymous callers may do. */
  readonly token?: string | (() => Promise<string>);
  /** Name of the program, as servers log it and as managedFields show it. */
  readonly userAgent?: string;
  /** How long one request may take; streams and watches live longer. */
  readonly deadlineMs?: number;
}

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: Query;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as it is; the headers say what it is. */
  readonly content?: ReadableStream<Uint8Array> | Uint8Array;
}

/** Values that are absent are left out; a list repeats its name. */
export type Query = Readonly<Record<string, string | readonly string[] | undefined>>;

const DEFAULT_DEADLINE_MS = 15_000;
const HANDSHAKE_DEADLINE_MS = 15_000;
const MAX_REFUSAL_BYTES = 64 * 1024;

/**
 * One API server and who talks to it. Refusals are Problems with the server's own words; what cannot be reached, or is
 * not answered in time, is `dependency.unavailable`.
 */
export class Connection {
  readonly #baseUrl: string;
  readonly #token: ConnectionOptions['token'];
  readonly #userAgent: Readonly<Record<string, string>>;
  readonly #deadlineMs: number;

  constructor({ baseUrl, token, userAgent, deadlineMs = DEFAULT_DEADLINE_MS }: ConnectionOptions) {
    this.#baseUrl = baseUrl.replace(/\/+$/, '');
    this.#token = token;
    this.#userAgent = userAgent === undefined ? {} : { 'user-agent': userAgent };
    this.#deadlineMs = deadlineMs;
  }

  /** The answer's body as JSON. `deadlineMs` is for requests that wait on the server. */
  async json<T>(request: ApiRequest, deadlineMs = this.#deadlineMs): Promise<T> {
    try {
      const response = await this.open(request, AbortSignal.timeout(deadlineMs));
      return (await response.json()) as T;
    } catch (error) {
      throw asProblem(error);
    }
  }

  /** A successful answer whose body is still to be read, until the signal aborts. */
  async open({ method, path, query, headers, body, content }: ApiRequest, signal: AbortSignal): Promise<Response> {
    const init: RequestInit & { duplex?: 'half' } = {
      method,
      signal,
      redirect: 'error',
      headers: {
        accept: 'application/json',
        ...(await this.#identification()),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      // The deprecated but only way of fetch to send a stream.
      ...(content instanceof ReadableStream ? { duplex: 'half' } : {}),
      ...(content !== undefined ? { body: content as NonNullable<RequestInit['body']> } : body === undefined ? {} : { body: JSON.stringify(body) }),
    };
    let response: Response;
    try {
      response = await fetch(this.#urlOf(path, query), init);
    } catch (error) {
      throw asProblem(error);
    }
    if (response.ok) return response;
    throw problemOf(response.status, await response.json().catch(() => undefined));
  }

  /** An open WebSocket; a refused handshake is the Problem the server answered with. */
  async openSocket(path: string, query: Query, subprotocols: readonly string[] = []): Promise<WebSocket> {
    const url = this.#urlOf(path, query);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    const socket = new WebSocket(url, [...subprotocols], { headers: await this.#identification(), handshakeTimeout: HANDSHAKE_DEADLINE_MS, perMessageDeflate: false });
    return new Promise((resolve, reject) => {
      socket.once('open', () => {
        socket.off('error', reject);
        resolve(socket);
      });
      socket.once('error', (error) => reject(asProblem(error)));
      socket.once('unexpected-response', (_request, response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => {
          if (text.length < MAX_REFUSAL_BYTES) text += chunk.toString('utf8');
        });
        response.once('end', () => reject(problemOf(response.statusCode ?? 500, parseJson(text))));
        response.once('error', (error) => reject(asProblem(error)));
      });
    });
  }

  async #identification(): Promise<Record<string, string>> {
    const token = typeof this.#token === 'function' ? await this.#token() : this.#token;
    return { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...this.#userAgent };
  }

  #urlOf(path: string, query: Query = {}): URL {
    const url = new URL(this.#baseUrl + path);
    for (const [name, value] of Object.entries(query)) {
      for (const one of typeof value === 'string' ? [value] : (value ?? [])) url.searchParams.append(name, one);
    }
    return url;
  }
}

export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  return new Problem('dependency.unavailable', 'The Corral API could not be reached, or did not answer in time', { cause: error });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
