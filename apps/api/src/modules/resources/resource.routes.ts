import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { systemClock } from '@corral/base';
import {
  decodeBody, isTrue, mediaTypeOf, negotiate, optionsInvalid, PATCH_TYPES, presentList, presentObject, readListRequest, readPatch,
  readWatchRequest, requestAttributes, Selection, type Decoded, type Patch, type Query, type Representation,
} from '@corral/api-machinery';
import { apiPath, KINDS, Problem, type KindDefinition, type KubeObject, type Status } from '@corral/contracts';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Authorizer } from '../../platform/auth/authorization.ts';
import { readObjectBody, textOf } from '../../platform/http/object-body.ts';
import { queryValue, type RouteOptions } from '../../platform/http/http-server.ts';
import { registerObjectRoutes, sendContent } from '../../platform/http/object-routes.ts';
import { RequestMetrics } from '../../platform/telemetry/request-metrics.ts';
import { fingerprintOf, readKey } from '../idempotency/idempotency-key.ts';
import { Idempotency } from '../idempotency/idempotency.ts';
import { listJson, objectJson } from './object-json.ts';
import { readDeleteOptions } from './delete-request.ts';
import { Resources } from './resources.service.ts';
import type { ObjectAddress, WriteOptions } from './write-options.ts';
import { Waits } from './waits.ts';
import { streamWatch } from './watch-stream.ts';
import { writeOptions } from './write-request.ts';
import { Watches } from './watches.ts';

type Params = { namespace?: string; name?: string };
type Request = FastifyRequest<{ Params: Params; Body: Buffer | undefined }>;

/** The generic REST routes: the same for every kind there is and every kind to come. */
@Injectable()
export class ResourceRoutes implements OnModuleInit {
  constructor(
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
    @Inject(Resources) private readonly resources: Resources,
    @Inject(Watches) private readonly watches: Watches,
    @Inject(Waits) private readonly waits: Waits,
    @Inject(RequestMetrics) private readonly metrics: RequestMetrics,
    @Inject(Authorizer) private readonly authorizer: Authorizer,
    @Inject(Idempotency) private readonly idempotency: Idempotency,
  ) {}

  onModuleInit(): void {
    registerObjectRoutes(this.host, (scope) => {
      for (const kind of KINDS) this.#serve(scope, kind);
    });
  }

  #serve(scope: FastifyInstance, kind: KindDefinition): void {
    const isNamespaced = kind.scope === 'Namespaced';
    // apiPath encodes what it is given, and these are patterns.
    const collection = isNamespaced ? apiPath(kind).replace(kind.plural, `namespaces/:namespace/${kind.plural}`) : apiPath(kind);
    const object = `${collection}/:name`;
    const list = (request: Request, reply: FastifyReply) => this.#list(kind, request, reply);

