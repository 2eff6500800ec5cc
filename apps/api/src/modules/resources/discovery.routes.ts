import { createHash } from 'node:crypto';
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import {
  acceptsAggregatedDiscovery, AGGREGATED_DISCOVERY_TYPE, aggregatedDiscovery, apiGroup, apiGroupList, apiResourceList, apiVersions, openApiDocument,
  openApiV2, routeNotFound, type ServedRoute, type Subresource,
} from '@corral/api-machinery';
import { COMPUTED_KINDS, KINDS, pods, serviceAccounts, virtualMachines, type KindDefinition } from '@corral/contracts';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { GIT_VERSION } from '../../platform/telemetry/health.controller.ts';
import type { RouteOptions } from '../../platform/http/http-server.ts';
import { RouteCatalogue } from '../../platform/http/route-catalogue.ts';
import { sendStatus } from '../../platform/http/status-reply.ts';

const SERVED_KINDS = [...KINDS, ...COMPUTED_KINDS];
const machine: KindDefinition = virtualMachines;
/** Served by gateways, and so listed where clients look for them. */
const SUBRESOURCES: readonly Subresource[] = [
  ...['exec', 'serial'].map((name) => ({ kind: machine, name, verbs: ['create', 'get'] })),
  { kind: machine, name: 'files', verbs: ['get', 'update', 'delete'] },
  { kind: machine, name: 'screenshot', verbs: ['get'] },
  { kind: machine, name: 'input', verbs: ['create'] },
  { kind: machine, name: 'tickets', verbs: ['create'] },
  { kind: machine, name: 'binding', verbs: ['create'], type: { group: '', version: 'v1', kind: 'Binding' } },
  { kind: pods, name: 'eviction', verbs: ['create'], type: { group: 'policy', version: 'v1', kind: 'Eviction' } },
  { kind: serviceAccounts as KindDefinition, name: 'token', verbs: ['create'] },
];

/** The one form of v2 that kubectl asks for first, and takes whatever else it accepts. */
const OPENAPI_V2_TYPE = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';

const DISCOVERY = { config: { description: { summary: 'What there is.' } } satisfies RouteOptions };

/** What the API has: discovery and OpenAPI, computed once, revalidated by ETag. */
@Injectable()
export class DiscoveryRoutes implements OnModuleInit {
  constructor(
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
    @Inject(RouteCatalogue) private readonly catalogue: RouteCatalogue,
  ) {}

  onModuleInit(): void {
    const fastify = this.host.httpAdapter.getInstance<FastifyInstance>();
    void fastify.register((scope, _options, done) => {
      scope.setErrorHandler(sendStatus);
      this.#discovery(scope);
      this.#openApi(scope);
      done();
    });
  }

  #discovery(scope: FastifyInstance): void {
    for (const [path, isCore] of [['/api', true], ['/apis', false]] as const) {
      const aggregated = documentOf(aggregatedDiscovery(SERVED_KINDS, SUBRESOURCES, isCore), AGGREGATED_DISCOVERY_TYPE);
      const plain = documentOf(isCore ? apiVersions() : apiGroupList(SERVED_KINDS));
      scope.get(path, DISCOVERY, (request, reply) => sendDocument(request, reply.header('vary', 'Accept'), acceptsAggregatedDiscovery(request.headers.accept) ? aggregated : plain));
    }
    for (const { group, version } of groupVersions()) {
      const resources = documentOf(apiResourceList(SERVED_KINDS, SUBRESOURCES, group, version));
      scope.get(group === '' ? `/api/${version}` : `/apis/${group}/${version}`, DISCOVERY, (request, reply) => sendDocument(request, reply, resources));
    }
    for (const group of new Set(SERVED_KINDS.map((kind) => kind.group))) {
      if (group === '') continue;
      const ofGroup = documentOf(apiGroup(SERVED_KINDS, group));
      scope.get(`/apis/${group}`, DISCOVERY, (request, reply) => sendDocument(request, reply, ofGroup));
    }
  }

  #openApi(scope: FastifyInstance): void {
    // All routes are there when somebody asks, and from then on they stay as they are.
    let known: OpenApi | undefined;
    const openApi = (): OpenApi => (known ??= openApiOf(this.catalogue.routes));
    const describe = (summary: string, query: Readonly<Record<string, string>> = {}) => ({ config: { description: { summary, query } } satisfies RouteOptions });
    scope.get('/openapi/v3', describe('Where the OpenAPI documents are.'), (request, reply) => sendDocument(request, reply, openApi().index));
    scope.get<{ Params: { '*': string }; Querystring: { hash?: string } }>('/openapi/v3/*', describe('One OpenAPI document.', { hash: 'Its ETag: the answer may then be kept for ever.' }), (request, reply) => {
      const document = openApi().documents.get(request.params['*']);
      if (!document) throw routeNotFound();
      if (request.query.hash === document.etag) void reply.header('cache-control', 'public, max-age=31536000, immutable');
      return sendDocument(request, reply, document);
    });
    scope.get('/openapi/v2', describe('All that kubectl before 1.27 reads, as it reads it.'), (_request, reply) => reply.header('content-type', OPENAPI_V2_TYPE).header('vary', 'Accept').send(openApi().v2));
  }
}

interface OpenApi {
  readonly index: Document;
  readonly documents: ReadonlyMap<string, Document>;
  readonly v2: Buffer;
}

/** What belongs to no group version. */
const SERVER = 'server';

function openApiOf(routes: readonly ServedRoute[]): OpenApi {
  const sections = groupVersions().map(({ group, version }) => ({ name: group === '' ? `api/${version}` : `apis/${group}/${version}`, kinds: SERVED_KINDS.filter((kind) => kind.group === group && kind.version === version) }));
  const sectionOf = ({ path }: ServedRoute): string => sections.find(({ name }) => path === `/${name}` || path.startsWith(`/${name}/`))?.name ?? SERVER;
  const contents = [...sections, { name: SERVER, kinds: [] }].map(({ name, kinds }) => [name, openApiDocument(kinds, GIT_VERSION, routes.filter((route) => sectionOf(route) === name))] as const);
  const documents = new Map(contents.map(([name, content]) => [name, documentOf(content)]));
  return {
    documents,
    index: documentOf({ paths: Object.fromEntries([...documents].map(([name, { etag }]) => [name, { serverRelativeURL: `/openapi/v3/${name}?hash=${etag}` }])) }),
    v2: Buffer.from(openApiV2(contents.filter(([name]) => name !== SERVER).map(([, content]) => content), GIT_VERSION)),
  };
}

interface Document {
  readonly body: Buffer;
  readonly type: string;
  readonly etag: string;
}

function documentOf(content: unknown, type = 'application/json'): Document {
  const body = Buffer.from(JSON.stringify(content));
  return { body, type, etag: createHash('sha256').update(body).digest('hex').slice(0, 32).toUpperCase() };
}

function sendDocument(request: FastifyRequest, reply: FastifyReply, { body, type, etag }: Document): FastifyReply {
  const quoted = `"${etag}"`;
  void reply.header('etag', quoted);
  if (!reply.hasHeader('cache-control')) void reply.header('cache-control', 'public');
  if (request.headers['if-none-match']?.includes(quoted)) return reply.code(304).send();
  return reply.header('content-type', type).send(body);
}

function groupVersions(): { group: string; version: string }[] {
  const seen = new Map(SERVED_KINDS.map(({ group, version }) => [`${group}/${version}`, { group, version }]));
  return [...seen.values()];
}
