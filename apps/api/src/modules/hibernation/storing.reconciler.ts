import { Inject, Injectable, Optional } from '@nestjs/common';
import { assertNever, systemClock } from '@corral/base';
import {
  toKubeTime, virtualMachines, virtualMachineSnapshots, type ObjectClient, type ObjectKey, type VirtualMachine, type VmHibernation,
} from '@corral/contracts';
import { EventRecorder, systemTimers, type ReconcileResult, type Timers } from '@corral/reconcile';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { Informers } from '../controllers/informers.ts';
import { after, DONE, on, Reconcilers, type Reconciler, type Trigger } from '../controllers/reconcilers.ts';
import { writeStatus } from '../controllers/write-status.ts';
import { OwnSnapshots } from '../snapshots/own-snapshots.ts';
import { HIBERNATION_LABEL, planStoring, type StoringStep } from './storing.plan.ts';

/** What could not be stored is tried again after this long. */
const RETRY_MS = 60_000;

/** Brings sleeping machines into the object store, so that they outlive their nodes. */
@Injectable()
export class StoringReconciler implements Reconciler {
  readonly name = 'hibernations';
  readonly concurrency = 4;
  readonly triggers: readonly Trigger[] = [
    on(virtualMachines, (key, vm) => {
      if (!vm) this.#notBefore.delete(textOf(key));
      return vm?.status?.hibernation ? [key] : [];
    }),
    on(virtualMachineSnapshots, ({ namespace }, snapshot) => (this.#snapshots.has(snapshot) ? [{ namespace, name: snapshot?.spec?.virtualMachine ?? '' }] : [])),
  ];
  readonly #snapshots: OwnSnapshots;
  /** Machines of which the last try failed: when the next is due. */
  readonly #notBefore = new Map<string, number>();

  constructor(
    @Inject(OBJECT_CLIENT) private readonly objects: ObjectClient,
    @Inject(Informers) private readonly informers: Informers,
    @Inject(EventRecorder) private readonly events: EventRecorder,
    @Inject(Reconcilers) reconcilers: Reconcilers,
    @Optional() private readonly timers: Pick<Timers, 'now'> = systemTimers,
  ) {
    this.#snapshots = new OwnSnapshots(HIBERNATION_LABEL, objects, informers);
    reconcilers.add(this);
  }

  async reconcile(key: ObjectKey): Promise<ReconcileResult> {
    const vm = this.informers.of(virtualMachines).get(key.namespace, key.name);
    const name = vm?.status?.hibernation?.snapshot;
    if (!vm) return DONE;
    const waitMs = (this.#notBefore.get(textOf(key)) ?? -Infinity) - this.timers.now();
    if (waitMs > 0) return after(waitMs);
    // Read past the copy: whether it is there decides whether it is made.
    const snapshot = name === undefined ? undefined : await this.objects.get(virtualMachineSnapshots, key.namespace, name);
    return this.#perform(key, vm, planStoring({ vm, snapshot, now: systemClock.now() }));
  }

  async #perform(key: ObjectKey, vm: VirtualMachine, step: StoringStep): Promise<ReconcileResult> {
    const { hibernation } = vm.status ?? {};
    switch (step.type) {
      case 'Nothing':
        return DONE;
      case 'Wait':
        return after(step.delayMs);
      case 'NameSnapshot':
        return this.#write(vm, hibernation && { ...hibernation, snapshot: step.name });
      case 'TakeSnapshot':
        return this.#takeSnapshot(key, vm, step.name);
      case 'Stored': {
        this.#notBefore.delete(textOf(key));
        await this.#write(vm, hibernation && { ...hibernation, storedAt: toKubeTime(systemClock.now()) });
        await this.#snapshots.removeAllBut(vm, hibernation?.snapshot);
        return DONE;
      }
      case 'GiveUp': {
        this.#notBefore.set(textOf(key), this.timers.now() + RETRY_MS);
        this.events.record(vm, 'Warning', 'NotStored', `It sleeps on its node's disk alone: ${step.message}`);
        const { snapshot, ...rest } = hibernation ?? {};
        await this.#write(vm, rest as VmHibernation);
        if (snapshot !== undefined) await this.#snapshots.remove(vm, snapshot);
        return after(RETRY_MS);
      }
      default:
        return assertNever(step, 'storing step');
    }
  }

  async #write(vm: VirtualMachine, hibernation: VmHibernation | undefined): Promise<ReconcileResult> {
    if (hibernation) await writeStatus(this.objects, this.informers.of(virtualMachines), virtualMachines, vm, { ...vm.status, hibernation });
    return DONE;
  }

  async #takeSnapshot(key: ObjectKey, vm: VirtualMachine, name: string): Promise<ReconcileResult> {
    const taking = await this.#snapshots.take(vm, name);
    return taking.type === 'Refused' ? this.#perform(key, vm, { type: 'GiveUp', message: taking.message }) : DONE;
  }
}

const textOf = ({ namespace, name }: ObjectKey): string => `${namespace}/${name}`;
