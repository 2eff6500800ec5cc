import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { systemClock } from '@corral/base';
import {
  decodeBody, isRecord, isTrue, malformed, mediaTypeOf, negotiate, objectConflict, objectNotFound, presentList, presentObject, readListRequest, readWatchRequest,
  Selection, type Query,
} from '@corral/api-machinery';
import { apiPath, virtualMachines, type Status, type VirtualMachine } from '@corral/contracts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { queryValue, type RouteOptions } from '../../platform/http/http-server.ts';
import { registerObjectRoutes, sendContent } from '../../platform/http/object-routes.ts';
import { RequestMetrics } from '../../platform/telemetry/request-metrics.ts';
import { readDryRun } from '../resources/write-request.ts';
import { Moves, type MoveRequest } from '../nodes/moves.ts';
import { Resources } from '../resources/resources.service.ts';
import { streamWatch } from '../resources/watch-stream.ts';
import { Watches } from '../resources/watches.ts';
import { hasPod, podOf } from './pod-of.ts';
import { MachinesOfPods, POD_KIND, podEvents, podsAmong } from './pod.selection.ts';

type Params = { namespace?: string; name?: string };
type Typed = { Params: Params; Body: Buffer | undefined };
type Request = FastifyRequest<Typed>;
const described = (summary: string, code = 200) => ({ config: { description: { summary, code } } satisfies RouteOptions });

const COLLECTION = '/api/v1/namespaces/:namespace/pods';
const EVERYTHING = { labelSelector: undefined, fieldSelector: undefined, limit: undefined, continueToken: undefined, resourceVersion: undefined, match: undefined };

/**
 * Machines as Pods, for tools that know nothing else: read, and sent away. What is asked of a Pod that a machine does not
 * do is not served. Source: k8s.io/api core/v1 Pod, policy/v1 Eviction.
 */
@Injectable()
export class PodRoutes implements OnModuleInit {
  constructor(
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
    @Inject(Resources) private readonly resources: Resources,
    @Inject(Watches) private readonly watches: Watches,
    @Inject(RequestMetrics) private readonly metrics: RequestMetrics,
    @Inject(Moves) private readonly moves: Moves,
  ) {}

