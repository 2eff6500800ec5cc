import { namespaces, toKubeTime, type KindDefinition, type KubeObject, type Namespace, type OwnerReference } from '@corral/contracts';
import { isRecord } from './field-path.ts';

export type PropagationPolicy = 'Background' | 'Foreground' | 'Orphan';

export const FOREGROUND_FINALIZER = 'foregroundDeletion';
export const ORPHAN_FINALIZER = 'orphan';

export interface DeleteOptions {
  readonly preconditions?: { readonly uid?: string | undefined; readonly resourceVersion?: string | undefined };
  readonly propagationPolicy?: PropagationPolicy | undefined;
  readonly gracePeriodSeconds?: number | undefined;
  readonly dryRun: boolean;
}

/** What a delete does to an object: gone at once, or marked and held until its last finalizer is removed. */
export type Deletion =
  | { readonly outcome: 'Remove' }
  | { readonly outcome: 'Mark'; readonly object: KubeObject }
  | { readonly outcome: 'AlreadyMarked' };

export function planDeletion(kind: KindDefinition, object: KubeObject, options: Pick<DeleteOptions, 'propagationPolicy'>, now: Date): Deletion {
  const withPolicy = withPropagation(object, options.propagationPolicy);
  if (!isHeld(kind, withPolicy)) return { outcome: 'Remove' };
  if (object.metadata.deletionTimestamp !== undefined) return { outcome: 'AlreadyMarked' };
  const { generation } = object.metadata;
  const marked: KubeObject = {
    ...withPolicy,
    metadata: { ...withPolicy.metadata, generation: generation + 1, deletionTimestamp: toKubeTime(now), deletionGracePeriodSeconds: 0 },
  };
  return { outcome: 'Mark', object: isNamespace(kind) ? { ...marked, status: { ...(isRecord(marked.status) ? marked.status : {}), phase: 'Terminating' } } : marked };
}

/** Whether something still has to be done before the object may go. A Namespace is also held by its own spec.finalizers. */
export function isHeld(kind: KindDefinition, object: KubeObject): boolean {
  const specFinalizers = isNamespace(kind) ? ((object as Namespace).spec?.finalizers ?? []) : [];
  return (object.metadata.finalizers?.length ?? 0) > 0 || specFinalizers.length > 0;
}

/** Whether a write takes away the last thing that held an object being deleted. */
export function isReleased(kind: KindDefinition, object: KubeObject): boolean {
  return object.metadata.deletionTimestamp !== undefined && !isHeld(kind, object);
}

const isNamespace = (kind: KindDefinition): boolean => kind.group === namespaces.group && kind.plural === namespaces.plural;

function withPropagation(object: KubeObject, policy: PropagationPolicy | undefined): KubeObject {
  const finalizer = policy === 'Foreground' ? FOREGROUND_FINALIZER : policy === 'Orphan' ? ORPHAN_FINALIZER : undefined;
  const finalizers = object.metadata.finalizers ?? [];
  if (!finalizer || finalizers.includes(finalizer)) return object;
  return { ...object, metadata: { ...object.metadata, finalizers: [...finalizers, finalizer] } };
}

/** What the garbage collector does about an object some of whose owners are gone. */
export type Collection =
  | { readonly action: 'Keep' }
  | { readonly action: 'Delete' }
  | { readonly action: 'Disown'; readonly ownerReferences: readonly OwnerReference[] };

/** An object whose owners are all gone goes too; one with an owner left only forgets the others. */
export function planCollection(object: KubeObject, isGone: (owner: OwnerReference) => boolean): Collection {
  const owners = object.metadata.ownerReferences ?? [];
  if (owners.length === 0 || object.metadata.deletionTimestamp !== undefined) return { action: 'Keep' };
  const remaining = owners.filter((owner) => !isGone(owner));
  if (remaining.length === owners.length) return { action: 'Keep' };
  return remaining.length === 0 ? { action: 'Delete' } : { action: 'Disown', ownerReferences: remaining };
}
