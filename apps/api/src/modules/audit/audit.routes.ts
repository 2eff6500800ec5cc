import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { isTrue, negotiate, objectNotFound, presentList, presentObject } from '@corral/api-machinery';
import { apiPath, apiVersionOf, auditEvents, Problem, toKubeTime, type AuditEvent } from '@corral/contracts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Database } from '../../platform/database/database.ts';
import type { AuditEntry } from '../../platform/database/generated/client.ts';
import { PostgresStore } from '../../platform/database/postgres-store.ts';
import { queryValue } from '../../platform/http/http-server.ts';
import { registerObjectRoutes, sendContent } from '../../platform/http/object-routes.ts';
import { readAuditQuery } from './audit-query.ts';

type Request = FastifyRequest<{ Params: { namespace?: string; name?: string } }>;

/** The audit log as a kind that is read and never written, newest first: for kubectl, the console, and whoever may list it. */
@Injectable()
export class AuditRoutes implements OnModuleInit {
  constructor(
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
    @Inject(Database) private readonly database: Database,
    @Inject(PostgresStore) private readonly store: PostgresStore,
  ) {}

  onModuleInit(): void {
    const everywhere = apiPath(auditEvents);
    const inNamespace = everywhere.replace(auditEvents.plural, `namespaces/:namespace/${auditEvents.plural}`);
    registerObjectRoutes(this.host, (scope) => {
      for (const path of [everywhere, inNamespace]) scope.get(path, (request: Request, reply) => this.#list(request, reply));
      scope.get(`${inNamespace}/:name`, (request: Request, reply) => this.#get(request, reply));
    });
  }

  async #list(request: Request, reply: FastifyReply): Promise<unknown> {
    const query = (name: string): string | undefined => queryValue(request.query, name);
    if (isTrue(query('watch'))) throw new Problem('method.not-allowed', 'the audit log is not watched: list it again with since=');
    const representation = negotiate(request.headers.accept, query('includeObject'));
    const { where, limit } = readAuditQuery(query, request.params.namespace);
    const rows = await this.database.auditEntry.findMany({ where, orderBy: { id: 'desc' }, take: limit + 1 });
    const shown = rows.slice(0, limit);
    const last = rows.length > limit ? shown.at(-1) : undefined;
    const metadata = { resourceVersion: String(await this.store.currentVersion()), ...(last ? { continue: String(last.id) } : {}) };
    return sendContent(reply, 200, presentList(auditEvents, shown.map(eventOf), metadata, representation, new Date()), representation.encoding, 'no-store');
  }

  async #get(request: Request, reply: FastifyReply): Promise<unknown> {
    const { namespace = '', name = '' } = request.params;
    const representation = negotiate(request.headers.accept);
    const row = /^\d{1,18}$/.test(name) ? await this.database.auditEntry.findFirst({ where: { id: BigInt(name), namespace } }) : null;
    if (!row) throw objectNotFound(auditEvents, name);
    return sendContent(reply, 200, presentObject(auditEvents, eventOf(row), representation, new Date()), representation.encoding, 'no-store');
  }
}

function eventOf(row: AuditEntry): AuditEvent {
  const { namespace, name, apiGroup, resource, subresource } = row;
  const at = row.at.toISOString();
  return {
    apiVersion: apiVersionOf(auditEvents),
    kind: auditEvents.kind,
    metadata: { name: String(row.id), ...(namespace === '' ? {} : { namespace }), uid: row.requestId, resourceVersion: String(row.id), generation: 1, creationTimestamp: toKubeTime(row.at) },
    requestID: row.requestId,
    requestReceivedTimestamp: at,
    verb: row.verb,
    user: { username: row.userName, groups: row.groups, ...(row.credential === null ? {} : { credential: row.credential }) },
    ...(row.impersonatedBy === null ? {} : { impersonatedBy: { username: row.impersonatedBy } }),
    ...(resource === ''
      ? { requestURI: row.path }
      : { objectRef: { ...(apiGroup === '' ? {} : { apiGroup }), resource, ...(subresource === '' ? {} : { subresource }), ...(namespace === '' ? {} : { namespace }), ...(name === '' ? {} : { name }) } }),
    sourceIPs: [row.address],
    ...(row.userAgent === '' ? {} : { userAgent: row.userAgent }),
    decision: row.decision === 'Denied' ? 'Denied' : 'Allowed',
    responseStatus: { code: row.code, ...(row.reason === null ? {} : { reason: row.reason }) },
  };
}
