import { type KubeObject } from '@corral/contracts';

/** The object with one finalizer more, if it has it not yet. */
export function withFinalizer<T extends KubeObject>(object: T, finalizer: string): T {
  const finalizers = object.metadata.finalizers ?? [];
  return finalizers.includes(finalizer) ? object : { ...object, metadata: { ...object.metadata, finalizers: [...finalizers, finalizer] } };
}

export function withoutFinalizer<T extends KubeObject>(object: T, finalizer: string): T {
  const finalizers = (object.metadata.finalizers ?? []).filter((held) => held !== finalizer);
  return { ...object, metadata: { ...object.metadata, finalizers } };
}
