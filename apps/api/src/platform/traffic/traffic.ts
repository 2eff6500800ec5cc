import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import type { RequestAttributes } from '@corral/api-machinery';
import { Problem } from '@corral/contracts';
import { FairQueue, TokenBucket, type Allowance } from '@corral/quota';
import { Counter, Gauge } from 'prom-client';
import { ADMIN_GROUP, NODES_GROUP, tenantOf, type User } from '../auth/user.ts';
import { API_CONFIG, type ApiConfig } from '../config/api-config.ts';
import { RequestMetrics } from '../telemetry/request-metrics.ts';

/** A request over its rate is held back this long at most before it is told to come back: clients that never wait are slowed, not fed refusals. */
const MAX_DELAY_MS = 1_000;
/** Buckets nobody misses are dropped when there are this many. */
const MAX_BUCKETS = 10_000;

/** Gives a seat back; more than once does nothing. */
export type LeaveSeat = () => void;

/** Which share of the server a request is carried out in. */
type Lane = 'Exempt' | 'Nodes' | 'Tenants';

/**
 * How much of this process each user and tenant gets: a rate per user, and a number of requests at once shared fairly
 * between tenants. Administrators and health checks are exempt, nodes have seats of their own, and what lasts by
 * nature (watches, waits, guests' data) takes none.
 */
@Injectable()
export class Traffic {
  readonly #config: ApiConfig['traffic'];
  readonly #buckets = new Map<string, TokenBucket>();
  readonly #queues: Readonly<Record<Exclude<Lane, 'Exempt'>, FairQueue>>;
  readonly #rejected: Counter<'reason'>;

  constructor(@Inject(API_CONFIG) { traffic }: ApiConfig, @Inject(RequestMetrics) { registry }: RequestMetrics) {
    this.#config = traffic;
    const { seats, queueLength } = traffic;
    // A quarter is always left to others.
    const seatsPerFlow = Math.max(1, Math.floor(seats * 0.75));
    this.#queues = { Nodes: new FairQueue({ seats, seatsPerFlow: seats, queueLength: 10_000 }), Tenants: new FairQueue({ seats, seatsPerFlow, queueLength }) };
    this.#rejected = new Counter({ name: 'apiserver_flowcontrol_rejected_requests_total', help: 'Requests told to come back, by why.', labelNames: ['reason'], registers: [registry] });
    const queues = this.#queues;
    new Gauge({
      name: 'apiserver_flowcontrol_current_inqueue_requests', help: 'Requests that wait for a seat.', registers: [registry],
      collect() {
        this.set(queues.Nodes.waiting + queues.Tenants.waiting);
      },
    });
  }

  /** Counts a request against its user's rate, of service accounts against their namespace's: undefined for those without one. Refuses with `request.too-many`. */
  allow(user: User, attributes: RequestAttributes): Allowance | undefined {
    if (this.#config.perSecond === 0 || laneOf(user, attributes) !== 'Tenants') return undefined;
    const now = performance.now();
    const allowance = this.#bucketOf(tenantOf(user), now).take(now, MAX_DELAY_MS);
    if (!allowance.isTaken) throw this.#refusal('rate', `${tenantOf(user)} sends more than ${this.#config.perSecond} requests a second`, allowance.delayMs);
    return allowance;
  }

  /** Counts as `allow` does, and holds back what is a little too fast. */
  async pace(user: User, attributes: RequestAttributes): Promise<Allowance | undefined> {
    const allowance = this.allow(user, attributes);
    if (allowance && allowance.delayMs > 0) await sleep(allowance.delayMs);
    return allowance;
  }

  /** `RateLimit-Policy` and `RateLimit`. Source: draft-ietf-httpapi-ratelimit-headers-10. */
  headersOf({ remaining, fullInMs }: Allowance): { readonly policy: string; readonly limit: string } {
    const { burst, perSecond } = this.#config;
    return { policy: `"user";q=${burst};w=${Math.ceil(burst / perSecond)}`, limit: `"user";r=${remaining};t=${Math.ceil(fullInMs / 1000)}` };
  }

  /** Takes a seat; waits for one when all are taken. Undefined for what needs none. Refuses with `request.too-many`. */
  seat(user: User, attributes: RequestAttributes, signal: (onGone: () => void) => void): LeaveSeat | Promise<LeaveSeat> | undefined {
    const lane = laneOf(user, attributes);
    if (lane === 'Exempt' || lastsByNature(attributes)) return undefined;
    const queue = this.#queues[lane];
    const flow = attributes.isResource && attributes.namespace !== '' ? `namespace ${attributes.namespace}` : tenantOf(user);
    let isLeft = false;
    const leave = (): void => {
      if (isLeft) return;
      isLeft = true;
      queue.leave(flow);
    };
    const { promise, resolve, reject } = Promise.withResolvers<LeaveSeat>();
    const onSeated = (): void => resolve(leave);
    const outcome = queue.enter(flow, onSeated);
    if (outcome === 'Seated') return leave;
    if (outcome === 'Full') throw this.#refusal('queue-full', `too many requests of ${flow} are waiting`, 1_000);
    const giveUp = (why: () => Problem): void => {
      if (queue.giveUp(flow, onSeated)) reject(why());
    };
    const timer = setTimeout(() => giveUp(() => this.#refusal('time-out', `no seat for ${flow} became free in time`, 1_000)), this.#config.queueMs);
    signal(() => giveUp(() => new Problem('request.too-many', 'the caller has gone')));
    return promise.finally(() => clearTimeout(timer));
  }

  #bucketOf(user: string, now: number): TokenBucket {
    const known = this.#buckets.get(user);
    if (known) return known;
    if (this.#buckets.size >= MAX_BUCKETS) {
      for (const [name, bucket] of this.#buckets) if (bucket.isFull(now)) this.#buckets.delete(name);
    }
    const bucket = new TokenBucket(this.#config, now);
    this.#buckets.set(user, bucket);
    return bucket;
  }

  #refusal(reason: string, why: string, delayMs: number): Problem {
    this.#rejected.inc({ reason });
    return new Problem('request.too-many', `${why}; try again later`, { details: { retryAfterSeconds: Math.max(1, Math.ceil(delayMs / 1000)) } });
  }
}

function laneOf({ groups, via }: User, attributes: RequestAttributes): Lane {
  if (groups.includes(ADMIN_GROUP)) return 'Exempt';
  if (groups.includes(NODES_GROUP)) return 'Nodes';
  // Nobody: health checks, signing in and the console's files.
  return via === 'Nothing' && !attributes.isResource ? 'Exempt' : 'Tenants';
}

/** A watch, a wait, or a guest's data: it takes as long as it takes. */
function lastsByNature(attributes: RequestAttributes): boolean {
  return attributes.isResource && (attributes.verb === 'watch' || !['', 'status', 'scale', 'binding', 'eviction', 'token', 'approval'].includes(attributes.subresource));
}
