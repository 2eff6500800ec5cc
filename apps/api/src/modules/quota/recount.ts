import { KINDS, resourceQuotas, type KindDefinition, type KubeObject, type ResourceQuota } from '@corral/contracts';
import { counted, kindsUsing, type Counted } from '@corral/quota';

const QUOTAS: KindDefinition = resourceQuotas;

/** The quota with its limits in force and its figures counted from all there is; itself too, where it counts quotas. */
export async function recount(quota: ResourceQuota, listAll: (kind: KindDefinition, namespace: string) => Promise<readonly KubeObject[]>): Promise<ResourceQuota> {
  const { namespace = '', uid } = quota.metadata;
  const all: Counted[] = [{ kind: QUOTAS, object: quota }];
  for (const kind of kindsUsing(Object.keys(quota.spec?.hard ?? {}), KINDS)) {
    const objects = await listAll(kind, namespace);
    all.push(...objects.filter(({ metadata }) => metadata.uid !== uid).map((object) => ({ kind, object })));
  }
  return counted(quota, all);
}
