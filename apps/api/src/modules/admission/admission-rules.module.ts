import { Module } from '@nestjs/common';
import { ApiKeysModule } from '../api-keys/api-keys.module.ts';
import { RoleAdmissionModule } from '../access/access.module.ts';
import { ControllersModule } from '../controllers/controllers.module.ts';
import { IdlePolicyAdmission } from '../hibernation/idle-policy.admission.ts';
import { ForkAdmission } from '../forks/fork.admission.ts';
import { MomentTaking } from '../forks/moment-taking.ts';
import { ImageAdmission } from '../images/image.admission.ts';
import { NamespaceAdmission } from '../namespaces/namespace.admission.ts';
import { LimitRangeAdmission } from '../quota/limit-range.admission.ts';
import { QuotaAdmission } from '../quota/quota.admission.ts';
import { PoolAdmission } from '../pools/pool.admission.ts';
import { PoolClaims } from '../pools/pool-claims.ts';
import { PriorityAdmission } from '../scheduler/priority.admission.ts';
import { NodeRestriction } from '../nodes/node-restriction.ts';
import { SnapshotAdmission } from '../snapshots/snapshot.admission.ts';
import { RollbackAdmission } from '../virtual-machines/rollback.admission.ts';
import { SourceAccess } from '../virtual-machines/source-access.ts';
import { VirtualMachineAdmission } from '../virtual-machines/virtual-machine.admission.ts';

/** What kinds need beside their schemas. Belongs wherever objects are written, in every role. */
@Module({
  imports: [ApiKeysModule, ControllersModule, RoleAdmissionModule],
  providers: [
    NamespaceAdmission,
    NodeRestriction,
    PriorityAdmission,
    QuotaAdmission,
    LimitRangeAdmission,
    VirtualMachineAdmission,
    RollbackAdmission,
    SourceAccess,
    IdlePolicyAdmission,
    PoolClaims,
    PoolAdmission,
    ForkAdmission,
    MomentTaking,
    SnapshotAdmission,
    ImageAdmission,
  ],
})
export class AdmissionRulesModule {}
