import { type IncomingMessage, request as httpRequest } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { type Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { DataPlaneClaims, NODE_USAGE_PATH, NodeUsageClaims, Problem, PROBLEMS, type Status, toStatus, type NodeUsage } from '@corral/contracts';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { type Logger } from 'pino';
import { type MachineEndpoint } from '../machine/machine.surroundings.ts';
import { type AccessTokens } from './access-token.ts';
import { serveLastScreen } from './last-screen.http.ts';
import { checkClaims, parseRoute, type DataPlaneRoute } from './route.ts';

export interface DataPlaneServerOptions {
  readonly host: string;
  readonly port: number;
  readonly tokens: AccessTokens;
  readonly log: Logger;
  /** What `GET /metrics` answers. */
  readonly metrics: { readonly contentType: string; text(): Promise<string> };
  /** What `GET /v1/usage` answers. */
  usage(): Promise<NodeUsage>;
  /** Whether this node may serve anything now: it holds its Lease. Asked at every request. */
  isServing(): boolean;
  /** Where a machine's running incarnation is served. */
  endpoint(uid: string): MachineEndpoint | undefined;
  /** Where lies what a machine showed when it fell asleep; undefined unless it sleeps here. */
  lastScreen(uid: string): string | undefined;
}

const CONNECT_DEADLINE_MS = 5_000;
/** A node renews its Lease several times a term: the next try is worth no longer a wait. */
const FENCED_RETRY_AFTER_S = 2;
/** Headers that belong to one hop, or that the VM process has no business to see. Source: RFC 9110, 7.6.1. */
const NOT_CARRIED = new Set([
  'authorization',
  'connection',
  'keep-alive',
  'proxy-authorization',
  'te',
  'trailer',
  'host',
]);

/**
 * Carries guest data between gateways and VM processes, byte for byte, never faster than the slower side. Who may is
 * decided by the token; which process, by the incarnation it names.
 */
export class DataPlaneServer {
  readonly #options: DataPlaneServerOptions;
  readonly #server: FastifyInstance;
  readonly #upgraded = new Set<Duplex>();

  constructor(options: DataPlaneServerOptions) {
    this.#options = options;
    this.#server = Fastify({ forceCloseConnections: true, logger: false, requestTimeout: 0 });
    this.#server.removeAllContentTypeParsers();
    // Bodies are the VM process's business: they are piped, not read.
    this.#server.addContentTypeParser('*', (_request, _payload, done) => done(null));
    this.#server.get('/healthz', async () => ({ status: 'ok' }));
    this.#server.get('/metrics', async (_request, reply) =>
      reply.type(options.metrics.contentType).send(await options.metrics.text()),
    );
    this.#server.get(NODE_USAGE_PATH, (request, reply) => this.#usage(request, reply));
    this.#server.all('/v1/machines/*', (request, reply) => this.#carry(request, reply));
    this.#server.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      this.#upgrade(request, socket, head).catch((error: unknown) => refuseUpgrade(socket, error));
    });
  }

  /** Listens; the result is the port, also when any was asked for. */
  async listen(): Promise<number> {
    await this.#server.listen({ host: this.#options.host, port: this.#options.port });
    return (this.#server.server.address() as AddressInfo).port;
  }

  /** Ends everything that is carried now. */
  cut(): void {
    for (const socket of this.#upgraded) socket.destroy();
    this.#server.server.closeAllConnections();
  }

  async close(): Promise<void> {
    this.cut();
    await this.#server.close();
  }

  async #admit(
    url: string,
    authorization: string | undefined,
  ): Promise<{ readonly route: DataPlaneRoute; readonly socketPath: string }> {
    const route = parseRoute(url);
    if (!route) throw new Problem('route.not-found', 'The data plane has no such path');
    checkClaims(route, await this.#options.tokens.verify(authorization, DataPlaneClaims));
    this.#requireRight();
    const endpoint = this.#options.endpoint(route.uid);
    if (endpoint?.incarnation !== route.incarnation)
      throw new Problem('vm.not-running', 'The machine does not run on this node, or has been started anew');
    return { route, socketPath: endpoint.socketPath };
  }

  /** A machine that sleeps shows what it last showed, to whoever may look, without being woken. */
  async #admitToLastScreen(method: string | undefined, url: string, authorization: string | undefined): Promise<{ readonly directory: string; readonly format: string } | undefined> {
    const route = parseRoute(url);
    const directory = route?.operation === 'screenshot' && method === 'GET' ? this.#options.lastScreen(route.uid) : undefined;
    if (!route || directory === undefined) return undefined;
    checkClaims(route, await this.#options.tokens.verify(authorization, DataPlaneClaims));
    this.#requireRight();
    return { directory, format: new URL(route.target, 'http://machine').searchParams.get('format') ?? 'png' };
  }

  /** Whatever runs here may be somebody else's by now: that is not to be told from one that has ended. */
  #requireRight(): void {
    if (this.#options.isServing()) return;
    throw new Problem('node.fenced', 'The node has lost touch with the API and serves nothing for the moment: try again', { details: { retryAfterSeconds: FENCED_RETRY_AFTER_S } });
  }

  async #carry(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    try {
      const { url = '', method } = request.raw;
      const { authorization } = request.headers;
      const screen = await this.#admitToLastScreen(method, url, authorization);
      if (screen) return await serveLastScreen(reply, screen.directory, screen.format);
      const { route, socketPath } = await this.#admit(url, authorization);
      await this.#pipe(request, reply, route.target, socketPath);
    } catch (error) {
      if (reply.raw.headersSent) return void reply.raw.destroy();
      const status = toStatus(error);
      if (!(error instanceof Problem)) this.#options.log.error({ err: error }, 'The data plane failed');
      await reply.code(status.code).headers(retryAfterOf(status)).send(status);
    }
  }

  async #usage(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    try {
      await this.#options.tokens.verify(request.headers.authorization, NodeUsageClaims);
      await reply.send(await this.#options.usage());
    } catch (error) {
      const status = toStatus(error);
      await reply.code(status.code).send(status);
    }
  }

  async #pipe(request: FastifyRequest, reply: FastifyReply, target: string, socketPath: string): Promise<void> {
    const upstream = httpRequest({
      socketPath,
      method: request.method,
      path: target,
      headers: carriedHeaders(request.raw),
      setHost: true,
    });
    // When the caller goes, so must the request it made: an exec is killed, an upload ends.
    reply.raw.once('close', () => upstream.destroy());
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      upstream.once('response', resolve);
      upstream.once('error', reject);
    });
    const sent = pipeline(request.raw, upstream);
    // An answer may come, and be complete, before the body was read to its end.
    sent.catch(() => undefined);
    let response: IncomingMessage;
    try {
      response = await answered;
    } catch (error) {
      throw new Problem('node.unreachable', 'The VM process does not answer', { cause: error });
    }
    reply.hijack();
    reply.raw.writeHead(response.statusCode ?? 502, response.statusMessage, responseHeaders(response));
    reply.raw.flushHeaders();
    await pipeline(response, reply.raw);
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on('error', () => socket.destroy());
    const { route, socketPath } = await this.#admit(request.url ?? '', request.headers.authorization);
    const upstream = await connectTo(socketPath);
    this.#upgraded.add(socket);
    const end = (): void => {
      this.#upgraded.delete(socket);
      upstream.destroy();
      socket.destroy();
    };
    upstream.on('error', end);
    for (const side of [socket, upstream]) side.on('close', end);
    upstream.write(requestHead(request, route.target));
    if (head.length > 0) upstream.write(head);
    // From here on it is a tunnel; pipe() stops reading one side while the other is full.
    upstream.pipe(socket);
    socket.pipe(upstream);
  }
}