    if (isNamespaced) scope.get<{ Params: Params; Body: Buffer | undefined }>(apiPath(kind), list);
    scope.get<{ Params: Params; Body: Buffer | undefined }>(collection, list);
    scope.post<{ Params: Params; Body: Buffer }>(collection, (request, reply) => this.#create(kind, request, reply));
    if (isNamespaced) scope.post<{ Params: Params; Body: Buffer }>(apiPath(kind), (request, reply) => this.#create(kind, request, reply));
    scope.delete<{ Params: Params; Body: Buffer | undefined }>(collection, (request, reply) => this.#deleteCollection(kind, request, reply));
    scope.get<{ Params: Params; Body: undefined }>(object, (request, reply) => this.#get(kind, request, reply));
    scope.put<{ Params: Params; Body: Buffer }>(object, (request, reply) =>
      this.#write(kind, request, reply, (address, options) => this.resources.replace(kind, address, bodyOf(request), options)),
    );
    scope.patch<{ Params: Params; Body: Buffer }>(object, (request, reply) =>
      isApply(request)
        ? this.#apply(kind, request, reply)
        : this.#write(kind, request, reply, (address, options) => this.resources.patch(kind, address, patchOf(kind, request), options)),
    );
    scope.delete<{ Params: Params; Body: Buffer | undefined }>(object, (request, reply) => this.#delete(kind, request, reply));
    scope.get<{ Params: Params; Body: undefined }>(`${object}/wait`, (request, reply) => this.#wait(kind, request, reply));
    for (const path of [collection, object]) refuseOtherMethods(scope, path);
    if (!kind.status) return;
    scope.get<{ Params: Params; Body: undefined }>(`${object}/status`, (request, reply) => this.#get(kind, request, reply));
    scope.put<{ Params: Params; Body: Buffer }>(`${object}/status`, (request, reply) =>
      this.#write(kind, request, reply, (address, options) => this.resources.replaceStatus(kind, address, bodyOf(request), options)),
    );
    scope.patch<{ Params: Params; Body: Buffer }>(`${object}/status`, (request, reply) =>
      isApply(request)
        ? this.#apply(kind, request, reply, 'status')
        : this.#write(kind, request, reply, (address, options) => this.resources.patchStatus(kind, address, patchOf(kind, request), options)),
    );
    refuseOtherMethods(scope, `${object}/status`);
  }

  async #list(kind: KindDefinition, request: Request, reply: FastifyReply): Promise<unknown> {
    const query = queryOf(request);
    const isWatch = isTrue(query('watch'));
    const representation = negotiate(request.headers.accept, query('includeObject'), isWatch);
    if (isWatch) {
      const watch = readWatchRequest(query);
      const selection = new Selection(kind, { namespace: request.params.namespace, labelSelector: watch.labelSelector, fieldSelector: watch.fieldSelector });
      await streamWatch(this.watches, this.metrics, selection, watch, representation, request, reply);
      return reply;
    }
    const page = await this.resources.list(kind, request.params.namespace, readListRequest(query));
    const metadata = {
      resourceVersion: String(page.resourceVersion),
      ...(page.continueToken === undefined ? {} : { continue: page.continueToken }),
      ...(page.remaining === undefined ? {} : { remainingItemCount: page.remaining }),
    };
    if (isPlain(representation)) return sendJson(reply, 200, listJson(kind, page.objects, metadata));
    return sendContent(reply, 200, presentList(kind, page.objects, metadata, representation, systemClock.now()), representation.encoding);
  }

  async #get(kind: KindDefinition, request: FastifyRequest<{ Params: Params }>, reply: FastifyReply): Promise<unknown> {
    const object = await this.resources.get(kind, addressOf(request));
    return this.#sendObject(kind, request, reply, 200, object);
  }

  async #create(kind: KindDefinition, request: FastifyRequest<{ Params: Params; Body: Buffer }>, reply: FastifyReply): Promise<unknown> {
    const target = { namespace: request.params.namespace };
    const options = writeOptions(request, reply);
    const key = readKey(request.headers['idempotency-key']);
    if (key === undefined || options.dryRun) {
      const created = await this.resources.create(kind, bodyOf(request), target, options);
      request.createdName = created.metadata.name;
      return this.#sendObject(kind, request, reply, 201, created);
    }
    const fingerprint = fingerprintOf(request.method, request.url, request.headers['content-type'], request.body);
    const { object, isReplayed } = await this.idempotency.once({ user: request.user.name, key, fingerprint }, (beside) => this.resources.create(kind, bodyOf(request), target, { ...options, beside }));
    if (isReplayed) void reply.header('idempotency-replayed', 'true');
    request.createdName = object.metadata.name;
    return this.#sendObject(kind, request, reply, 201, object);
  }

  async #write(
    kind: KindDefinition,
    request: FastifyRequest<{ Params: Params }>,
    reply: FastifyReply,
    write: (address: ObjectAddress, options: WriteOptions) => Promise<KubeObject>,
  ): Promise<unknown> {
    const object = await write(addressOf(request), writeOptions(request, reply));
    return this.#sendObject(kind, request, reply, 200, object);
  }

  async #apply(kind: KindDefinition, request: FastifyRequest<{ Params: Params; Body: Buffer }>, reply: FastifyReply, subresource?: 'status'): Promise<unknown> {
    const query = queryOf(request);
    if (!query('fieldManager')) throw optionsInvalid('PatchOptions', { field: 'fieldManager', reason: 'FieldValueRequired', message: 'is required for apply patch' });
    const decoded = decodeBody(textOf(request.body), PATCH_TYPES.apply, [PATCH_TYPES.apply]);
    const attributes = requestAttributes('PATCH', request.url.split('?', 1)[0] ?? '', query);
    const { object, isCreated } = await this.resources.apply(kind, addressOf(request), decoded, {
      ...writeOptions(request, reply),
      force: isTrue(query('force')),
      ...(subresource ? { subresource } : {}),
      authorizeCreate: () => this.authorizer.require(request.user, { ...attributes, verb: 'create' }),
    });
    return this.#sendObject(kind, request, reply, isCreated ? 201 : 200, object);
  }

  async #delete(kind: KindDefinition, request: Request, reply: FastifyReply): Promise<unknown> {
    const { isGone, object } = await this.resources.delete(kind, addressOf(request), readDeleteOptions(request));
    if (!isGone) return this.#sendObject(kind, request, reply, 200, object);
    const { name, uid } = object.metadata;
    return sendContent(reply, 200, { ...SUCCESS, details: { name, group: kind.group, kind: kind.plural, uid } }, negotiate(request.headers.accept).encoding);
  }

