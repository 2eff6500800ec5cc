import { Inject, Injectable, Optional } from '@nestjs/common';
import { systemClock } from '@corral/base';
import { leases, NODE_LEASE_NAMESPACE, nodes, virtualMachines, type Lease, type Node, type ObjectClient, type ObjectKey, type VirtualMachine } from '@corral/contracts';
import { EventRecorder, systemTimers, type ReconcileResult, type Timers } from '@corral/reconcile';
import { MACHINE_FINALIZER } from '@corral/vm-lifecycle';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { withoutFinalizer } from '../admission/finalizers.ts';
import { Informers } from '../controllers/informers.ts';
import { after, DONE, on, Reconcilers, type Reconciler, type Trigger } from '../controllers/reconcilers.ts';
import { lostMachineStatus, NODE_GRACE_MS, returnedNodeStatus, silentNodeStatus } from './node-health.ts';

interface SeenLease {
  readonly renewal: string;
  /** When it was first seen, on the monotonic clock. */
  readonly at: number;
  /** Whether another renewal was seen before: then somebody is alive. The first one seen may be an old one. */
  readonly isRenewed: boolean;
}

/**
 * Watches over Leases. Ages are counted from when this process saw a Lease change, not by what the Lease says: clocks of
 * nodes may be wrong, and after a restart of the API every node has its full grace.
 */
@Injectable()
export class NodeReconciler implements Reconciler {
  readonly name = 'nodes';
  readonly triggers: readonly Trigger[] = [
    on(nodes),
    on(leases, ({ namespace, name }) => (namespace === NODE_LEASE_NAMESPACE ? [{ namespace: '', name }] : [])),
    on(virtualMachines, (_key, vm) => (vm?.spec?.nodeName === undefined ? [] : [{ namespace: '', name: vm.spec.nodeName }])),
  ];
  readonly #leases = new Map<string, SeenLease>();

  constructor(
    @Inject(OBJECT_CLIENT) private readonly objects: ObjectClient,
    @Inject(Informers) private readonly informers: Informers,
    @Inject(EventRecorder) private readonly events: EventRecorder,
    @Inject(Reconcilers) reconcilers: Reconcilers,
    @Optional() private readonly timers: Pick<Timers, 'now'> = systemTimers,
  ) {
    reconcilers.add(this);
  }

  async reconcile({ name }: ObjectKey): Promise<ReconcileResult> {
    const node = this.informers.of(nodes).get(undefined, name);
    if (!node) {
      this.#leases.delete(name);
      await this.#releaseMachines(name);
      return DONE;
    }
    const lease = this.#see(name, this.informers.of(leases).get(NODE_LEASE_NAMESPACE, name));
    const ageMs = this.timers.now() - lease.at;
    if (ageMs < NODE_GRACE_MS) {
      if (lease.isRenewed) await this.#reportReturned(node);
      return after(NODE_GRACE_MS - ageMs);
    }
    await this.#reportSilent(node);
    await this.#reportMachinesLost(name);
    return DONE;
  }

  /** Nobody else would let go of machines that are deleted after their node was. */
  async #releaseMachines(nodeName: string): Promise<void> {
    for (const vm of this.#boundTo(nodeName)) {
      if (vm.metadata.deletionTimestamp === undefined || !vm.metadata.finalizers?.includes(MACHINE_FINALIZER)) continue;
      await this.objects.replace(virtualMachines, withoutFinalizer(vm, MACHINE_FINALIZER));
    }
  }

  #boundTo(nodeName: string): VirtualMachine[] {
    return this.informers
      .of(virtualMachines)
      .list()
      .filter(({ spec }) => spec?.nodeName === nodeName);
  }

  #see(name: string, lease: Lease | undefined): SeenLease {
    const renewal = lease?.spec?.renewTime ?? '';
    const before = this.#leases.get(name);
    if (before?.renewal === renewal) return before;
    const seen = { renewal, at: this.timers.now(), isRenewed: before !== undefined };
    this.#leases.set(name, seen);
    return seen;
  }

  async #reportReturned(node: Node): Promise<void> {
    const status = returnedNodeStatus(node.status, systemClock.now());
    if (!status) return;
    const written = await this.objects.replaceStatus(nodes, { ...node, status });
    this.informers.of(nodes).observe(written);
    this.events.record(written, 'Normal', 'NodeReady', 'The node agent renews its Lease again.');
  }

  async #reportSilent(node: Node): Promise<void> {
    const status = silentNodeStatus(node.status, systemClock.now());
    if (!status) return;
    const written = await this.objects.replaceStatus(nodes, { ...node, status });
    this.informers.of(nodes).observe(written);
    this.events.record(written, 'Warning', 'NodeNotReady', 'The node agent stopped renewing its Lease.');
  }

  async #reportMachinesLost(nodeName: string): Promise<void> {
    const machines = this.informers.of(virtualMachines);
    for (const vm of this.#boundTo(nodeName)) {
      const status = lostMachineStatus(vm.status, nodeName, systemClock.now());
      if (!status) continue;
      const written = await this.objects.replaceStatus(virtualMachines, { ...vm, status });
      machines.observe(written);
      this.events.record(written, 'Warning', 'NodeLost', `Node ${nodeName} does not answer.`);
    }
  }
}
