import { isDeepStrictEqual } from 'node:util';
import { type KindDefinition, type KubeObject, type ObjectClient } from '@corral/contracts';
import { type Informer } from '@corral/reconcile';

/** Writes the status when it differs from what the object has, and lets the local copy know. */
export async function writeStatus<Spec, Status>(
  objects: ObjectClient,
  informer: Informer<Spec, Status>,
  kind: KindDefinition<Spec, Status>,
  object: KubeObject<Spec, Status>,
  status: Status,
): Promise<KubeObject<Spec, Status>> {
  if (isDeepStrictEqual(object.status, status)) return object;
  const written = await objects.replaceStatus(kind, { ...object, status });
  informer.observe(written);
  return written;
}
