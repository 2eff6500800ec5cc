import { Inject, Injectable } from '@nestjs/common';
import { assertNever, systemClock } from '@corral/base';
import {
  isSnapshotOver,
  nodes,
  SNAPSHOT_DATA_FINALIZER,
  toKubeTime,
  virtualMachines,
  virtualMachineSnapshots,
  withCondition,
  type ConditionUpdate,
  type ObjectClient,
  type ObjectKey,
  type VirtualMachine,
  type VirtualMachineSnapshot,
  type VirtualMachineSnapshotStatus,
} from '@corral/contracts';
import { EventRecorder, type ReconcileResult } from '@corral/reconcile';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { withoutFinalizer } from '../admission/finalizers.ts';
import { Informers } from '../controllers/informers.ts';
import { after, DONE, on, Reconcilers, type Reconciler, type Trigger } from '../controllers/reconcilers.ts';
import { writeStatus } from '../controllers/write-status.ts';
import { SnapshotData } from './snapshot-data.ts';
import { planSnapshot, type SnapshotStep } from './snapshot.plan.ts';

/** Gives each snapshot to the node that holds its machine, ends those that cannot be, and removes the bytes of those deleted. */
@Injectable()
export class SnapshotReconciler implements Reconciler {
  readonly name = 'snapshots';
  readonly placement = 'Shared';
  readonly concurrency = 4;
  readonly triggers: readonly Trigger[];
  readonly #childrenOf: (parent: string) => readonly VirtualMachineSnapshot[];

  constructor(
    @Inject(OBJECT_CLIENT) private readonly objects: ObjectClient,
    @Inject(Informers) private readonly informers: Informers,
    @Inject(EventRecorder) private readonly events: EventRecorder,
    @Inject(SnapshotData) private readonly data: SnapshotData,
    @Inject(Reconcilers) reconcilers: Reconcilers,
  ) {
    this.#childrenOf = informers.of(virtualMachineSnapshots).index(({ metadata, status }) => (status?.parent ? `${metadata.namespace}/${status.parent}` : undefined));
    this.triggers = [
      on(virtualMachineSnapshots),
      on(nodes, ({ name }) => this.#underWayOn(name)),
      // Read only: machines do not start snapshots, but their copy must be there.
      on(virtualMachines, () => []),
    ];
    reconcilers.add(this);
  }

  async reconcile({ namespace, name }: ObjectKey, signal: AbortSignal): Promise<ReconcileResult> {
    const snapshot = this.informers.of(virtualMachineSnapshots).get(namespace, name);
    if (!snapshot) return DONE;
    // Both read anew: a copy a moment old may still call the machine Starting, or its node lost, and these verdicts are final.
    const vm = await this.objects.get(virtualMachines, namespace, snapshot.spec?.virtualMachine ?? '');
    const node = snapshot.spec?.nodeName === undefined ? undefined : await this.objects.get(nodes, undefined, snapshot.spec.nodeName);
    const awaitedBy = snapshot.metadata.deletionTimestamp === undefined ? undefined : await this.#awaiting(snapshot);
    return this.#perform(snapshot, planSnapshot({ snapshot, vm, node, awaitedBy, now: systemClock.now() }), signal);
  }

  /** Read anew as well: bytes that are deleted do not come back. */
  async #awaiting({ metadata: { namespace = '', name } }: VirtualMachineSnapshot): Promise<VirtualMachine | undefined> {
    const { items } = await this.objects.list(virtualMachines, { namespace });
    return items.find(({ metadata, status }) => status?.continueFrom?.snapshot === name && metadata.deletionTimestamp === undefined);
  }

  async #perform(snapshot: VirtualMachineSnapshot, step: SnapshotStep, signal: AbortSignal): Promise<ReconcileResult> {
    switch (step.type) {
      case 'Nothing':
        return DONE;
      case 'Wait':
        return after(step.delayMs);
      case 'Bind':
        await this.#bind(snapshot, step);
        return DONE;
      case 'Fail':
        await this.#report(snapshot, { type: 'Ready', status: 'False', reason: step.reason, message: step.message }, { completedAt: toKubeTime(systemClock.now()) });
        this.events.record(snapshot, 'Warning', step.reason, step.message);
        return DONE;
      case 'Keep':
        this.events.record(snapshot, 'Normal', 'KeptForMachine', step.message);
        return after(step.delayMs);
      case 'DeleteData':
        await this.#leaveChildren(snapshot);
        await this.data.delete(snapshot.metadata.namespace ?? '', snapshot.metadata.uid, signal);
        await this.objects.replace(virtualMachineSnapshots, withoutFinalizer(snapshot, SNAPSHOT_DATA_FINALIZER));
        return DONE;
      default:
        return assertNever(step, 'snapshot step');
    }
  }

  /** They are whole without it, and were taken after whatever it was taken after. */
  async #leaveChildren({ metadata: { namespace, name }, status }: VirtualMachineSnapshot): Promise<void> {
    for (const child of this.#childrenOf(`${namespace}/${name}`)) {
      await writeStatus(this.objects, this.informers.of(virtualMachineSnapshots), virtualMachineSnapshots, child, { ...child.status, parent: status?.parent ?? '' });
    }
  }

  async #bind(snapshot: VirtualMachineSnapshot, { nodeName, virtualMachineUid }: Extract<SnapshotStep, { type: 'Bind' }>): Promise<void> {
    const told = await this.#report(snapshot, { type: 'Ready', status: 'False', reason: 'Taking', message: `Node ${nodeName} takes it.` }, { virtualMachineUid });
    if (!told.spec) return;
    const bound = await this.objects.replace(virtualMachineSnapshots, { ...told, spec: { ...told.spec, nodeName } });
    this.informers.of(virtualMachineSnapshots).observe(bound);
  }

  #report(snapshot: VirtualMachineSnapshot, condition: ConditionUpdate, more: Partial<VirtualMachineSnapshotStatus>): Promise<VirtualMachineSnapshot> {
    const conditions = withCondition(snapshot.status?.conditions, condition, systemClock.now(), snapshot.metadata.generation);
    return writeStatus(this.objects, this.informers.of(virtualMachineSnapshots), virtualMachineSnapshots, snapshot, { ...snapshot.status, ...more, conditions });
  }

  #underWayOn(nodeName: string): ObjectKey[] {
    return this.informers
      .of(virtualMachineSnapshots)
      .list()
      .filter((snapshot) => snapshot.spec?.nodeName === nodeName && !isSnapshotOver(snapshot))
      .map(({ metadata }) => ({ namespace: metadata.namespace ?? '', name: metadata.name }));
  }
}