  onModuleInit(): void {
    registerObjectRoutes(this.host, (scope) => {
      const list = (request: Request, reply: FastifyReply) => this.#list(request, reply);
      for (const path of [apiPath(POD_KIND), COLLECTION]) {
        scope.get<Typed>(path, described('Machines as Pods; with watch=true, their changes.'), list);
      }
      for (const path of [`${COLLECTION}/:name`, `${COLLECTION}/:name/status`]) {
        scope.get<Typed>(path, described('The machine of this name as a Pod.'), (request, reply) => this.#get(request, reply));
      }
      scope.delete<Typed>(`${COLLECTION}/:name`, described('Takes the machine from its node, whatever budgets say; it goes on where there is room.'), (request, reply) => this.#delete(request, reply));
      scope.post<Typed>(`${COLLECTION}/:name/eviction`, described('Takes the machine from its node if disruption budgets allow it: 201, or 429 to ask again later.', 201), (request, reply) =>
        this.#evict(request, reply),
      );
    });
  }

  async #list(request: Request, reply: FastifyReply): Promise<unknown> {
    const query = queryOf(request);
    const { namespace } = request.params;
    const representation = negotiate(request.headers.accept, query('includeObject'));
    if (isTrue(query('watch'))) {
      const watch = readWatchRequest(query);
      const selection = new Selection(POD_KIND, { namespace, labelSelector: watch.labelSelector, fieldSelector: watch.fieldSelector });
      await streamWatch(this.#podWatches(selection), this.metrics, selection, watch, representation, request, reply);
      return reply;
    }
    const wanted = readListRequest(query);
    const selection = new Selection(POD_KIND, { namespace, labelSelector: wanted.labelSelector, fieldSelector: wanted.fieldSelector });
    const page = await this.resources.list(virtualMachines, namespace, { ...EVERYTHING, resourceVersion: wanted.resourceVersion, match: wanted.match });
    const metadata = { resourceVersion: String(page.resourceVersion) };
    return sendContent(reply, 200, presentList(POD_KIND, podsAmong(page.objects, selection), metadata, representation, systemClock.now()), representation.encoding);
  }

  /** The watch of machines, told as Pods. */
  #podWatches(selection: Selection): Pick<Watches, 'watch'> {
    const { watches } = this;
    return {
      async *watch(_selection, options) {
        const machines = new MachinesOfPods(selection);
        for await (const item of watches.watch(machines, options)) {
          if (item.type === 'Event') for (const event of podEvents(item.event, machines.previous.get(item.event))) yield { type: 'Event', event };
          else yield item;
        }
      },
    };
  }

  async #get(request: Request, reply: FastifyReply): Promise<unknown> {
    const representation = negotiate(request.headers.accept, queryOf(request)('includeObject'));
    return sendContent(reply, 200, presentObject(POD_KIND, podOf(await this.#machine(request)), representation, systemClock.now()), representation.encoding);
  }

  /** Takes the machine from its node whatever budgets say, as deleting a Pod does; the machine itself is not deleted. */
  async #delete(request: Request, reply: FastifyReply): Promise<unknown> {
    const vm = await this.#machine(request);
    await this.#send(vm, request, bodyOf(request), { reason: 'Evicted', budgets: 'Ignored' });
    return sendContent(reply, 200, podOf(vm), 'json');
  }

  async #evict(request: Request, reply: FastifyReply): Promise<unknown> {
    const vm = await this.#machine(request);
    const { metadata, deleteOptions } = bodyOf(request);
    const sent = isRecord(metadata) ? metadata['name'] : undefined;
    if (sent !== undefined && sent !== vm.metadata.name) throw malformed('name in URL does not match name in Eviction object');
    await this.#send(vm, request, isRecord(deleteOptions) ? deleteOptions : {}, { reason: 'Evicted', budgets: 'Respected' });
    const status: Status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 };
    return sendContent(reply, 201, status, 'json');
  }

  async #send(vm: VirtualMachine, request: Request, options: Readonly<Record<string, unknown>>, how: Omit<MoveRequest, 'isDryRun'>): Promise<void> {
    const { preconditions, dryRun } = options;
    const uid = isRecord(preconditions) ? preconditions['uid'] : undefined;
    if (uid !== undefined && uid !== podOf(vm).metadata.uid) throw objectConflict(POD_KIND, vm.metadata.name, `Precondition failed: UID in precondition: ${String(uid)}, UID in object meta: ${podOf(vm).metadata.uid}`);
    // Whoever mistypes a dry run did not mean to move anything.
    const isDryRun = [queryOf(request)('dryRun'), ...(Array.isArray(dryRun) ? dryRun : [dryRun])].map((text) => readDryRun('DeleteOptions', text === undefined || text === null ? undefined : String(text))).includes(true);
    await this.moves.request(vm.metadata.namespace ?? '', vm.metadata.name, { ...how, isDryRun });
  }

  async #machine({ params }: Request): Promise<VirtualMachine> {
    const { namespace = '', name = '' } = params;
    const vm = (await this.resources.client.get(virtualMachines, namespace, name)) as VirtualMachine | undefined;
    if (!vm || !hasPod(vm)) throw objectNotFound(POD_KIND, name);
    return vm;
  }
}

const queryOf = (request: FastifyRequest): Query => (name) => queryValue(request.query, name);

function bodyOf({ body, headers }: Request): Readonly<Record<string, unknown>> {
  if (!body || body.length === 0) return {};
  const { value } = decodeBody(body.toString('utf8'), mediaTypeOf(headers['content-type']));
  if (!isRecord(value)) throw malformed('the body is no object');
  return value;
}
