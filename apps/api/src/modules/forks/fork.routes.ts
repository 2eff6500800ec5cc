import { randomUUID } from 'node:crypto';
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { requestAttributes, type Write } from '@corral/api-machinery';
import { systemClock } from '@corral/base';
import {
  apiPath, Problem, toStatus, virtualMachines, virtualMachineSnapshots,
  type ForkItem, type ForkResult, type KindDefinition, type KubeObject, type VirtualMachine,
} from '@corral/contracts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Authorizer } from '../../platform/auth/authorization.ts';
import type { RouteOptions } from '../../platform/http/http-server.ts';
import { readObjectBody } from '../../platform/http/object-body.ts';
import { registerObjectRoutes, sendContent } from '../../platform/http/object-routes.ts';
import { parseBody } from '../../platform/http/parsed-body.ts';
import { fingerprintOf, readKey } from '../idempotency/idempotency-key.ts';
import { Idempotency, type WrittenBeside } from '../idempotency/idempotency.ts';
import { ChargedStore } from '../quota/charged-store.ts';
import { Resources } from '../resources/resources.service.ts';
import type { WriteOptions } from '../resources/write-options.ts';
import { writeOptions } from '../resources/write-request.ts';
import { forkObstacle, forkOf, momentOf, storedSleep } from './fork-moment.ts';
import { MomentTaking } from './moment-taking.ts';
import { batchOf, ForkRequest, namesOf, wishOf } from './fork-request.ts';

const MACHINE: KindDefinition = virtualMachines;
const MOMENT: KindDefinition = virtualMachineSnapshots;
const COLLECTION = apiPath(MACHINE).replace(MACHINE.plural, `namespaces/:namespace/${MACHINE.plural}`);
/** Of one request: others want to write too. */
const AT_ONCE = 16;

type Request = FastifyRequest<{ Params: { namespace: string; name: string }; Body: Buffer | undefined }>;

/** One request to fork, as all its machines are made. */
interface Forking {
  readonly source: VirtualMachine;
  readonly wish: ForkRequest;
  readonly moment: string;
  readonly options: WriteOptions;
  /** Does once what is named, however often the request is sent with its Idempotency-Key. */
  once(what: string, create: (beside: WrittenBeside) => Promise<KubeObject>): Promise<{ readonly object: KubeObject; readonly isReplayed: boolean }>;
}

/**
 * `POST …/virtualmachines/NAME/fork`: machines that go on from one moment of a running machine, which runs on. Each is
 * created for itself, by the rules of every machine; the answer says what became of each.
 */
@Injectable()
export class ForkRoutes implements OnModuleInit {
  constructor(
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
    @Inject(Resources) private readonly resources: Resources,
    @Inject(ChargedStore) private readonly store: ChargedStore,
    @Inject(Idempotency) private readonly idempotency: Idempotency,
    @Inject(Authorizer) private readonly authorizer: Authorizer,
    @Inject(MomentTaking) private readonly taking: MomentTaking,
  ) {}

