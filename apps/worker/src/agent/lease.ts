import { type Clock } from '@corral/base';
import { leases, NODE_LEASE_NAMESPACE, type ObjectClient, toKubeMicroTime } from '@corral/contracts';

export const LEASE_RENEW_MS = 10_000;
export const LEASE_DURATION_SECONDS = 40;

/** The node's sign of life. Source: k8s.io/component-helpers/apimachinery/lease. */
export class NodeLease {
  readonly #client: ObjectClient;
  readonly #nodeName: string;
  readonly #clock: Clock;

  constructor({
    client,
    nodeName,
    clock,
  }: {
    readonly client: ObjectClient;
    readonly nodeName: string;
    readonly clock: Clock;
  }) {
    this.#client = client;
    this.#nodeName = nodeName;
    this.#clock = clock;
  }

  async renew(): Promise<void> {
    const renewTime = toKubeMicroTime(this.#clock.now());
    const known = await this.#client.get(leases, NODE_LEASE_NAMESPACE, this.#nodeName);
    const spec = { holderIdentity: this.#nodeName, leaseDurationSeconds: LEASE_DURATION_SECONDS, renewTime };
    if (known) await this.#client.replace(leases, { ...known, spec: { ...known.spec, ...spec } });
    else
      await this.#client.create(leases, {
        metadata: { name: this.#nodeName, namespace: NODE_LEASE_NAMESPACE },
        spec: { ...spec, acquireTime: renewTime },
      });
  }
}
