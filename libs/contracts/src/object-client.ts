import type { KindDefinition } from './kind.ts';
import type { KubeObject, ObjectMeta, WatchEvent } from './metadata.ts';

/** What a caller gives to create an object: names and wishes; the server adds the rest. */
export interface NewObject<Spec = unknown> {
  readonly metadata: Pick<ObjectMeta, 'name'> &
    Partial<Pick<ObjectMeta, 'namespace' | 'generateName' | 'labels' | 'annotations' | 'finalizers' | 'ownerReferences'>>;
  readonly spec?: Spec;
}

export interface ListOptions {
  /** Absent: every namespace. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface ObjectList<T extends KubeObject = KubeObject> {
  readonly items: readonly T[];
  /** Where to begin a watch so that nothing is missed. */
  readonly resourceVersion: string;
}

/**
 * The API as controllers and nodes use it. Two adapters keep one contract: in process (apps/api) and over HTTP
 * (libs/client). Refusals are Problems: `object.not-found`, `object.exists`, `object.conflict` (stale resourceVersion),
 * `object.invalid`, `version.expired` (watch again from a new list), `dependency.unavailable` (try again).
 */
export interface ObjectClient {
  get<Spec, Status>(kind: KindDefinition<Spec, Status>, namespace: string | undefined, name: string): Promise<KubeObject<Spec, Status> | undefined>;
  list<Spec, Status>(kind: KindDefinition<Spec, Status>, options?: ListOptions): Promise<ObjectList<KubeObject<Spec, Status>>>;
  create<Spec, Status>(kind: KindDefinition<Spec, Status>, object: NewObject<Spec>): Promise<KubeObject<Spec, Status>>;
  /** Writes metadata and spec; refused when `metadata.resourceVersion` is stale. */
  replace<Spec, Status>(kind: KindDefinition<Spec, Status>, object: KubeObject<Spec, Status>): Promise<KubeObject<Spec, Status>>;
  /** Writes status only; refused when `metadata.resourceVersion` is stale. */
  replaceStatus<Spec, Status>(kind: KindDefinition<Spec, Status>, object: KubeObject<Spec, Status>): Promise<KubeObject<Spec, Status>>;
  /** Deleting what is gone succeeds. */
  delete<Spec, Status>(kind: KindDefinition<Spec, Status>, namespace: string | undefined, name: string, preconditions?: { readonly uid?: string }): Promise<void>;
  /** Events after `resourceVersion`, bookmarks included, until the signal aborts (then it ends) or the server ends it. */
  watch<Spec, Status>(
    kind: KindDefinition<Spec, Status>,
    options: ListOptions & { readonly resourceVersion: string; readonly signal: AbortSignal },
  ): AsyncIterable<WatchEvent<KubeObject<Spec, Status>>>;
}

/** Names one object of a kind already known. */
export interface ObjectKey {
  readonly namespace: string;
  readonly name: string;
}
