import { Inject, Injectable } from '@nestjs/common';
import { systemClock } from '@corral/base';
import { podDisruptionBudgets, virtualMachines, type ObjectClient, type ObjectKey } from '@corral/contracts';
import { type ReconcileResult } from '@corral/reconcile';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { Informers } from '../controllers/informers.ts';
import { after, DONE, on, Reconcilers, type Reconciler, type Trigger } from '../controllers/reconcilers.ts';
import { writeStatus } from '../controllers/write-status.ts';
import { budgetStatus } from './disruption-budget.ts';

const GRANT_RECHECK_MS = 30_000;

/** Counts what each budget has left. */
@Injectable()
export class DisruptionBudgetReconciler implements Reconciler {
  readonly name = 'disruption-budgets';
  readonly triggers: readonly Trigger[];

  constructor(
    @Inject(OBJECT_CLIENT) private readonly objects: ObjectClient,
    @Inject(Informers) private readonly informers: Informers,
    @Inject(Reconcilers) reconcilers: Reconcilers,
  ) {
    // Which budgets a machine counts for may have changed with its labels, so all of its namespace are looked at.
    this.triggers = [on(podDisruptionBudgets), on(virtualMachines, ({ namespace }) => this.#budgetsOf(namespace))];
    reconcilers.add(this);
  }

  async reconcile({ namespace, name }: ObjectKey): Promise<ReconcileResult> {
    const budgets = this.informers.of(podDisruptionBudgets);
    const budget = budgets.get(namespace, name);
    if (!budget) return DONE;
    const machines = this.informers.of(virtualMachines).list().filter(({ metadata }) => metadata.namespace === namespace);
    const { status } = await writeStatus(this.objects, budgets, podDisruptionBudgets, budget, budgetStatus(budget, machines, systemClock.now()));
    return status?.disruptedPods ? after(GRANT_RECHECK_MS) : DONE;
  }

  #budgetsOf(namespace: string): ObjectKey[] {
    return this.informers
      .of(podDisruptionBudgets)
      .list()
      .filter(({ metadata }) => metadata.namespace === namespace)
      .map(({ metadata }) => ({ namespace, name: metadata.name }));
  }
}
