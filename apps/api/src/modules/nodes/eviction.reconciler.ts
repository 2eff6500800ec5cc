import { Inject, Injectable, Optional } from '@nestjs/common';
import { assertNever, systemClock } from '@corral/base';
import { findCondition, nodes, Problem, virtualMachines, virtualMachineSnapshots, type MoveReason, type Node, type ObjectClient, type ObjectKey, type VirtualMachine } from '@corral/contracts';
import { EventRecorder, systemTimers, type ReconcileResult, type Timers } from '@corral/reconcile';
import { isAsleep, MACHINE_FINALIZER } from '@corral/vm-lifecycle';
import { API_CONFIG, type ApiConfig } from '../../platform/config/api-config.ts';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { withoutFinalizer } from '../admission/finalizers.ts';
import { Informers } from '../controllers/informers.ts';
import { after, DONE, on, Reconcilers, type Reconciler, type Trigger } from '../controllers/reconcilers.ts';
import { unboundStatus } from '../hibernation/sleeping-status.ts';
import { hasPod } from '../pods/pod-of.ts';
import { isEmptying, Moves } from './moves.ts';
import { NodeMetrics } from './node-metrics.ts';
import { toleranceMs, UNREACHABLE_TAINT, type Taint } from './node-taints.ts';
import { planRecovery } from './recovery.plan.ts';
import { Unbinding } from './unbinding.ts';

/**
 * Sends machines away from nodes they do not tolerate: from lost ones by force, to go on from their last snapshot; from
 * others with all that they hold. Time is counted from when this process first saw a taint, so neither clocks nor a restart of the API make it come early.
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
    @Inject(Moves) private readonly moves: Moves,
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
    const taints = reasonsToLeave(node);
    const seen = this.#see(name, taints);
    if (!node) this.#forgetGone();
    const bound = taints.length === 0 ? [] : this.#boundTo(name);
    if (bound.length === 0) return DONE;

    let nextMs = Infinity;
    const failures: unknown[] = [];
    for (const vm of bound) {
      const waitMs = this.#dueAt(vm, taints, seen) - this.timers.now();
      if (waitMs > 0) nextMs = Math.min(nextMs, waitMs);
      // One that cannot leave now keeps nobody else there; it is tried again after a back-off.
      else nextMs = Math.min(nextMs, await this.#evict(vm, node, taints).catch((error: unknown) => failures.push(error) && Infinity));
    }
    if (failures.length > 0) throw failures[0];
    return nextMs === Infinity ? DONE : after(nextMs);
  }

  #see(name: string, taints: readonly Taint[]): ReadonlyMap<string, number> {
    const before = this.#seen.get(name);
    const seen = new Map(taints.map((taint) => [keyOf(taint), before?.get(keyOf(taint)) ?? this.timers.now()]));
    if (seen.size === 0) this.#seen.delete(name);
    else this.#seen.set(name, seen);
    return seen;
  }

  /** Nodes that are gone and hold nobody need not be remembered, and no look at them may come again. */
  #forgetGone(): void {
    for (const name of this.#seen.keys()) {
      if (!this.informers.of(nodes).get(undefined, name) && this.#boundTo(name).length === 0) this.#seen.delete(name);
    }
  }

  /** A machine being deleted waits for nothing: all that keeps it is a node that will not answer. */
  #dueAt({ metadata, spec }: VirtualMachine, taints: readonly Taint[], seen: ReadonlyMap<string, number>): number {
    const waitOf = (taint: Taint): number =>
      metadata.deletionTimestamp === undefined && taint !== EMPTYING ? toleranceMs(spec?.tolerations ?? [], taint, this.config.evictAfterMs) : 0;
    return Math.min(...taints.map((taint) => (seen.get(keyOf(taint)) ?? this.timers.now()) + waitOf(taint)));
  }

  async #evict(vm: VirtualMachine, node: Node | undefined, taints: readonly Taint[]): Promise<number> {
    if (isSilent(node)) {
      // Nothing can be asked of it; and before the brake lets it pass, nothing is taken from it.
      if (taints.some(({ key }) => key === UNREACHABLE_TAINT)) await this.#recover(vm, node);
      return Infinity;
    }
    return this.#move(vm, taints.includes(EMPTYING) ? 'NodeStopping' : 'Tainted');
  }

  /** Asks it to leave with all that it holds; answers when to ask again. Where it cannot go it stays, and is told of why. */
  async #move(vm: VirtualMachine, reason: MoveReason): Promise<number> {
    if (isAsleep(vm)) return this.#letGo(vm);
    const { namespace = '', name } = vm.metadata;
    if (vm.status?.move !== undefined || !hasPod(vm) || vm.metadata.deletionTimestamp !== undefined) return Infinity;
    try {
      await this.moves.request(namespace, name, { reason, budgets: 'Ignored' });
      return Infinity;
    } catch (error) {
      if (!(error instanceof Problem) || (error.code !== 'request.too-many' && error.code !== 'object.not-found')) throw error;
      if (error.code === 'request.too-many') this.events.record(vm, 'Warning', 'CannotMove', error.message);
      return RETRY_MS;
    }
  }

  /** One that sleeps leaves without a move, once it is in the object store. */
  async #letGo(vm: VirtualMachine): Promise<number> {
    const message = `It left ${vm.spec?.nodeName} and sleeps on in the object store.`;
    const status = unboundStatus(vm, systemClock.now(), { isWoken: false, message });
    if (!status) return RETRY_MS;
    const unbound = await this.unbinding.unbind(vm, status);
    this.events.record(unbound, 'Normal', 'Moved', message);
    return Infinity;
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

/** Where a machine could not go, it may be able to a little later. */
const RETRY_MS = 5_000;

/** A node that was deleted is as lost as one can be. */
const GONE: Taint = { key: UNREACHABLE_TAINT, effect: 'NoExecute' };
/** What a node that stops asks for, in the words of everything else that sends machines away. */
const EMPTYING: Taint = { key: 'corral.dev/stopping', effect: 'NoExecute' };

const isSilent = (node: Node | undefined): boolean => !node || findCondition(node.status?.conditions, 'Ready')?.status === 'Unknown';

function reasonsToLeave(node: Node | undefined): readonly Taint[] {
  if (!node) return [GONE];
  const taints = (node.spec?.taints ?? []).filter(({ effect }) => effect === 'NoExecute');
  return isEmptying(node) ? [...taints, EMPTYING] : taints;
}
