import { Inject, Injectable } from '@nestjs/common';
import { sameJson } from '@corral/api-machinery';
import { KINDS, resourceQuotas, type FieldProblem, type ObjectClient, type ResourceQuota } from '@corral/contracts';
import { isLimitable } from '@corral/quota';
import { Admission } from '../../platform/objects/admission.ts';
import { recount } from './recount.ts';

/** A quota is in force from its first moment: its figures are counted while it is written. */
@Injectable()
export class QuotaAdmission {
  constructor(@Inject(Admission) admission: Admission) {
    admission.default(resourceQuotas, (quota, _previous, { objects }) => withFigures(quota, objects));
    admission.check(resourceQuotas, (quota) => Promise.resolve(nameProblems(quota)));
  }
}

async function withFigures(quota: ResourceQuota, objects: ObjectClient): Promise<ResourceQuota> {
  const { status, spec, metadata } = quota;
  if (metadata.namespace === undefined || (status?.hard && sameJson(status.hard, spec?.hard))) return quota;
  return recount(quota, async (kind, namespace) => (await objects.list(kind, { namespace })).items);
}

function nameProblems({ spec }: ResourceQuota): readonly FieldProblem[] {
  return Object.keys(spec?.hard ?? {})
    .filter((name) => !isLimitable(name, KINDS))
    .map((name) => ({
      field: `spec.hard[${name}]`,
      reason: 'FieldValueInvalid',
      message: 'is no resource that can be limited: give count/<resource>.<group> of a namespaced kind, pods, requests.memory, limits.memory, corral.dev/running-virtualmachines or corral.dev/snapshot-bytes',
    }));
}
