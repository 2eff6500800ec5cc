import { Inject, Injectable, Optional } from '@nestjs/common';
import { systemClock } from '@corral/base';
import { findCondition, leases, NODE_LEASE_NAMESPACE, nodes, Problem, virtualMachines, type Lease, type Node, type ObjectClient, type ObjectKey, type VirtualMachine } from '@corral/contracts';
import { EventRecorder, systemTimers, type ReconcileResult, type Timers } from '@corral/reconcile';
import { API_CONFIG, type ApiConfig } from '../../platform/config/api-config.ts';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { Informers } from '../controllers/informers.ts';
import { after, DONE, on, Reconcilers, type Reconciler, type Trigger } from '../controllers/reconcilers.ts';
import { EvictionBrake, EvictionRate, type EvictionMode } from './eviction-brake.ts';
import { graceMsOf } from '../../platform/auth/node-lease.ts';
import { hasLeft, lostMachineStatus, returnedNodeStatus, silentNodeStatus } from './node-health.ts';
import { NodeMetrics } from './node-metrics.ts';
import { healthTaints, UNREACHABLE_TAINT, type NodeHealth } from './node-taints.ts';

/** A silent node is looked at again this often: whether it may be emptied depends on the others. */
const SILENT_RECHECK_MS = 5_000;

interface SeenLease {
  readonly renewal: string;
  /** When it was first seen, on the monotonic clock. */
  readonly at: number;
  /** Whether another renewal was seen before: then somebody is alive. The first one seen may be an old one. */
  readonly isRenewed: boolean;
  readonly graceMs: number;
}

/**
 * Watches over Leases. Ages are counted from when this process saw a Lease change, not by what the Lease says: clocks of
 * nodes may be wrong, and after a restart of the API every node has its full grace.
 */
@Injectable()
export class NodeReconciler implements Reconciler {
  readonly name = 'nodes';
  readonly triggers: readonly Trigger[] = [
    on(nodes, (key, node) => {
      if (!node) this.#leases.delete(key.name);
      return [key];
    }),
    on(leases, ({ namespace, name }) => (namespace === NODE_LEASE_NAMESPACE && this.#hear(name) ? [{ namespace: '', name }] : [])),
    on(virtualMachines, (_key, vm) => (vm?.spec?.nodeName === undefined ? [] : [{ namespace: '', name: vm.spec.nodeName }])),
  ];
  readonly #leases = new Map<string, SeenLease>();
  readonly #boundTo: (nodeName: string) => readonly VirtualMachine[];
  readonly #rate: EvictionRate;
  readonly #brake = new EvictionBrake();

  constructor(
    @Inject(OBJECT_CLIENT) private readonly objects: ObjectClient,
    @Inject(Informers) private readonly informers: Informers,
    @Inject(EventRecorder) private readonly events: EventRecorder,
    @Inject(NodeMetrics) private readonly metrics: NodeMetrics,
    @Inject(API_CONFIG) config: Pick<ApiConfig, 'evictedNodesPerMinute'>,
    @Inject(Reconcilers) reconcilers: Reconcilers,
    @Optional() private readonly timers: Pick<Timers, 'now'> = systemTimers,
  ) {
    this.#boundTo = informers.of(virtualMachines).index(({ spec }) => spec?.nodeName);
    this.#rate = new EvictionRate(config.evictedNodesPerMinute);
    reconcilers.add(this);
  }

  async reconcile({ name }: ObjectKey): Promise<ReconcileResult> {
    const node = this.informers.of(nodes).get(undefined, name);
    if (!node) {
      this.#leases.delete(name);
      return DONE;
    }
    const lease = this.#see(name);
    const ageMs = this.timers.now() - lease.at;
    if (ageMs < lease.graceMs) {
      // Whoever comes back may release it for the others; with nobody silent left there would be no other look.
      if (this.#brake.isOn) this.#observeMode();
      if (lease.isRenewed) await this.#keepTaints(await this.#reportReturned(node));
      return after(lease.graceMs - ageMs);
    }
    const silent = await this.#reportSilent(node);
    const { health, recheckMs, takenAt } = this.#mayEvict(silent);
    try {
      await this.#keepTaints(silent, health);
    } catch (error) {
      // Only what was refused has surely let nobody pass.
      if (takenAt !== undefined && error instanceof Problem && error.code !== 'dependency.unavailable') this.#rate.giveBack(takenAt);
      throw error;
    }
    await this.#reportMachinesLost(name);
    return after(recheckMs);
  }

  /** One node passes at a time, and none while most are missing. A node that has passed is held back again when that changes. */
  #mayEvict(node: Node): { readonly health: NodeHealth; readonly recheckMs: number; readonly takenAt?: number } {
    const mode = this.#observeMode();
    const { graceMs } = this.#see(node.metadata.name);
    const recheckMs = Math.min(SILENT_RECHECK_MS, graceMs);
    if (mode === 'Stopped') return { health: 'Unreachable', recheckMs };
    const hasPassed = node.spec?.taints?.some(({ key, effect }) => key === UNREACHABLE_TAINT && effect === 'NoExecute');
    if (hasPassed) return { health: 'Evicting', recheckMs };
    const now = this.timers.now();
    const waitMs = this.#brake.waitMs(graceMs, now) || this.#rate.take(now);
    return waitMs === 0 ? { health: 'Evicting', recheckMs, takenAt: now } : { health: 'Unreachable', recheckMs: Math.min(recheckMs, waitMs) };
  }

  #observeMode(): EvictionMode {
    const now = this.timers.now();
    const pulses = this.informers.of(nodes).list().map(({ metadata: { name }, status }) => {
      const { at, graceMs } = this.#see(name);
      return { name, isMissing: now - at >= graceMs / 2, hasLeft: hasLeft(status) };
    });
    const mode = this.#brake.observe(pulses, now);
    this.metrics.evictionsStopped.set(mode === 'Stopped' ? 1 : 0);
    return mode;
  }

  /** Takes note of a renewal; whether it calls for a look. Of a node that was heard of in time it only puts the next one off. */
  #hear(name: string): boolean {
    const before = this.#leases.get(name);
    const seen = this.#see(name);
    return !before?.isRenewed || before.graceMs !== seen.graceMs || this.timers.now() - before.at >= before.graceMs;
  }

