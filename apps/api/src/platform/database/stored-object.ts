import { apiVersionOf, type KindDefinition, type KubeObject, type ObjectMeta } from '@corral/contracts';
import { z } from 'zod';

/** An object as the tables keep it: whole, except that its version is a column. */
export const StoredObject = z.object({ metadata: z.record(z.string(), z.unknown()) }).loose();
type StoredObject = z.output<typeof StoredObject>;

/** A row of `objects`: type and version are the kind's own. */
export function objectOfRow(kind: KindDefinition, stored: StoredObject, resourceVersion: string): KubeObject {
  return withVersion({ apiVersion: apiVersionOf(kind), kind: kind.kind, ...stored }, resourceVersion);
}

export function withVersion<T extends { readonly metadata: object }>(object: T, resourceVersion: string): KubeObject {
  return { ...object, metadata: { ...object.metadata, resourceVersion } as ObjectMeta } as unknown as KubeObject;
}

/** The text the tables keep. The place of the version stays, so that the order of fields does too. */
export function storedText(object: KubeObject): string {
  return JSON.stringify({ ...object, metadata: { ...object.metadata, resourceVersion: '' } });
}
