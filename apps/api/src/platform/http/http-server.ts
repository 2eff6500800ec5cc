import { randomUUID } from 'node:crypto';
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import fastifyCompress from '@fastify/compress';
import fastifyCookie from '@fastify/cookie';
import { requestAttributes, type RequestAttributes, type RouteDescription } from '@corral/api-machinery';
import { KINDS, Problem, RBAC_GROUP } from '@corral/contracts';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { API_CONFIG, type ApiConfig } from '../config/api-config.ts';
import { OpenConnections } from '../auth/open-connections.ts';
import { PolicyCopy } from '../auth/policy-copy.ts';
import { RequestGate } from '../auth/request-gate.ts';
import { requireDeclaredGuard } from '../auth/route-guards.ts';
import { AuditLog } from '../audit/audit-log.ts';
import type { AuditedRequest } from '../audit/audit-record.ts';
import { ClientAddresses } from '../audit/client-address.ts';
import { ANONYMOUS } from '../auth/user.ts';
import { RequestMetrics } from '../telemetry/request-metrics.ts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Traffic } from '../traffic/traffic.ts';
import { loadCertificate } from './certificate.ts';
import { refuseConnection } from './client-error.ts';
import { createDualServer } from './dual-server.ts';
import { RouteCatalogue } from './route-catalogue.ts';
import { requireBodyWithin } from './slow-body.ts';
import { sendStatus, StatusFilter } from './status-reply.ts';

/** Bodies of objects and commands. Uploads are streams and have limits of their own. */
export const BODY_LIMIT_BYTES = 3 * 1024 * 1024;
/** A request that dawdles holds a connection no longer than this before its headers are there. */
const HEADERS_TIMEOUT_MS = 30_000;
/** What a request under way gets when the server stops. */
const GRACE_MS = 1_000;
const SWEEP_MS = 50;
/** What the client of a request whose credential has ended gets to hear it. */
const FAREWELL_MS = 500;
/** Lists and documents; compressing single objects cost a tenth of the server's time and saved nothing between nodes. */
const COMPRESS_FROM_BYTES = 16 * 1024;

/**
 * A route that takes its body as a stream, whatever its Content-Type: `@RouteConfig({ streamsBody: true })`; `request.body`
 * is then the Readable, and `request.headers['content-type']` says application/octet-stream.
 */
export interface RouteOptions {
  readonly streamsBody?: boolean;
  /** What it is for, in the OpenAPI document. */
  readonly description?: RouteDescription;
  /** It only says that there is nothing: no part of the API. */
  readonly isRefusal?: boolean;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    streamsBody?: boolean;
    description?: RouteDescription;
    isRefusal?: boolean;
  }
}

class StatusAdapter extends FastifyAdapter {
  /** One error handler for all of Fastify, the one below: Nest would set a second over it, which knows only its own controllers. */
  override setErrorHandler(): ReturnType<FastifyAdapter['setErrorHandler']> {
    return this.getInstance();
  }

  /** Idle connections end at once, the others when they have their answer, at the latest after GRACE_MS. */
  override async close(): Promise<void> {
    const server = this.getHttpServer() as Server;
    const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_MS);
    const cutOff = setTimeout(() => server.closeAllConnections(), GRACE_MS);
    await super.close().finally(() => {
      clearInterval(sweep);
      clearTimeout(cutOff);
    });
  }
}

export async function createHttpAdapter(config: ApiConfig): Promise<FastifyAdapter> {
  const certificate = config.tlsDir === undefined ? undefined : await loadCertificate(config.tlsDir, config.host);
  return new StatusAdapter({
    bodyLimit: BODY_LIMIT_BYTES,
    trustProxy: config.trustedProxies.length === 0 ? false : [...config.trustedProxies],
    requestIdHeader: false,
    genReqId: (request: IncomingMessage) => requestIdOf(request.headers['x-request-id']),
    forceCloseConnections: 'idle',
    serverFactory: (handler: RequestListener) => createDualServer(handler, { headersTimeoutMs: HEADERS_TIMEOUT_MS, certificate }),
    routerOptions: { maxParamLength: 512 },
    frameworkErrors: sendStatus,
    clientErrorHandler: refuseConnection,
  });
}

