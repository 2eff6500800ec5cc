import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { isTrue, negotiate, objectNotFound, presentList, presentObject, Selection } from '@corral/api-machinery';
import { apiPath, nodeMetrics, nodes, podMetrics, Problem, virtualMachines, type KindDefinition, type KubeObject, type Node, type ObjectClient, type VirtualMachine } from '@corral/contracts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { queryValue } from '../../platform/http/http-server.ts';
import { registerObjectRoutes, sendContent } from '../../platform/http/object-routes.ts';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { NodeUsageClient } from './node-usage.client.ts';
import { nodeMetricsOf, podMetricsOf } from './usage-objects.ts';

type Request = FastifyRequest<{ Params: { namespace?: string; name?: string } }>;

/** What nodes and machines use now, asked of the nodes: what `kubectl top` and `corral top` show. Nothing of it is stored. */
@Injectable()
export class UsageMetricsRoutes implements OnModuleInit {
  constructor(
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
    @Inject(OBJECT_CLIENT) private readonly objects: ObjectClient,
    @Inject(NodeUsageClient) private readonly usage: NodeUsageClient,
  ) {}

  onModuleInit(): void {
    const everyNode = apiPath(nodeMetrics);
    const everyPod = apiPath(podMetrics);
    const podsOfNamespace = everyPod.replace(podMetrics.plural, `namespaces/:namespace/${podMetrics.plural}`);
    registerObjectRoutes(this.host, (scope) => {
      scope.get(everyNode, async (request: Request, reply) => this.#sendList(nodeMetrics, await this.#nodes(), request, reply));
      scope.get(`${everyNode}/:name`, async (request: Request, reply) => this.#sendOne(nodeMetrics, await this.#nodes(request.params.name), request, reply));
      for (const path of [everyPod, podsOfNamespace]) {
        scope.get(path, async (request: Request, reply) => this.#sendList(podMetrics, await this.#pods(request.params.namespace), request, reply));
      }
      scope.get(`${podsOfNamespace}/:name`, async (request: Request, reply) => this.#sendOne(podMetrics, await this.#pods(request.params.namespace, request.params.name), request, reply));
    });
  }

  async #nodes(name?: string): Promise<readonly KubeObject[]> {
    const { items } = await this.objects.list(nodes, name === undefined ? {} : { fieldSelector: `metadata.name=${name}` });
    const usages = await this.usage.read(items);
    return present(items, (node: Node) => {
      const usage = usages.get(node.metadata.name);
      return usage && nodeMetricsOf(node, usage);
    });
  }

  async #pods(namespace: string | undefined, name?: string): Promise<readonly KubeObject[]> {
    const { items } = await this.objects.list(virtualMachines, {
      ...(namespace === undefined ? {} : { namespace }),
      ...(name === undefined ? {} : { fieldSelector: `metadata.name=${name}` }),
    });
    const hosts = new Set(items.map(({ status }) => status?.nodeName));
    const { items: all } = await this.objects.list(nodes);
    const usages = await this.usage.read(all.filter(({ metadata }) => hosts.has(metadata.name)));
    return present(items, (machine: VirtualMachine) => {
      const usage = usages.get(machine.status?.nodeName ?? '');
      return usage && podMetricsOf(machine, usage);
    });
  }

  #sendList(kind: KindDefinition, objects: readonly KubeObject[], request: Request, reply: FastifyReply): FastifyReply {
    const query = (name: string): string | undefined => queryValue(request.query, name);
    if (isTrue(query('watch'))) throw new Problem('method.not-allowed', 'figures are not watched: list them again');
    const selection = new Selection(kind, { namespace: request.params.namespace, labelSelector: query('labelSelector'), fieldSelector: query('fieldSelector') });
    const representation = negotiate(request.headers.accept, query('includeObject'));
    const content = presentList(kind, objects.filter((object) => selection.matches(object)), { resourceVersion: '' }, representation, new Date());
    return sendContent(reply, 200, content, representation.encoding, 'no-store');
  }

  #sendOne(kind: KindDefinition, [object]: readonly KubeObject[], request: Request, reply: FastifyReply): FastifyReply {
    const representation = negotiate(request.headers.accept);
    if (!object) throw objectNotFound(kind, request.params.name ?? '');
    return sendContent(reply, 200, presentObject(kind, object, representation, new Date()), representation.encoding, 'no-store');
  }
}

const present = <T>(items: readonly T[], metricsOf: (item: T) => KubeObject | undefined): readonly KubeObject[] => items.map(metricsOf).filter((metrics) => metrics !== undefined);
