import { Module } from '@nestjs/common';
import { AccessModule } from '../modules/access/access.module.ts';
import { AdmissionRulesModule } from '../modules/admission/admission-rules.module.ts';
import { AuditEventsModule } from '../modules/audit/audit-events.module.ts';
import { ArtifactsModule } from '../modules/artifacts/artifacts.module.ts';
import { ForkRoutesModule } from '../modules/forks/forks.module.ts';
import { GatewaysModule } from '../modules/gateways/gateways.module.ts';
import { HibernationModule } from '../modules/hibernation/hibernation.module.ts';
import { PodsModule } from '../modules/pods/pods.module.ts';
import { ServiceAccountTokensModule } from '../modules/service-accounts/service-accounts.module.ts';
import { UsageMetricsModule } from '../modules/usage-metrics/usage-metrics.module.ts';
import { ResourceRoutesModule } from '../modules/resources/resources.module.ts';
import { VirtualMachinesModule } from '../modules/virtual-machines/virtual-machines.module.ts';

/** What answers requests: the generic API, and the modules that carry guest data. List gateways and controllers here. */
@Module({
  imports: [
    AccessModule,
    AdmissionRulesModule,
    ResourceRoutesModule,
    ServiceAccountTokensModule,
    AuditEventsModule,
    ArtifactsModule,
    GatewaysModule,
    HibernationModule,
    UsageMetricsModule,
    PodsModule,
    VirtualMachinesModule,
    ForkRoutesModule,
  ],
})
export class ApiRole {}
