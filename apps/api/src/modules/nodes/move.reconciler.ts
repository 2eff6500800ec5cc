import { Inject, Injectable } from '@nestjs/common';
import { assertNever, systemClock } from '@corral/base';
import { nodes, virtualMachines, virtualMachineSnapshots, type ObjectClient, type ObjectKey, type VirtualMachine } from '@corral/contracts';
import { EventRecorder, type ReconcileResult } from '@corral/reconcile';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { Informers } from '../controllers/informers.ts';
import { after, DONE, on, Reconcilers, type Reconciler, type Trigger } from '../controllers/reconcilers.ts';
import { writeStatus } from '../controllers/write-status.ts';
import { OwnSnapshots } from '../snapshots/own-snapshots.ts';
import { MOVE_LABEL, planMove, type MoveStep } from './move.plan.ts';
import { Moves } from './moves.ts';
import { NodeMetrics } from './node-metrics.ts';
import { Unbinding } from './unbinding.ts';

/** Carries machines that are to leave their node through S3 to another. */
@Injectable()
export class MoveReconciler implements Reconciler {
  readonly name = 'moves';
  readonly concurrency = 4;
  readonly triggers: readonly Trigger[];
  readonly #snapshots: OwnSnapshots;
  /** Machines on their way, few among many: nodes speak often, and are seldom left. */
  readonly #leaving = new Map<string, { readonly key: ObjectKey; readonly from: string }>();

  constructor(
    @Inject(OBJECT_CLIENT) private readonly objects: ObjectClient,
    @Inject(Informers) private readonly informers: Informers,
    @Inject(EventRecorder) private readonly events: EventRecorder,
    @Inject(Moves) private readonly moves: Moves,
    @Inject(Unbinding) private readonly unbinding: Unbinding,
    @Inject(NodeMetrics) private readonly metrics: NodeMetrics,
    @Inject(Reconcilers) reconcilers: Reconcilers,
  ) {
    this.#snapshots = new OwnSnapshots(MOVE_LABEL, objects, informers);
    this.triggers = [
      on(virtualMachines, (key, vm) => {
        const text = `${key.namespace}/${key.name}`;
        const from = vm?.status?.move?.from;
        if (from === undefined) this.#leaving.delete(text);
        else this.#leaving.set(text, { key, from });
        return from === undefined ? [] : [key];
      }),
      on(virtualMachineSnapshots, ({ namespace }, snapshot) => (this.#snapshots.has(snapshot) ? [{ namespace, name: snapshot?.spec?.virtualMachine ?? '' }] : [])),
      // A node that takes machines again calls off what was to leave it.
      on(nodes, ({ name }) => [...this.#leaving.values()].filter(({ from }) => from === name).map(({ key }) => key)),
    ];
    reconcilers.add(this);
  }

  async reconcile({ namespace, name }: ObjectKey): Promise<ReconcileResult> {
    const vm = this.informers.of(virtualMachines).get(namespace, name);
    const { move } = vm?.status ?? {};
    if (!vm || !move) return DONE;
    const step = planMove({
      vm,
      node: this.informers.of(nodes).get(undefined, move.from),
      // Read past the copy: whether it is there decides whether it is made.
      snapshot: move.snapshot === undefined ? undefined : await this.objects.get(virtualMachineSnapshots, namespace, move.snapshot),
      noPlace: this.moves.noPlaceFor(vm),
      now: systemClock.now(),
    });
    return this.#perform(vm, move.reason, step);
  }

  async #perform(vm: VirtualMachine, reason: string, step: MoveStep): Promise<ReconcileResult> {
    const machines = this.informers.of(virtualMachines);
    const { move, ...rest } = vm.status ?? {};
    switch (step.type) {
      case 'Nothing':
        return DONE;
      case 'Wait':
        return after(step.delayMs);
      case 'NameSnapshot':
        if (move) await writeStatus(this.objects, machines, virtualMachines, vm, { ...rest, move: { ...move, snapshot: step.name } });
        return DONE;
      case 'TakeSnapshot':
        return this.#takeSnapshot(vm, step.name);
      case 'Switch': {
        const moved = await this.unbinding.unbind(vm, step.status);
        this.metrics.moves.inc({ reason, outcome: 'Moved' });
        this.events.record(moved, 'Normal', 'Moved', `It left ${move?.from} and goes on elsewhere from snapshot ${move?.snapshot}.`);
        // Of the snapshots this machine moved with, only the last is of use: until the next, should its new node be lost at once.
        await this.#snapshots.removeAllBut(vm, move?.snapshot);
        return DONE;
      }
      case 'Abort': {
        const stayed = await writeStatus(this.objects, machines, virtualMachines, vm, rest);
        this.metrics.moves.inc({ reason, outcome: step.reason });
        this.events.record(stayed, 'Warning', 'MoveAborted', `It stays on ${move?.from}: ${step.reason}: ${step.message}`);
        if (move?.snapshot !== undefined) await this.#snapshots.remove(vm, move.snapshot);
        return DONE;
      }
      default:
        return assertNever(step, 'move step');
    }
  }

  async #takeSnapshot(vm: VirtualMachine, name: string): Promise<ReconcileResult> {
    const taking = await this.#snapshots.take(vm, name);
    return taking.type === 'Refused' ? this.#perform(vm, vm.status?.move?.reason ?? '', { type: 'Abort', reason: 'SnapshotFailed', message: taking.message }) : DONE;
  }
}
