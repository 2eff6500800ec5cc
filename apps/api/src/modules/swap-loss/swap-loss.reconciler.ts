import { Inject, Injectable, Optional } from '@nestjs/common';
import { systemClock, type Clock } from '@corral/base';
import { virtualMachines, virtualMachineSnapshots, type ObjectClient, type ObjectKey, type VirtualMachine, type VirtualMachineSnapshot } from '@corral/contracts';
import { EventRecorder, type ReconcileResult } from '@corral/reconcile';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { Informers } from '../controllers/informers.ts';
import { DONE, on, Reconcilers, type Reconciler, type Trigger } from '../controllers/reconcilers.ts';
import { writeStatus } from '../controllers/write-status.ts';
import { planSwapLoss } from './swap-loss.plan.ts';

/** Says where a machine goes on that lost a page of its memory. Its node waits for that word. */
@Injectable()
export class SwapLossReconciler implements Reconciler {
  readonly name = 'swap-loss';
  readonly concurrency = 4;
  readonly triggers: readonly Trigger[] = [on(virtualMachines, (key, vm) => (isLost(vm) ? [key] : []))];
  readonly #snapshotsOf: (machine: string) => readonly VirtualMachineSnapshot[];

  constructor(
    @Inject(OBJECT_CLIENT) private readonly objects: ObjectClient,
    @Inject(Informers) private readonly informers: Informers,
    @Inject(EventRecorder) private readonly events: EventRecorder,
    @Inject(Reconcilers) reconcilers: Reconcilers,
    @Optional() private readonly clock: Clock = systemClock,
  ) {
    this.#snapshotsOf = informers.of(virtualMachineSnapshots).index(({ metadata, spec }) => `${metadata.namespace}/${spec?.virtualMachine}`);
    reconcilers.add(this);
  }

  async reconcile({ namespace, name }: ObjectKey): Promise<ReconcileResult> {
    const informer = this.informers.of(virtualMachines);
    const vm = informer.get(namespace, name);
    const step = vm && planSwapLoss(vm, this.#snapshotsOf(`${namespace}/${name}`), this.clock.now());
    if (!vm || !step) return DONE;
    await writeStatus(this.objects, informer, virtualMachines, vm, step.status);
    this.events.record(vm, 'Warning', 'SwapLost', step.message);
    return DONE;
  }
}

const isLost = (vm: VirtualMachine | undefined): boolean => vm?.status?.lastTermination?.reason === 'SwapLost' && vm.status.lastTermination.incarnation === vm.status.incarnation;