  #see(name: string): SeenLease {
    const lease: Lease | undefined = this.informers.of(leases).get(NODE_LEASE_NAMESPACE, name);
    const renewal = lease?.spec?.renewTime ?? '';
    const before = this.#leases.get(name);
    if (before?.renewal === renewal) return before;
    const seen = { renewal, at: this.timers.now(), isRenewed: before !== undefined, graceMs: graceMsOf(lease) };
    this.#leases.set(name, seen);
    return seen;
  }

  /** What the scheduler and the evictions go by. */
  async #keepTaints(node: Node, health: NodeHealth = findCondition(node.status?.conditions, 'Ready')?.status === 'False' ? 'NotReady' : 'Ready'): Promise<void> {
    const taints = healthTaints(node.spec?.taints, health, systemClock.now());
    if (!taints) return;
    const written = await this.objects.replace(nodes, { ...node, spec: { ...node.spec, taints } });
    this.informers.of(nodes).observe(written);
    if (health === 'Evicting') this.events.record(written, 'Warning', 'EvictingMachines', 'It cannot be reached; its machines are to be restarted elsewhere.');
    const wasEvicting = node.spec?.taints?.some(({ key, effect }) => key === UNREACHABLE_TAINT && effect === 'NoExecute');
    if (health === 'Unreachable' && wasEvicting) this.events.record(written, 'Warning', 'EvictionsStopped', 'Most nodes cannot be reached: nothing is evicted until some answer.');
  }

  async #reportReturned(node: Node): Promise<Node> {
    const status = returnedNodeStatus(node.status, systemClock.now());
    if (!status) return node;
    const written = await this.objects.replaceStatus(nodes, { ...node, status });
    this.informers.of(nodes).observe(written);
    this.events.record(written, 'Normal', 'NodeReady', 'The node agent renews its Lease again.');
    return written;
  }

  async #reportSilent(node: Node): Promise<Node> {
    const status = silentNodeStatus(node.status, systemClock.now());
    if (!status) return node;
    const written = await this.objects.replaceStatus(nodes, { ...node, status });
    this.informers.of(nodes).observe(written);
    this.events.record(written, 'Warning', 'NodeNotReady', 'The node agent stopped renewing its Lease.');
    this.metrics.silent.inc();
    return written;
  }

  async #reportMachinesLost(nodeName: string): Promise<void> {
    const failures: unknown[] = [];
    for (const vm of this.#boundTo(nodeName)) {
      // One that was just written by somebody else keeps no other from being reported; it is tried again after a back-off.
      await this.#reportMachineLost(vm, nodeName).catch((error: unknown) => failures.push(error));
    }
    if (failures.length > 0) throw failures[0];
  }

  async #reportMachineLost(vm: VirtualMachine, nodeName: string): Promise<void> {
    const status = lostMachineStatus(vm.status, nodeName, systemClock.now());
    if (!status) return;
    const written = await this.objects.replaceStatus(virtualMachines, { ...vm, status });
    this.informers.of(virtualMachines).observe(written);
    this.events.record(written, 'Warning', 'NodeLost', `Node ${nodeName} does not answer.`);
  }
}