  async #deleteCollection(kind: KindDefinition, request: Request, reply: FastifyReply): Promise<unknown> {
    const page = await this.resources.deleteCollection(kind, request.params.namespace, readListRequest(queryOf(request)), readDeleteOptions(request));
    const representation = negotiate(request.headers.accept);
    return sendContent(reply, 200, presentList(kind, page.objects, { resourceVersion: String(page.resourceVersion) }, representation, systemClock.now()), representation.encoding);
  }

  async #wait(kind: KindDefinition, request: FastifyRequest<{ Params: Params }>, reply: FastifyReply): Promise<unknown> {
    const left = new AbortController();
    reply.raw.on('close', () => left.abort());
    const query = queryOf(request);
    const object = await this.waits.wait(kind, addressOf(request), query('for'), query('timeoutSeconds'), left.signal);
    return object ? this.#sendObject(kind, request, reply, 200, object) : sendContent(reply, 200, SUCCESS, 'json');
  }

  #sendObject(kind: KindDefinition, request: FastifyRequest, reply: FastifyReply, code: number, object: KubeObject): FastifyReply {
    const representation = negotiate(request.headers.accept, queryValue(request.query, 'includeObject'));
    if (isPlain(representation)) return sendJson(reply, code, objectJson(object));
    return sendContent(reply, code, presentObject(kind, object, representation, systemClock.now()), representation.encoding);
  }
}

const SUCCESS = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 200 } as const satisfies Status;

/** Whole objects as JSON: what is kept as bytes. */
const isPlain = ({ form, encoding }: Representation): boolean => form === 'Object' && encoding === 'json';

/** Compressing less costs more time than it saves. Source: k8s.io/apiserver, responsewriters, defaultGzipThresholdBytes. */
const COMPRESS_FROM_BYTES = 128 * 1024;

function sendJson(reply: FastifyReply, code: number, body: Buffer): FastifyReply {
  // What @fastify/compress looks at: its own threshold is for everything else there is.
  if (body.length < COMPRESS_FROM_BYTES) reply.request.headers['x-no-compression'] = 'true';
  return reply.code(code).type('application/json').header('cache-control', 'no-cache, private').send(body);
}

const queryOf = (request: FastifyRequest): Query => (name) => queryValue(request.query, name);

const addressOf = ({ params }: { params: Params }): ObjectAddress => ({ namespace: params.namespace, name: params.name ?? '' });

const bodyOf = ({ body, headers }: FastifyRequest<{ Body: Buffer | undefined }>): Decoded => readObjectBody(body, headers['content-type']);

const isApply = ({ headers }: FastifyRequest): boolean => mediaTypeOf(headers['content-type']) === PATCH_TYPES.apply;

function patchOf(kind: KindDefinition, { body, headers, query }: FastifyRequest<{ Body: Buffer }>): Patch {
  if (queryValue(query, 'force') !== undefined) throw optionsInvalid('PatchOptions', { field: 'force', reason: 'FieldValueForbidden', message: 'may not be specified for non-apply patch' });
  return readPatch(kind, textOf(body), mediaTypeOf(headers['content-type']));
}

/** A path that exists answers an unknown method with 405, not with 404. */
function refuseOtherMethods(scope: FastifyInstance, path: string): void {
  const methods = (['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const).filter((method) => !scope.hasRoute({ method, url: path }));
  if (methods.length === 0) return;
  scope.route({
    method: methods,
    url: path,
    config: { isRefusal: true } satisfies RouteOptions,
    handler: () => {
      throw new Problem('method.not-allowed', 'the server does not allow this method on the requested resource');
    },
  });
}

