import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';
import { DATA_PLANE_TOKEN_TYPE, dataPlaneAudience, DataPlaneClaims, dataPlanePath, Problem, SIGNING_KEYS_PATH, toStatus, type DataPlaneOperation } from '@corral/contracts';
import { createRemoteJWKSet, jwtVerify, type JWTVerifyGetKey } from 'jose';
import { WebSocketServer, type WebSocket } from 'ws';

export type HttpHandler = (request: IncomingMessage, response: ServerResponse, url: URL) => unknown;
export type SocketHandler = (socket: WebSocket, request: IncomingMessage, url: URL) => void;

/**
 * A node's data plane as gateways see it: real HTTP and WebSocket, real tokens, and answers that the test decides. It
 * serves one incarnation of one machine, and refuses every other as the node agent does.
 */
export class FakeDataPlane {
  readonly http = new Map<string, HttpHandler>();
  readonly sockets = new Map<DataPlaneOperation, SocketHandler>();
  readonly nodeName = 'worker-1';
  uid = '';
  incarnation = 1;
  /** Whether the node has no right to serve just now, and says so. */
  isFenced = false;
  #keys: JWTVerifyGetKey = () => Promise.reject(new Error('not started'));
  readonly #wss = new WebSocketServer({ noServer: true, handleProtocols: (offered) => [...offered][0] ?? false });
  readonly #server = createServer((request, response) => {
    this.#serve(request, response).catch((error: unknown) => refuse(response, error));
  });

  /** Of the API at this URL. */
  async start(apiUrl: string): Promise<string> {
    this.#keys = createRemoteJWKSet(new URL(SIGNING_KEYS_PATH, apiUrl));
    this.#server.on('upgrade', (request, socket, head) => {
      this.#admit(request).then(
        ({ operation, url }) => {
          const handler = this.sockets.get(operation);
          this.#wss.handleUpgrade(request, socket, head, (opened) => handler?.(opened, request, url));
        },
        (error: unknown) => {
          const status = toStatus(error);
          const body = JSON.stringify(status);
          socket.end(`HTTP/1.1 ${status.code} No\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
        },
      );
    });
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The WebSockets that are open now. */
  get clients(): ReadonlySet<WebSocket> {
    return this.#wss.clients;
  }

  async stop(): Promise<void> {
    for (const socket of this.#wss.clients) socket.terminate();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { operation, url } = await this.#admit(request);
    const handler = this.http.get(`${request.method} ${operation}`);
    if (!handler) throw new Problem('route.not-found', 'no such operation');
    await handler(request, response, url);
  }

  async #admit(request: IncomingMessage): Promise<{ operation: DataPlaneOperation; url: URL }> {
    const url = new URL(request.url ?? '/', 'http://node');
    const token = request.headers.authorization?.replace('Bearer ', '') ?? '';
    const { payload } = await jwtVerify(token, this.#keys, { audience: dataPlaneAudience(this.nodeName), typ: DATA_PLANE_TOKEN_TYPE, algorithms: ['ES256'], maxTokenAge: 60 }).catch(() => {
      throw new Problem('request.unauthenticated', 'bad token');
    });
    const claims = DataPlaneClaims.parse(payload);
    if (url.pathname !== dataPlanePath(claims.uid, claims.incarnation, claims.operation)) throw new Problem('request.forbidden', 'another path');
    if (this.isFenced) throw new Problem('node.fenced', 'try again', { details: { retryAfterSeconds: 2 } });
    if (claims.uid !== this.uid || claims.incarnation !== this.incarnation) throw new Problem('vm.not-running', 'not this incarnation');
    return { operation: claims.operation, url };
  }
}

function refuse(response: ServerResponse, error: unknown): void {
  const status = toStatus(error);
  const retryAfter = status.details?.retryAfterSeconds;
  response.writeHead(status.code, { 'content-type': 'application/json', ...(retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) }) }).end(JSON.stringify(status));
}
