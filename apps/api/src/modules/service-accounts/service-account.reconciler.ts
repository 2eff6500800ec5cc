import { Inject, Injectable } from '@nestjs/common';
import { DEFAULT_SERVICE_ACCOUNT, namespaces, Problem, serviceAccounts, type KindDefinition, type ObjectClient, type ObjectKey } from '@corral/contracts';
import type { ReconcileResult } from '@corral/reconcile';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { Informers } from '../controllers/informers.ts';
import { DONE, on, Reconcilers, type Reconciler, type Trigger } from '../controllers/reconcilers.ts';

const ACCOUNTS = serviceAccounts as KindDefinition;

/** Every namespace has a service account `default`, also after somebody deleted it. */
@Injectable()
export class ServiceAccountReconciler implements Reconciler {
  readonly name = 'service-accounts';
  readonly triggers: readonly Trigger[] = [
    on(namespaces),
    on(ACCOUNTS, ({ namespace, name }) => (name === DEFAULT_SERVICE_ACCOUNT ? [{ namespace: '', name: namespace }] : [])),
  ];

  constructor(
    @Inject(OBJECT_CLIENT) private readonly objects: ObjectClient,
    @Inject(Informers) private readonly informers: Informers,
    @Inject(Reconcilers) reconcilers: Reconcilers,
  ) {
    reconcilers.add(this);
  }

  async reconcile({ name: namespace }: ObjectKey): Promise<ReconcileResult> {
    const found = this.informers.of(namespaces).get(undefined, namespace);
    if (!found || found.metadata.deletionTimestamp !== undefined || this.informers.of(ACCOUNTS).get(namespace, DEFAULT_SERVICE_ACCOUNT)) return DONE;
    try {
      await this.objects.create(ACCOUNTS, { metadata: { namespace, name: DEFAULT_SERVICE_ACCOUNT } });
    } catch (error) {
      // It is there already, or the namespace has begun to go.
      if (!(error instanceof Problem && ['object.exists', 'request.forbidden', 'object.not-found'].includes(error.code))) throw error;
    }
    return DONE;
  }
}