  onModuleInit(): void {
    registerObjectRoutes(this.host, (scope) => {
      const description = {
        summary: 'Makes machines that go on from where this one is now, memory and disk, while it runs on: 201 when all were created, 207 when some were, each with its own code.',
        body: ForkRequest,
        code: 201,
      };
      scope.post(`${COLLECTION}/:name/fork`, { config: { description } satisfies RouteOptions }, (request: Request, reply) => this.#fork(request, reply));
    });
  }

  async #fork(request: Request, reply: FastifyReply): Promise<unknown> {
    const { namespace, name } = request.params;
    const collection = apiPath(MACHINE, namespace);
    // A fork is a machine: whoever makes one must be allowed to.
    this.authorizer.require(request.user, requestAttributes('POST', collection, () => undefined));
    const sent = request.body && request.body.length > 0 ? readObjectBody(request.body, request.headers['content-type']).value : {};
    const wish = parseBody(ForkRequest, { group: 'corral.dev', kind: 'ForkRequest' }, sent);
    const options = writeOptions(request, reply);
    const key = readKey(request.headers['idempotency-key']);
    const source = (await this.resources.get(MACHINE, { namespace, name })) as VirtualMachine;
    const batch = batchOf(key === undefined ? undefined : [request.user.name, key, namespace, name]);
    const fingerprint = fingerprintOf(request.method, request.url, request.headers['content-type'], request.body);
    const forking: Forking = {
      source, wish, options,
      moment: storedSleep(source) ?? `fork-${name.slice(0, 50)}-${batch}`,
      once: (what, create) =>
        key === undefined || options.dryRun
          ? create(() => []).then((object) => ({ object, isReplayed: false }))
          : this.idempotency.once({ user: request.user.name, key: `${key}/${what}`, fingerprint }, create),
    };
    const result = await this.#make(forking, namesOf(wish, name, batch));
    return sendContent(reply, result.created === result.requested ? 201 : 207, result, 'json');
  }

  async #make(forking: Forking, names: readonly string[]): Promise<ForkResult> {
    const { source, moment, options } = forking;
    const { name, namespace = '' } = source.metadata;
    const isStored = storedSleep(source) !== undefined;
    const refusal = options.dryRun || isStored ? undefined : await this.#freeze(forking);
    const items: ForkItem[] = [];
    for (let at = 0; at < names.length; at += AT_ONCE) {
      items.push(...(await Promise.all(names.slice(at, at + AT_ONCE).map((one) => this.#makeOne(forking, one, refusal)))));
    }
    const created = items.filter(({ code }) => code === 201).length;
    if (created === 0 && !options.dryRun && !isStored) await this.#forget(namespace, moment);
    return { apiVersion: 'corral.dev/v1', kind: 'ForkResult', metadata: { name, namespace }, moment, requested: names.length, created, items };
  }

  /** The moment, which every fork of this request shares, held by the source’s node; otherwise why no fork can go on from it. */
  async #freeze({ source, moment, once }: Forking): Promise<Problem | undefined> {
    const { namespace = '' } = source.metadata;
    try {
      await once('moment', async (beside) => {
        const obstacle = forkObstacle(source);
        if (obstacle) throw new Problem('vm.not-running', obstacle.message, { details: { name: source.metadata.name, group: MACHINE.group, kind: MACHINE.plural } });
        const object = momentOf(namespace, forkOf(source, moment), { uid: randomUUID(), now: systemClock.now() }) as KubeObject;
        const writes: readonly Write[] = [...beside(MOMENT, object), { type: 'Create', kind: MOMENT, object }];
        return (await this.store.transact(writes)).at(-1) ?? object;
      });
      await this.taking.untilHeld(namespace, moment);
      return undefined;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.code === 'fork.failed') return error;
      const isOver = error.code === 'object.not-found' || error.code === 'fork.moment-gone';
      if (isOver) return new Problem('fork.moment-gone', 'the moment that was asked for is over: what was not forked then cannot be any more. Fork again with another Idempotency-Key');
      throw error;
    }
  }

  async #makeOne({ source, wish, moment, options, once }: Forking, name: string, refusal: Problem | undefined): Promise<ForkItem> {
    try {
      const { object } = await once(name, (beside) => {
        if (refusal) throw refusal;
        const value = wishOf(source, name, options.dryRun ? undefined : moment, wish);
        return this.resources.create(MACHINE, { value, duplicates: [] }, { namespace: source.metadata.namespace }, { ...options, beside });
      });
      return { name, code: 201, object: object as VirtualMachine };
    } catch (error) {
      const status = toStatus(error);
      return { name, code: status.code, status };
    }
  }

  async #forget(namespace: string, name: string): Promise<void> {
    await this.resources.client.delete(virtualMachineSnapshots, namespace, name).catch((error: unknown) => {
      if (!(error instanceof Problem && error.code === 'object.not-found')) throw error;
    });
  }
}