const retryAfterOf = ({ details }: Status): Readonly<Record<string, string>> => (details?.retryAfterSeconds === undefined ? {} : { 'retry-after': String(details.retryAfterSeconds) });

function carriedHeaders({ headers }: IncomingMessage): Record<string, string | string[]> {
  const carried: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers))
    if (value !== undefined && !NOT_CARRIED.has(name) && name !== 'upgrade') carried[name] = value;
  return carried;
}

function responseHeaders({ headers }: IncomingMessage): Record<string, string | string[]> {
  const carried: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers))
    if (value !== undefined && name !== 'connection' && name !== 'keep-alive') carried[name] = value;
  return carried;
}

/** The upgrade request as it came, but for the path and the token. */
function requestHead({ method, rawHeaders }: IncomingMessage, target: string): string {
  const lines = [`${method ?? 'GET'} ${target} HTTP/1.1`];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    if (name.toLowerCase() !== 'authorization') lines.push(`${name}: ${rawHeaders[index + 1] ?? ''}`);
  }
  return `${lines.join('\r\n')}\r\n\r\n`;
}

function connectTo(socketPath: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    const fail = (cause: unknown): void => {
      socket.destroy();
      reject(new Problem('node.unreachable', 'The VM process does not answer', { cause }));
    };
    const timer = setTimeout(() => fail(new Error('connect timed out')), CONNECT_DEADLINE_MS);
    socket.once('error', (error) => {
      clearTimeout(timer);
      fail(error);
    });
    socket.once('connect', () => {
      clearTimeout(timer);
      resolve(socket);
    });
  });
}

/** An upgrade that is refused is answered as plain HTTP. */
function refuseUpgrade(socket: Duplex, error: unknown): void {
  const status = toStatus(error);
  const body = JSON.stringify(status);
  const retryAfter = Object.entries(retryAfterOf(status)).map(([name, value]) => `${name}: ${value}\r\n`).join('');
  const text = error instanceof Problem ? PROBLEMS[error.code].reason : 'InternalError';
  socket.end(
    `HTTP/1.1 ${status.code} ${text}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${retryAfter}Connection: close\r\n\r\n${body}`,
  );
}
