import { type Clock } from '@corral/base';
import { type Lease, leases, NODE_LEASE_NAMESPACE, type ObjectClient, Problem, toKubeMicroTime } from '@corral/contracts';
import { elapsedMs, type Moment, type SteadyClock } from './steady-clock.ts';

/** Renewals per term: two may fail before a third comes too late. */
const RENEWALS_PER_TERM = 4;

export interface NodeLeaseOptions {
  readonly client: ObjectClient;
  readonly nodeName: string;
  readonly termSeconds: number;
  readonly clock: Clock;
  readonly steadyClock: SteadyClock;
  /** Before the lease counts as held again: ends what was given to others meanwhile. While it fails, the lease is not held. */
  reclaim(): Promise<void>;
}

/**
 * The node's sign of life, and its right to serve. The API takes machines from a node no sooner than one term after its last
 * renewal; the node counts the same term from before it asked, on its own clocks, and serves nothing after it. So however
 * long it was stopped or cut off, it never serves what another may have. Source: k8s.io/component-helpers, lease.
 */
export class NodeLease {
  readonly #options: NodeLeaseOptions;
  #renewedAt: Moment | undefined;
  #known: Lease | undefined;

  constructor(options: NodeLeaseOptions) {
    this.#options = options;
  }

  get renewEveryMs(): number {
    return (this.#options.termSeconds * 1000) / RENEWALS_PER_TERM;
  }

  get isHeld(): boolean {
    return this.remainingMs > 0;
  }

  /** How long it is held without another renewal. */
  get remainingMs(): number {
    const { termSeconds, steadyClock } = this.#options;
    return this.#renewedAt ? Math.max(0, termSeconds * 1000 - elapsedMs(this.#renewedAt, steadyClock.now())) : 0;
  }

  async renew(): Promise<void> {
    const { client, nodeName, termSeconds, clock, steadyClock, reclaim } = this.#options;
    const askedAt = steadyClock.now();
    const renewTime = toKubeMicroTime(clock.now());
    const spec = { holderIdentity: nodeName, leaseDurationSeconds: termSeconds, renewTime };
    const write = async (known: Lease | undefined): Promise<Lease> =>
      known
        ? client.replace(leases, { ...known, spec: { ...known.spec, ...spec } })
        : client.create(leases, {
            metadata: { name: nodeName, namespace: NODE_LEASE_NAMESPACE },
            spec: { ...spec, acquireTime: renewTime },
          });
    const read = (): Promise<Lease | undefined> => client.get(leases, NODE_LEASE_NAMESPACE, nodeName);
    const mine = this.#known;
    this.#known = undefined;
    // What was written last is what is there, unless somebody else wrote: a read before every write would double the API's work.
    this.#known = mine
      ? await write(mine).catch(async (error: unknown) => {
          if (!(error instanceof Problem && (error.code === 'object.conflict' || error.code === 'object.not-found'))) throw error;
          return write(await read());
        })
      : await write(await read());
    if (!this.isHeld) await reclaim();
    this.#renewedAt = askedAt;
  }
}
