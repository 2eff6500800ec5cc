import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { malformed, objectConflict } from '@corral/api-machinery';
import { apiPath, virtualMachines, type KindDefinition, type KubeObject, type Status, type VirtualMachine } from '@corral/contracts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { RouteOptions } from '../../platform/http/http-server.ts';
import { readObjectBody } from '../../platform/http/object-body.ts';
import { parseBody } from '../../platform/http/parsed-body.ts';
import { registerObjectRoutes, sendContent } from '../../platform/http/object-routes.ts';
import { Resources } from '../resources/resources.service.ts';
import { writeOptions } from '../resources/write-request.ts';

const MACHINE: KindDefinition = virtualMachines;
const PATH = `${apiPath(MACHINE).replace(MACHINE.plural, `namespaces/:namespace/${MACHINE.plural}`)}/:name/binding`;

/** Source: k8s.io/api core/v1, Binding. */
const Binding = z.object({
  apiVersion: z.literal('v1').optional(),
  kind: z.literal('Binding').optional(),
  metadata: z.looseObject({ name: z.string().optional(), namespace: z.string().optional(), uid: z.string().optional(), resourceVersion: z.string().optional() }).optional(),
  target: z.looseObject({ apiVersion: z.literal('v1').optional(), kind: z.literal('Node').optional(), name: z.string().min(1) }),
});
type Binding = z.output<typeof Binding>;

type Request = FastifyRequest<{ Params: { namespace: string; name: string }; Body: Buffer | undefined }>;

/** `POST …/virtualmachines/NAME/binding`: how a scheduler of one's own says where a machine goes. Source: k8s.io/kubernetes/pkg/registry/core/pod/storage, BindingREST. */
@Injectable()
export class BindingRoutes implements OnModuleInit {
  constructor(
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
    @Inject(Resources) private readonly resources: Resources,
  ) {}

  onModuleInit(): void {
    registerObjectRoutes(this.host, (scope) => {
      const description = { summary: 'Binds the machine to a node, unless it is bound: 409 then, and when the node has no room.', body: Binding, code: 201 };
      scope.post(PATH, { config: { description } satisfies RouteOptions }, (request: Request, reply) => this.#bind(request, reply));
    });
  }

  async #bind(request: Request, reply: FastifyReply): Promise<unknown> {
    const { namespace, name } = request.params;
    const binding = parseBody(Binding, { group: '', kind: 'Binding' }, readObjectBody(request.body, request.headers['content-type']).value);
    if (binding.metadata?.name && binding.metadata.name !== name) throw malformed('name in URL does not match name in Binding object');
    if (binding.metadata?.namespace && binding.metadata.namespace !== namespace) throw malformed('the namespace of the provided object does not match the namespace sent on the request');
    await this.resources.patch(MACHINE, { namespace, name }, (current) => bound(current, binding), writeOptions(request, reply));
    const status: Status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 };
    return sendContent(reply, 201, status, 'json');
  }
}

/** The machine as the binding has it; refuses what was decided about another version of it, or by another scheduler already. */
function bound(current: KubeObject, { metadata = {}, target }: Binding): KubeObject {
  const { spec, metadata: own } = current as VirtualMachine;
  const refuse = (why: string): Error => objectConflict(MACHINE, own.name, why);
  if (metadata.uid && metadata.uid !== own.uid) throw refuse(`Precondition failed: UID in precondition: ${metadata.uid}, UID in object meta: ${own.uid}`);
  if (metadata.resourceVersion && metadata.resourceVersion !== own.resourceVersion) {
    throw refuse(`Precondition failed: ResourceVersion in precondition: ${metadata.resourceVersion}, ResourceVersion in object meta: ${own.resourceVersion}`);
  }
  if (own.deletionTimestamp !== undefined) throw refuse(`virtualmachine ${own.name} is being deleted, cannot be assigned to a host`);
  if (spec?.nodeName !== undefined) throw refuse(`virtualmachine ${own.name} is already assigned to node "${spec.nodeName}"`);
  return { ...current, spec: { ...spec, nodeName: target.name } } as KubeObject;
}
