import type { KindDefinition, KubeObject } from '@corral/contracts';
import type { FieldValue } from './field-selector.ts';

/** One write, as the change log keeps it. */
export interface Change {
  readonly resourceVersion: number;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  /** The kind, as qualifiedResource says it. */
  readonly resource: string;
  /** After the write; for DELETED as it was last. Carries the change's version. */
  readonly object: KubeObject;
  readonly previous: KubeObject | undefined;
}

export interface StoreQuery {
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
  readonly labels?: Readonly<Record<string, string>>;
  /** A value of an indexed field. A hint: a store without an index answers with objects of other values too. */
  readonly field?: FieldValue | undefined;
  /** Begin after this key, in order of namespace and name. */
  readonly after?: { readonly namespace: string; readonly name: string } | undefined;
  readonly limit?: number | undefined;
  /** Where objects have to be fetched, no more than this many at once: the page may then be shorter than `limit`. */
  readonly batch?: number | undefined;
  /** Any state will do, even one from before writes that were acknowledged; never one from before what this process has shown. */
  readonly mayBeOld?: boolean | undefined;
  /** The state at this version instead of now. */
  readonly at?: number | undefined;
}

export interface StoredPage {
  readonly objects: readonly KubeObject[];
  readonly resourceVersion: number;
  /** How many more follow this page in the same query. */
  readonly remaining: number;
}

/** One of the writes of a transaction; refusals as those of the single writes. */
export type Write = WriteAssumptions & WriteOperation;

export interface WriteAssumptions {
  /** How many quotas its writer knows in its namespace; with any other number it is refused with `quotas.unknown`. */
  readonly quotas?: number;
}

type WriteOperation =
  | { readonly type: 'Create'; readonly kind: KindDefinition; readonly object: KubeObject }
  | { readonly type: 'Update'; readonly kind: KindDefinition; readonly current: KubeObject; readonly next: KubeObject }
  | { readonly type: 'Remove'; readonly kind: KindDefinition; readonly current: KubeObject; readonly final: KubeObject };

/** Where objects live. Versions are one increasing sequence over all kinds and become visible in order. Objects it hands out are shared: they are never changed in place. */
export interface Store {
  get(kind: KindDefinition, namespace: string | undefined, name: string): Promise<KubeObject | undefined>;
  /** Refuses with `version.expired` when `at` is no longer known. */
  list(kind: KindDefinition, query: StoreQuery): Promise<StoredPage>;
  /** Refuses with `object.exists`, and when the namespace is missing or terminating. */
  create(kind: KindDefinition, object: KubeObject): Promise<KubeObject>;
  /** Writes `next` where `current` is stored now; refuses with `object.conflict` or `object.not-found` otherwise. */
  update(kind: KindDefinition, current: KubeObject, next: KubeObject): Promise<KubeObject>;
  /** Removes `current`; `final` is what watchers see of it. Refusals as update. */
  remove(kind: KindDefinition, current: KubeObject, final: KubeObject): Promise<KubeObject>;
  /** All of them, in order, each about another object and with a version of its own, or none: then refuses as one that cannot be done. */
  transact(writes: readonly Write[]): Promise<readonly KubeObject[]>;
  currentVersion(): Promise<number>;
  /** Changes after a version, oldest first. Refuses with `version.expired` when some are forgotten. */
  changesAfter(version: number, limit: number, resource?: string): Promise<readonly Change[]>;
}
