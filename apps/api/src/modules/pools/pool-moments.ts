import { randomUUID } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { systemClock } from '@corral/base';
import {
  ownedByPool, poolOwnerOf, virtualMachines, virtualMachineSnapshots,
  type KindDefinition, type KubeObject, type ObjectClient, type VirtualMachine, type VirtualMachinePool,
} from '@corral/contracts';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { forkOf, momentOf } from '../forks/fork-moment.ts';
import { batchOf } from '../forks/fork-request.ts';
import { ChargedStore } from '../quota/charged-store.ts';
import { originOf, type PoolOrigin } from './pool-origin.ts';

const MOMENTS: KindDefinition = virtualMachineSnapshots;

/** The moments that pools of forks ask for. They are the pool's, and go with it. */
@Injectable()
export class PoolMoments {
  constructor(
    @Inject(OBJECT_CLIENT) private readonly objects: ObjectClient,
    @Inject(ChargedStore) private readonly store: ChargedStore,
  ) {}

  /** Read anew: a moment that was asked for just now is not asked for again. */
  async originOf(pool: VirtualMachinePool, now: Date): Promise<PoolOrigin> {
    const { namespace, uid } = pool.metadata;
    const { virtualMachine } = pool.spec?.template.spec.source ?? {};
    if (virtualMachine === undefined) return { type: 'Template' };
    const source = await this.objects.get(virtualMachines, namespace, virtualMachine);
    const { items } = await this.objects.list(virtualMachineSnapshots, { namespace: namespace ?? '' });
    return originOf({ pool, source, moments: items.filter((one) => one.spec?.fork && poolOwnerOf(one)?.uid === uid), now });
  }

  /** Has the source's node keep what that is now. Refusals: `request.forbidden` over quota. */
  async take(pool: VirtualMachinePool, source: VirtualMachine): Promise<void> {
    const { name, namespace = '' } = pool.metadata;
    const moment = momentOf(namespace, forkOf(source, `fork-${name.slice(0, 50)}-${batchOf(undefined)}`), { uid: randomUUID(), now: systemClock.now() });
    const owned = { ...moment, metadata: { ...moment.metadata, ownerReferences: [ownedByPool(pool)] } };
    await this.store.transact([{ type: 'Create', kind: MOMENTS, object: owned as KubeObject }]);
  }
}