/** Everything that holds for all requests, whoever serves them. Call before the application initializes. */
export async function prepareHttp(app: NestFastifyApplication): Promise<void> {
  const fastify = app.getHttpAdapter().getInstance();
  const gate = app.get(RequestGate);
  const connections = app.get(OpenConnections);
  const metrics = app.get(RequestMetrics);
  const traffic = app.get(Traffic);
  const { bodyMs } = app.get<ApiConfig>(API_CONFIG).traffic;
  const policy = app.get(PolicyCopy);
  const audit = app.get(AuditLog);
  const addresses = app.get(ClientAddresses);

  const catalogue = app.get(RouteCatalogue);
  fastify.addHook('onRoute', ({ method, url, config }) => {
    const { description, isRefusal }: RouteOptions = config ?? {};
    for (const one of [method].flat()) if (one !== 'HEAD' && isRefusal !== true) catalogue.add(one, url, description);
  });
  fastify.decorateRequest('user');
  for (const name of ['attributes', 'isAdmitted', 'receivedAt', 'refusal', 'createdName', 'leaveSeat']) fastify.decorateRequest(name);
  // Clients that name a type for every request send it with an empty body too.
  const parseJson = fastify.getDefaultJsonParser('error', 'error');
  app.useBodyParser('application/json', {}, (request, body, done) => {
    if (body.length === 0) done(null, undefined);
    else void parseJson(request as FastifyRequest, body.toString('utf8'), done);
  });
  // Uploads: the body stays a stream. Types read whole have parsers of their own.
  fastify.addContentTypeParser('*', (_request, payload, done) => done(null, payload));

  fastify.addHook('onRequest', async (request, reply) => {
    request.user = ANONYMOUS;
    request.receivedAt = new Date();
    void reply.header('x-request-id', request.id).header('x-content-type-options', 'nosniff');
    requirePlainBody(request.headers['content-encoding']);
    if (isStreamed(request)) request.raw.headers['content-type'] = 'application/octet-stream';
    const attributes = gate.attributesOf(request.method, request.url);
    request.attributes = attributes;
    request.user = await gate.identify(request.method, request.headers);
    request.user = gate.impersonate(request.user, request.raw);
    // Before it is decided what they may: refusals cost something too.
    await keepRate(traffic, request, reply);
    gate.authorize(request.user, attributes);
    if (isLongRunning(attributes)) reply.raw.once('close', connections.add(request.user, attributes, () => endAnswer(reply.raw)));
    request.isAdmitted = true;
    if (!isStreamed(request)) requireBodyWithin(bodyMs, request, reply);
  });
  // Seats are taken when the body is there, so that slow callers hold none, and given back when the answer is ready.
  fastify.addHook('preHandler', async (request, reply) => {
    if (!request.attributes) return;
    request.leaveSeat = await traffic.seat(request.user, request.attributes, (onGone) => reply.raw.once('close', onGone));
    if (request.leaveSeat) reply.raw.once('close', request.leaveSeat);
  });
  fastify.addHook('onSend', (request, _reply, _payload, done) => {
    request.leaveSeat?.();
    done();
  });
  fastify.addHook('onResponse', (request, reply, done) => {
    const attributes = requestAttributes(request.method, request.url.split('?', 1)[0] ?? '', (name) => queryValue(request.query, name));
    metrics.observe(attributes, isServed(attributes), reply.statusCode, reply.elapsedTime / 1000);
    audit.note(auditedRequestOf(request, reply.statusCode, addresses));
    done();
  });
  fastify.addHook('onRoute', (route) => {
    for (const method of [route.method].flat()) requireDeclaredGuard(method, route.url);
    const isWrite = ![route.method].flat().every((method) => method === 'GET' || method === 'HEAD');
    if (!isWrite || !route.url.startsWith(`/apis/${RBAC_GROUP}/`)) return;
    // Whoever changes rights is answered when this process decides by them; the write is done, so its answer waits for no more.
    route.onSend = async (request) => {
      await policy.catchUp().catch((error: unknown) => request.log.warn({ err: error }, 'Changed rights take effect later'));
    };
  });
  // Loads what its parse and serialize need.
  await fastify.register(fastifyCookie);
  // What a hook refuses never reaches Nest's filter.
  fastify.setErrorHandler((error, request, reply) => sendStatus(error, request, reply));
  await fastify.register(fastifyCompress, { encodings: ['gzip', 'identity'], threshold: COMPRESS_FROM_BYTES, globalDecompression: false });
  app.useGlobalFilters(new StatusFilter());
}

