import { Module } from '@nestjs/common';
import { AccessControllersModule } from '../modules/access/access.module.ts';
import { AdmissionRulesModule } from '../modules/admission/admission-rules.module.ts';
import { AuditRetentionModule } from '../modules/audit/audit-events.module.ts';
import { CheckpointsModule } from '../modules/checkpoints/checkpoints.module.ts';
import { StateLossModule } from '../modules/state-loss/state-loss.module.ts';
import { ControllersModule } from '../modules/controllers/controllers.module.ts';
import { EventsModule } from '../modules/events/events.module.ts';
import { HibernationControllersModule } from '../modules/hibernation/hibernation.module.ts';
import { ImagesModule } from '../modules/images/images.module.ts';
import { NamespacesModule } from '../modules/namespaces/namespaces.module.ts';
import { NodesModule } from '../modules/nodes/nodes.module.ts';
import { ForksModule } from '../modules/forks/forks.module.ts';
import { PoolsModule } from '../modules/pools/pools.module.ts';
import { QuotasModule } from '../modules/quota/quotas.module.ts';
import { GarbageCollectionModule } from '../modules/resources/resources.module.ts';
import { ServiceAccountsModule } from '../modules/service-accounts/service-accounts.module.ts';
import { SnapshotsModule } from '../modules/snapshots/snapshots.module.ts';

/** What works on its own: reconcilers, sweeps and the garbage collector. List feature modules here. */
@Module({
  imports: [
    AdmissionRulesModule,
    ControllersModule,
    GarbageCollectionModule,
    AccessControllersModule,
    NamespacesModule,
    ServiceAccountsModule,
    AuditRetentionModule,
    NodesModule,
    HibernationControllersModule,
    QuotasModule,
    PoolsModule,
    ForksModule,
    ImagesModule,
    SnapshotsModule,
    CheckpointsModule,
    StateLossModule,
    EventsModule,
  ],
})
export class ControllersRole {}
