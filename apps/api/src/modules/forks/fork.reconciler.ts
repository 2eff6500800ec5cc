import { Inject, Injectable } from '@nestjs/common';
import { assertNever, systemClock } from '@corral/base';
import { findCondition, poolOwnerOf, virtualMachinePools, virtualMachines, virtualMachineSnapshots, type ObjectClient, type ObjectKey, type VirtualMachine, type VirtualMachineSnapshot } from '@corral/contracts';
import { type ReconcileResult } from '@corral/reconcile';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { API_CONFIG, type ApiConfig } from '../../platform/config/api-config.ts';
import { Informers } from '../controllers/informers.ts';
import { after, DONE, on, Reconcilers, type Reconciler, type Trigger } from '../controllers/reconcilers.ts';
import { planMoment } from './fork.plan.ts';

/** Sends moments where forks wait for them, and removes those that nobody needs any more. */
@Injectable()
export class ForkReconciler implements Reconciler {
  readonly name = 'forks';
  readonly triggers: readonly Trigger[];
  readonly #forksOf: (moment: string) => readonly VirtualMachine[];

  constructor(
    @Inject(OBJECT_CLIENT) private readonly objects: ObjectClient,
    @Inject(Informers) private readonly informers: Informers,
    @Inject(API_CONFIG) private readonly config: ApiConfig,
    @Inject(Reconcilers) reconcilers: Reconcilers,
  ) {
    this.#forksOf = informers.of(virtualMachines).index(({ metadata, status }) => (status?.fork ? `${metadata.namespace ?? ''}/${status.fork.snapshot}` : undefined));
    this.triggers = [
      on(virtualMachineSnapshots, (key, snapshot) => (snapshot?.spec?.fork ? [key] : [])),
      on(virtualMachines, ({ namespace }, vm) => (vm?.status?.fork ? [{ namespace, name: vm.status.fork.snapshot }] : [])),
    ];
    reconcilers.add(this);
  }

  async reconcile({ namespace, name }: ObjectKey): Promise<ReconcileResult> {
    const moment = this.informers.of(virtualMachineSnapshots).get(namespace, name);
    if (!moment?.spec?.fork) return DONE;
    const step = planMoment({ moment, forks: this.#forksOf(`${namespace}/${name}`), isFilling: this.#isFilling(moment), gatheringMs: this.config.forkGatheringMs, now: systemClock.now() });
    switch (step.type) {
      case 'Nothing':
        return DONE;
      case 'Wait':
        return after(step.delayMs);
      case 'Upload':
        await this.objects.replace(virtualMachineSnapshots, { ...moment, spec: { ...moment.spec, fork: { upload: true } } });
        return DONE;
      case 'Delete':
        await this.objects.delete(virtualMachineSnapshots, namespace, name, { uid: moment.metadata.uid });
        return DONE;
      default:
        return assertNever(step, 'step of a moment');
    }
  }

  #isFilling(moment: VirtualMachineSnapshot): boolean {
    const owner = poolOwnerOf(moment);
    const pool = owner && this.informers.of(virtualMachinePools).get(moment.metadata.namespace, owner.name);
    return pool?.metadata.uid === owner?.uid && findCondition(pool?.status?.conditions, 'Ready')?.reason === 'Filling';
  }
}
