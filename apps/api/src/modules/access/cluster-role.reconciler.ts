import { aggregatedRules } from '@corral/access-control';
import { sameJson } from '@corral/api-machinery';
import { asClusterRole, clusterRoles, type ClusterRole, type ObjectClient, type ObjectKey } from '@corral/contracts';
import type { ReconcileResult } from '@corral/reconcile';
import { Inject, Injectable } from '@nestjs/common';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { Informers } from '../controllers/informers.ts';
import { DONE, on, Reconcilers, type Reconciler, type Trigger } from '../controllers/reconcilers.ts';

/**
 * Writes into every aggregated ClusterRole the rules it gathers, so that they can be read there. Decisions do not wait for
 * it: they gather for themselves. Source: k8s.io/kubernetes/pkg/controller/clusterroleaggregation.
 */
@Injectable()
export class ClusterRoleReconciler implements Reconciler {
  readonly name = 'cluster-roles';
  readonly triggers: readonly Trigger[] = [on(clusterRoles, () => this.#aggregated())];

  constructor(
    @Inject(OBJECT_CLIENT) private readonly objects: ObjectClient,
    @Inject(Informers) private readonly informers: Informers,
    @Inject(Reconcilers) reconcilers: Reconcilers,
  ) {
    reconcilers.add(this);
  }

  async reconcile({ name }: ObjectKey): Promise<ReconcileResult> {
    const informer = this.informers.of(clusterRoles);
    const found = informer.get(undefined, name);
    const role = found && asClusterRole(found);
    if (!role?.aggregationRule || role.metadata.deletionTimestamp !== undefined) return DONE;
    const rules = aggregatedRules(role, informer.list().map(asClusterRole));
    const next: ClusterRole = { ...role, rules };
    if (!sameJson(rules, role.rules)) await this.objects.replace(clusterRoles, next);
    return DONE;
  }

  #aggregated(): ObjectKey[] {
    const found = this.informers.of(clusterRoles).list();
    return found.filter((role) => asClusterRole(role).aggregationRule).map(({ metadata }) => ({ namespace: '', name: metadata.name }));
  }
}