/** As kube-apiserver: what unpacks to more than anybody sent is not unpacked. */
function requirePlainBody(encoding: string | undefined): void {
  if (encoding === undefined || encoding.trim().toLowerCase() === 'identity') return;
  throw new Problem('media.unsupported', 'the body of the request is encoded, which is not accepted: send it as it is, without Content-Encoding');
}

/** The caller's own, where it is fit for logs and headers: requests can then be followed through both. */
const requestIdOf = (sent: string | readonly string[] | undefined): string => (typeof sent === 'string' && /^[A-Za-z0-9][\w.:/+=-]{0,127}$/.test(sent) ? sent : randomUUID());

/** Counts the request against its user's rate, says so in the answer's headers, and holds back what is a little too fast. */
async function keepRate(traffic: Traffic, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const allowance = request.attributes && (await traffic.pace(request.user, request.attributes));
  if (!allowance) return;
  const { policy, limit } = traffic.headersOf(allowance);
  void reply.header('ratelimit-policy', policy).header('ratelimit', limit);
}

/** Requests that may last: they end with the credential they were made with. */
function isLongRunning(attributes: RequestAttributes): boolean {
  return attributes.isResource && (attributes.verb === 'watch' || (attributes.subresource !== '' && attributes.subresource !== 'status'));
}

/** As an answer that is over: a watch is resumed, and then refused. */
function endAnswer(response: ServerResponse): void {
  if (response.headersSent) response.end();
  const cutOff = setTimeout(() => response.destroy(), FAREWELL_MS);
  response.once('close', () => clearTimeout(cutOff));
}

function auditedRequestOf(request: FastifyRequest, code: number, addresses: ClientAddresses): AuditedRequest {
  const { attributes, createdName } = request;
  return {
    at: request.receivedAt ?? new Date(),
    requestId: request.id,
    method: request.method,
    path: request.url.split('?', 1)[0] ?? '',
    user: request.user,
    attributes: attributes?.isResource && createdName !== undefined ? { ...attributes, ...(attributes.resource === 'namespaces' ? { namespace: createdName } : {}), name: createdName } : attributes,
    address: addresses.of(request.socket.remoteAddress, request.headers['x-forwarded-for']),
    userAgent: request.headers['user-agent'],
    decision: request.isAdmitted ? 'Allowed' : 'Denied',
    code,
    reason: request.refusal,
  };
}

function isStreamed(request: FastifyRequest): boolean {
  return request.routeOptions.config.streamsBody === true;
}

function isServed(attributes: RequestAttributes): boolean {
  return attributes.isResource && KINDS.some(({ group, plural }) => group === attributes.group && plural === attributes.resource);
}

/** One value of a query parameter; the first when it is repeated. */
export function queryValue(query: unknown, name: string): string | undefined {
  const value = (query as Record<string, string | string[] | undefined>)[name];
  return Array.isArray(value) ? value[0] : value;
}
