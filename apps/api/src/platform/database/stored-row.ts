import { apiVersionOf, OwnerReference, type KindDefinition, type KubeObject, type ObjectMeta } from '@corral/contracts';
import { orderMetadata } from '@corral/api-machinery';
import { z } from 'zod';

const Record = z.record(z.string(), z.unknown());
const Texts = z.record(z.string(), z.string());

/** The columns of `objects`, as the store selects them. */
export const StoredRow = z.object({
  uid: z.string(),
  namespace: z.string(),
  name: z.string(),
  generate_name: z.string().nullable(),
  resource_version: z.string(),
  generation: z.coerce.number(),
  created: z.string(),
  deleted: z.string().nullable(),
  deletion_grace_period_seconds: z.number().nullable(),
  labels: Texts,
  annotations: Texts,
  finalizers: z.array(z.string()),
  owner_references: z.array(OwnerReference),
  managed_fields: z.array(z.unknown()).nullable(),
  spec: z.unknown(),
  status: z.unknown(),
  body: Record.nullable(),
});
export type StoredRow = z.output<typeof StoredRow>;

export function objectOfRow(kind: KindDefinition, row: StoredRow): KubeObject {
  const metadata: ObjectMeta = orderMetadata({
    name: row.name,
    generateName: row.generate_name ?? undefined,
    namespace: row.namespace || undefined,
    uid: row.uid,
    resourceVersion: row.resource_version,
    generation: row.generation,
    creationTimestamp: row.created,
    deletionTimestamp: row.deleted ?? undefined,
    deletionGracePeriodSeconds: row.deletion_grace_period_seconds ?? undefined,
    labels: Object.keys(row.labels).length > 0 ? row.labels : undefined,
    annotations: Object.keys(row.annotations).length > 0 ? row.annotations : undefined,
    finalizers: row.finalizers.length > 0 ? row.finalizers : undefined,
    ownerReferences: row.owner_references.length > 0 ? row.owner_references : undefined,
    managedFields: row.managed_fields ?? undefined,
  });
  return {
    apiVersion: apiVersionOf(kind),
    kind: kind.kind,
    metadata,
    ...row.body,
    ...(row.spec === null ? {} : { spec: row.spec }),
    ...(row.status === null ? {} : { status: row.status }),
  };
}

/** An object of the change log, whose version is a column of its own. */
export const LoggedObject = z.object({ apiVersion: z.string(), kind: z.string(), metadata: Record }).loose();

export function objectOfLog(logged: z.output<typeof LoggedObject>, resourceVersion: string): KubeObject {
  return { ...logged, metadata: { ...logged.metadata, resourceVersion } as unknown as ObjectMeta };
}
