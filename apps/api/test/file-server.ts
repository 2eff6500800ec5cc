import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';

export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A web server whose answers a test decides, path by path. */
export class FileServer {
  readonly answers = new Map<string, Answer>();
  readonly requests: string[] = [];
  readonly #server = createServer((request, response) => {
    const path = request.url ?? '/';
    this.requests.push(path);
    const answer = this.answers.get(path);
    if (answer) answer(request, response);
    else response.writeHead(404).end();
  });

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return this.url;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  serve(path: string, bytes: Buffer): string {
    this.answers.set(path, (_request, response) => response.writeHead(200, { 'content-length': bytes.length }).end(bytes));
    return `${this.url}${path}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
