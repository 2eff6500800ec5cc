import { ageText, apiVersionOf, Problem, type KindDefinition, type KubeObject } from '@corral/contracts';

/** How a caller wants objects written. Source: Kubernetes API concepts, "Receiving resources as Tables". */
export interface Representation {
  readonly form: 'Object' | 'Table' | 'PartialObjectMetadata';
  readonly encoding: 'json' | 'yaml';
  /** For tables: what of each object comes along. */
  readonly includeObject: 'None' | 'Metadata' | 'Object';
}

const META_GROUP = 'meta.k8s.io';
const META_VERSION = `${META_GROUP}/v1`;

/** Chooses from an Accept header the first thing we can write; a watch is written in JSON alone. Refuses with 406 when there is none. */
export function negotiate(accept: string | undefined, includeObject?: string, isWatch = false): Representation {
  const include = includeObject === 'None' || includeObject === 'Object' ? includeObject : 'Metadata';
  for (const range of (accept?.trim() || '*/*').split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const parameter = (name: string): string | undefined => parameters.find((text) => text.startsWith(`${name}=`))?.slice(name.length + 1);
    const encoding = ENCODINGS[type];
    if (!encoding || (isWatch && encoding !== 'json')) continue;
    const as = parameter('as');
    if (as === undefined) return { form: 'Object', encoding, includeObject: include };
    if (parameter('g') !== META_GROUP || parameter('v') !== 'v1') continue;
    if (as === 'table') return { form: 'Table', encoding, includeObject: include };
    if (as === 'partialobjectmetadata' || as === 'partialobjectmetadatalist') return { form: 'PartialObjectMetadata', encoding, includeObject: include };
  }
  throw new Problem('media.not-acceptable', 'only the following media types are accepted: application/json, application/yaml, application/json;as=Table;v=v1;g=meta.k8s.io, application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io');
}

const ENCODINGS: Readonly<Record<string, 'json' | 'yaml' | undefined>> = {
  'application/json': 'json', 'application/*': 'json', '*/*': 'json', 'application/yaml': 'yaml',
};

export interface ListMeta {
  readonly resourceVersion: string;
  readonly continue?: string;
  readonly remainingItemCount?: number;
}

export function presentObject(kind: KindDefinition, object: KubeObject, { form, includeObject }: Representation, now: Date): unknown {
  switch (form) {
    case 'Object':
      return object;
    case 'PartialObjectMetadata':
      return partialMetadata(object);
    case 'Table':
      return tableOf(kind, [object], { resourceVersion: object.metadata.resourceVersion }, includeObject, now, true);
  }
}

export function presentList(kind: KindDefinition, objects: readonly KubeObject[], metadata: ListMeta, { form, includeObject }: Representation, now: Date): unknown {
  switch (form) {
    case 'Object':
      // Items of a list carry no apiVersion and kind for built-in kinds in Kubernetes; both are allowed, and clearer.
      return { kind: `${kind.kind}List`, apiVersion: apiVersionOf(kind), metadata, items: objects };
    case 'PartialObjectMetadata':
      return { kind: 'PartialObjectMetadataList', apiVersion: META_VERSION, metadata, items: objects.map(partialMetadata) };
    case 'Table':
      return tableOf(kind, objects, metadata, includeObject, now, true);
  }
}

/** The object of one watch event; column definitions come with the first one only. */
export function presentEventObject(kind: KindDefinition, object: KubeObject, { form, includeObject }: Representation, now: Date, isFirst: boolean): unknown {
  if (form === 'Table') return tableOf(kind, [object], { resourceVersion: object.metadata.resourceVersion }, includeObject, now, isFirst);
  return form === 'PartialObjectMetadata' ? partialMetadata(object) : object;
}

/** A bookmark: nothing but a version. In table form a table without rows. */
export function presentBookmark(kind: KindDefinition, resourceVersion: string, { form }: Representation, isInitialEnd: boolean): unknown {
  const metadata = { resourceVersion, ...(isInitialEnd ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}) };
  if (form === 'Table') return { kind: 'Table', apiVersion: META_VERSION, metadata: { resourceVersion }, columnDefinitions: [], rows: isInitialEnd ? [{ cells: [], object: { kind: 'PartialObjectMetadata', apiVersion: META_VERSION, metadata } }] : [] };
  if (form === 'PartialObjectMetadata') return { kind: 'PartialObjectMetadata', apiVersion: META_VERSION, metadata };
  return { kind: kind.kind, apiVersion: apiVersionOf(kind), metadata };
}

function partialMetadata({ metadata }: KubeObject): unknown {
  return { kind: 'PartialObjectMetadata', apiVersion: META_VERSION, metadata };
}

function tableOf(
  kind: KindDefinition,
  objects: readonly KubeObject[],
  metadata: ListMeta,
  includeObject: Representation['includeObject'],
  now: Date,
  withColumns: boolean,
): unknown {
  return {
    kind: 'Table',
    apiVersion: META_VERSION,
    metadata,
    columnDefinitions: withColumns ? columnsOf(kind) : [],
    rows: objects.map((object) => ({
      cells: [object.metadata.name, ...kind.columns.map((column) => column.value(object, now)), ...(kind.hasOwnAge ? [] : [ageText(object.metadata.creationTimestamp, now)])],
      ...(includeObject === 'None' ? {} : { object: includeObject === 'Object' ? object : partialMetadata(object) }),
    })),
  };
}

function columnsOf(kind: KindDefinition): unknown[] {
  return [
    { name: 'Name', type: 'string', format: 'name', description: 'Name of the object, unique in its namespace and kind.', priority: 0 },
    ...kind.columns.map(({ name, type, format, description, priority }) => ({ name, type, format: format ?? '', description, priority: priority ?? 0 })),
    ...(kind.hasOwnAge ? [] : [{ name: 'Age', type: 'string', format: '', description: 'Time since it was created.', priority: 0 }]),
  ];
}
