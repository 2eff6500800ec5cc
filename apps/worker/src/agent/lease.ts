import { type Clock } from '@corral/base';
import { leases, NODE_LEASE_NAMESPACE, type ObjectClient, toKubeMicroTime } from '@corral/contracts';
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
    const known = await client.get(leases, NODE_LEASE_NAMESPACE, nodeName);
    const spec = { holderIdentity: nodeName, leaseDurationSeconds: termSeconds, renewTime };
    if (known) await client.replace(leases, { ...known, spec: { ...known.spec, ...spec } });
    else
      await client.create(leases, {
        metadata: { name: nodeName, namespace: NODE_LEASE_NAMESPACE },
        spec: { ...spec, acquireTime: renewTime },
      });
    if (!this.isHeld) await reclaim();
    this.#renewedAt = askedAt;
  }
}
