import { Agent, request as httpRequest } from 'node:http';
import { asProblem, Connection, problemOf, type ApiRequest, type ConnectionOptions } from '@corral/client';

/** Shared by all agents of a process; as many as work at once. */
const agent = new Agent({ keepAlive: true, maxSockets: 64 });

/** A Connection whose requests cost a third of fetch's: the agents must not take the CPU of what they measure. Watches are fetch's. */
export class KeepAliveConnection extends Connection {
  readonly #url: URL;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #timeoutMs: number;

  constructor(options: ConnectionOptions & { readonly token: string; readonly deadlineMs: number }) {
    super(options);
    this.#url = new URL(options.baseUrl);
    this.#headers = { accept: 'application/json', authorization: `Bearer ${options.token}`, ...(options.userAgent === undefined ? {} : { 'user-agent': options.userAgent }) };
    this.#timeoutMs = options.deadlineMs;
  }

  override json<T>({ method, path, query, body }: ApiRequest): Promise<T> {
    const search = new URLSearchParams(Object.entries(query ?? {}).flatMap(([name, value]): [string, string][] => (typeof value === 'string' ? [[name, value]] : []))).toString();
    const sent = body === undefined ? undefined : JSON.stringify(body);
    return new Promise<T>((resolve, reject) => {
      const { hostname, port } = this.#url;
      const request = httpRequest(
        {
          agent, hostname, port, method, path: search === '' ? path : `${path}?${search}`, timeout: this.#timeoutMs,
          headers: { ...this.#headers, ...(sent === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(sent) }) },
        },
        (response) => {
          let text = '';
          response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
          response.once('error', (error) => reject(asProblem(error)));
          response.once('end', () => {
            try {
              const answer: unknown = JSON.parse(text);
              const { statusCode = 500 } = response;
              if (statusCode >= 200 && statusCode < 300) resolve(answer as T);
              else reject(problemOf(statusCode, answer));
            } catch (error) {
              reject(asProblem(error));
            }
          });
        },
      );
      request.once('timeout', () => request.destroy(new Error('no answer in time')));
      request.once('error', (error) => reject(asProblem(error)));
      request.end(sent);
    });
  }
}
