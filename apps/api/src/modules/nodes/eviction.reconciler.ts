import { Inject, Injectable, Optional } from '@nestjs/common';
import { assertNever, systemClock } from '@corral/base';
import { nodes, virtualMachines, virtualMachineSnapshots, type Node, type ObjectClient, type ObjectKey, type VirtualMachine } from '@corral/contracts';
import { EventRecorder, systemTimers, type ReconcileResult, type Timers } from '@corral/reconcile';
import { MACHINE_FINALIZER } from '@corral/vm-lifecycle';
import { API_CONFIG, type ApiConfig } from '../../platform/config/api-config.ts';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { withoutFinalizer } from '../admission/finalizers.ts';
import { Informers } from '../controllers/informers.ts';
import { after, DONE, on, Reconcilers, type Reconciler, type Trigger } from '../controllers/reconcilers.ts';
import { NodeMetrics } from './node-metrics.ts';
import { toleranceMs, UNREACHABLE_TAINT, type Taint, type Toleration } from './node-taints.ts';
import { planRecovery } from './recovery.plan.ts';
import { Unbinding } from './unbinding.ts';

/**
 * Sends machines away from nodes they do not tolerate: from lost ones at once, to go on from their last snapshot. Time is
 * counted from when this process first saw a taint, so neither clocks nor a restart of the API make it come early.
 */
@Injectable()
export class EvictionReconciler implements Reconciler {
  readonly name = 'evictions';
  readonly triggers: readonly Trigger[] = [
    on(nodes),
    on(virtualMachines, (_key, vm) => (vm?.spec?.nodeName === undefined ? [] : [{ namespace: '', name: vm.spec.nodeName }])),
    // Read only: their copy must be there when a machine needs one.
    on(virtualMachineSnapshots, () => []),
  ];
  /** Node → what was seen of it, and when: a taint, or that it is gone. */
  readonly #boundTo: (nodeName: string) => readonly VirtualMachine[];
  readonly #seen = new Map<string, ReadonlyMap<string, number>>();

  constructor(
    @Inject(OBJECT_CLIENT) private readonly objects: ObjectClient,
    @Inject(Informers) private readonly informers: Informers,
    @Inject(EventRecorder) private readonly events: EventRecorder,
    @Inject(Unbinding) private readonly unbinding: Unbinding,
    @Inject(NodeMetrics) private readonly metrics: NodeMetrics,
    @Inject(API_CONFIG) private readonly config: Pick<ApiConfig, 'evictAfterMs'>,
    @Inject(Reconcilers) reconcilers: Reconcilers,
    @Optional() private readonly timers: Pick<Timers, 'now'> = systemTimers,
  ) {
    this.#boundTo = informers.of(virtualMachines).index(({ spec }) => spec?.nodeName);
    reconcilers.add(this);
  }

  async reconcile({ name }: ObjectKey): Promise<ReconcileResult> {
    const node = this.informers.of(nodes).get(undefined, name);
    const taints = noExecuteTaints(node);
    const seen = this.#see(name, taints);
    const bound = taints.length === 0 ? [] : this.#boundTo(name);
    if (bound.length === 0) return DONE;

    let nextMs = Infinity;
    for (const vm of bound) {
      const waitMs = this.#dueAt(vm, taints, seen) - this.timers.now();
      if (waitMs > 0) nextMs = Math.min(nextMs, waitMs);
      else await this.#evict(vm, node, taints);
    }
    return nextMs === Infinity ? DONE : after(nextMs);
  }

  #see(name: string, taints: readonly Taint[]): ReadonlyMap<string, number> {
    const before = this.#seen.get(name);
    const seen = new Map(taints.map((taint) => [keyOf(taint), before?.get(keyOf(taint)) ?? this.timers.now()]));
    if (seen.size === 0) this.#seen.delete(name);
    else this.#seen.set(name, seen);
    return seen;
  }

  /** A machine being deleted waits for nothing: all that keeps it is a node that will not answer. */
  #dueAt({ metadata, spec }: VirtualMachine, taints: readonly Taint[], seen: ReadonlyMap<string, number>): number {
    const tolerations = tolerationsOf(spec);
    const waitOf = (taint: Taint): number => (metadata.deletionTimestamp === undefined ? toleranceMs(tolerations, taint, this.config.evictAfterMs) : 0);
    return Math.min(...taints.map((taint) => (seen.get(keyOf(taint)) ?? this.timers.now()) + waitOf(taint)));
  }

  async #evict(vm: VirtualMachine, node: Node | undefined, taints: readonly Taint[]): Promise<void> {
    if (taints.some(({ key }) => key === UNREACHABLE_TAINT)) await this.#recover(vm, node);
  }

  async #recover(vm: VirtualMachine, node: Node | undefined): Promise<void> {
    const snapshots = this.informers.of(virtualMachineSnapshots).list().filter(({ metadata }) => metadata.namespace === vm.metadata.namespace);
    const step = planRecovery({ vm, snapshots, nodeExists: node !== undefined, now: systemClock.now() });
    switch (step.type) {
      case 'Keep':
        return;
      case 'Release':
        await this.objects.replace(virtualMachines, withoutFinalizer(vm, MACHINE_FINALIZER));
        return;
      case 'Unbind': {
        const unbound = await this.unbinding.unbind(vm, step.status);
        this.metrics.recovered.inc({ from: step.status.continueFrom ? 'Snapshot' : 'Source' });
        this.events.record(unbound, step.event.type, step.event.reason, step.event.message);
        return;
      }
      default:
        return assertNever(step, 'recovery step');
    }
  }
}

const keyOf = ({ key, value = '', timeAdded = '' }: Taint): string => `${key}=${value}@${timeAdded}`;

/** A node that was deleted is as lost as one can be. */
const noExecuteTaints = (node: Node | undefined): readonly Taint[] =>
  node ? (node.spec?.taints ?? []).filter(({ effect }) => effect === 'NoExecute') : [{ key: UNREACHABLE_TAINT, effect: 'NoExecute' }];

const tolerationsOf = (spec: object | undefined): readonly Toleration[] => (spec as { readonly tolerations?: readonly Toleration[] } | undefined)?.tolerations ?? [];
