import type { z } from 'zod';
import type { KubeObject } from './metadata.ts';
import type { FieldProblem } from './problems.ts';

/** A column of `kubectl get`. The first is always Name. Source: metav1.TableColumnDefinition. */
export interface TableColumn<T extends KubeObject = KubeObject> {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'boolean' | 'date';
  readonly format?: 'name';
  readonly description: string;
  /** 0 is always shown; 1 only with `-o wide`. */
  readonly priority?: 0 | 1;
  value(object: T, now: Date): string | number | boolean;
}

/** As a method is: what the machinery knows of a kind without its types still takes the kind's objects. */
export type FieldReader<T extends KubeObject = KubeObject> = { read(object: T): string }['read'];

/**
 * Everything the API machinery needs to serve a kind. A new kind is one of these, plus a reconciler where something
 * must be done about its objects.
 */
export interface KindDefinition<Spec = unknown, Status = unknown> {
  /** Empty for the core group (`v1`). */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly scope: 'Namespaced' | 'Cluster';
  /** `PathSegment`: whatever fits between two slashes, such as `system:node`. */
  readonly nameRule: 'DnsLabel' | 'DnsSubdomain' | 'PathSegment';
  /** Built-in kinds take strategic merge patches and unconditional PUTs; custom kinds do not (Kubernetes does the same). */
  readonly builtIn: boolean;
  /** What can be done with its objects, where that is not everything: objects that are computed are never written. */
  readonly verbs?: readonly string[];
  /** Top-level fields beside apiVersion, kind, metadata and status: usually only `spec`. */
  readonly body: z.ZodObject;
  /** Absent when the kind has no status subresource. */
  readonly status?: z.ZodType<Status>;
  /** Columns after Name and before Age; the machinery adds those two. */
  readonly columns: readonly TableColumn<KubeObject<Spec, Status>>[];
  /** Its columns say how old an object is: the machinery adds no Age. */
  readonly hasOwnAge?: boolean;
  /** Field selectors beside metadata.name and metadata.namespace: path → the value as a string. */
  readonly selectableFields: Readonly<Record<string, FieldReader<KubeObject<Spec, Status>>>>;
  /** Those of its selectable fields by which very many select at once, each another value: lists and watches find objects by them. */
  readonly indexedFields?: readonly string[];
  /** Whether a change only says that somebody is still there. Nobody waits closely for those: a store may gather some for tens of milliseconds. Pure. */
  isRenewal?(object: KubeObject<Spec, Status>, previous: KubeObject<Spec, Status>): boolean;
  /** Names that may never be deleted, because the server itself lives in them. A kind with any has no deletecollection. */
  readonly undeletable?: readonly string[];
  /** The form that is stored and given back, of what was sent and fits the schema. Pure. */
  normalize?(object: KubeObject<Spec, Status>): KubeObject<Spec, Status>;
  /** Rules zod cannot say, among them those that compare with the previous object. Pure. */
  validate?(object: KubeObject<Spec, Status>, previous: KubeObject<Spec, Status> | undefined): readonly FieldProblem[];
  /** What is accepted, but whoever writes it should know: sent with every write as a Warning header. Pure. */
  warnings?(object: KubeObject<Spec, Status>): readonly string[];
}

/** `corral.dev/v1`, or `v1` for the core group. */
export function apiVersionOf(kind: Pick<KindDefinition, 'group' | 'version'>): string {
  return kind.group === '' ? kind.version : `${kind.group}/${kind.version}`;
}

/** `virtualmachines.corral.dev`, or `nodes` for the core group: how messages name a kind. */
export function qualifiedResource(kind: Pick<KindDefinition, 'group' | 'plural'>): string {
  return kind.group === '' ? kind.plural : `${kind.plural}.${kind.group}`;
}

/** `/apis/corral.dev/v1/namespaces/default/virtualmachines/demo`, or the collection when no name is given. */
export function apiPath(
  kind: Pick<KindDefinition, 'group' | 'version' | 'plural' | 'scope'>,
  namespace?: string,
  name?: string,
  subresource?: string,
): string {
  const root = kind.group === '' ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`;
  const scope = kind.scope === 'Namespaced' && namespace ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  const object = name ? `/${encodeURIComponent(name)}` : '';
  return `${root}${scope}/${kind.plural}${object}${subresource ? `/${subresource}` : ''}`;
}
