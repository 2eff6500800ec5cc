import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { negotiate, presentObject } from '@corral/api-machinery';
import { systemClock } from '@corral/base';
import { apiPath, virtualMachines, type KindDefinition, type KubeObject, type VirtualMachine } from '@corral/contracts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { queryValue, type RouteOptions } from '../../platform/http/http-server.ts';
import { registerObjectRoutes, sendContent } from '../../platform/http/object-routes.ts';
import { Hibernations } from './hibernations.ts';

const MACHINE: KindDefinition = virtualMachines;
const PATH = `${apiPath(MACHINE).replace(MACHINE.plural, `namespaces/:namespace/${MACHINE.plural}`)}/:name`;

type Request = FastifyRequest<{ Params: { namespace: string; name: string } }>;

/** `POST …/virtualmachines/NAME/hibernate` and `…/wake`: the machine as it is once that was written down; its conditions tell the rest. */
@Injectable()
export class HibernationRoutes implements OnModuleInit {
  constructor(
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
    @Inject(Hibernations) private readonly hibernations: Hibernations,
  ) {}

  onModuleInit(): void {
    registerObjectRoutes(this.host, (scope) => {
      const described = (summary: string) => ({ config: { description: { summary, code: 202 } } satisfies RouteOptions });
      scope.post(`${PATH}/hibernate`, described('Writes the machine out whole and ends its process; it wakes up when somebody uses it.'), (request: Request, reply) =>
        this.#answer(request, reply, this.hibernations.hibernate(request.params.namespace, request.params.name)),
      );
      scope.post(`${PATH}/wake`, described('Wakes a machine that hibernates; 409 when its node has no room.'), (request: Request, reply) =>
        this.#answer(request, reply, this.hibernations.wake(request.params.namespace, request.params.name)),
      );
    });
  }

  async #answer(request: Request, reply: FastifyReply, changed: Promise<VirtualMachine>): Promise<unknown> {
    const representation = negotiate(request.headers.accept, queryValue(request.query, 'includeObject'));
    return sendContent(reply, 202, presentObject(MACHINE, (await changed) as unknown as KubeObject, representation, systemClock.now()), representation.encoding);
  }
}
