import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { isTrue, routeNotFound } from '@corral/api-machinery';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { PostgresStore } from '../../platform/database/postgres-store.ts';
import { queryValue } from '../../platform/http/http-server.ts';
import { sendStatus } from '../../platform/http/status-reply.ts';

/**
 * The pods there are: none. `kubectl describe node` lists them without asking discovery whether there is such a kind, and
 * fails where it cannot; so this is served, and not announced.
 */
@Injectable()
export class PodRoutes implements OnModuleInit {
  constructor(
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
    @Inject(PostgresStore) private readonly store: PostgresStore,
  ) {}

  onModuleInit(): void {
    const fastify = this.host.httpAdapter.getInstance<FastifyInstance>();
    void fastify.register((scope, _options, done) => {
      scope.setErrorHandler(sendStatus);
      for (const path of ['/api/v1/pods', '/api/v1/namespaces/:namespace/pods']) scope.get(path, { config: { description: { summary: 'The pods there are: none.' } } }, (request, reply) => this.#list(request, reply));
      done();
    });
  }

  async #list(request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
    if (isTrue(queryValue(request.query, 'watch'))) throw routeNotFound();
    const resourceVersion = String(await this.store.currentVersion());
    return reply.type('application/json').send({ kind: 'PodList', apiVersion: 'v1', metadata: { resourceVersion }, items: [] });
  }
}
