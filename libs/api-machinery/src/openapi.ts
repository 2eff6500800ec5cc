import { apiVersionOf, type KindDefinition } from '@corral/contracts';
import { acceptedPatchTypes } from './patch.ts';
import { isRecord, type JsonRecord } from './field-path.ts';
import { jsonSchemaOf } from './json-schema.ts';

/** OpenAPI v3 of one group version, from the same schemas that validate: what `kubectl apply`, `create` and `explain` read. */
export function openApiDocument(kinds: readonly KindDefinition[], serverVersion: string): JsonRecord {
  return {
    openapi: '3.0.0',
    info: { title: 'Corral', version: serverVersion },
    paths: Object.assign({}, ...kinds.map(pathsOf)) as JsonRecord,
    components: { schemas: { ...META_SCHEMAS, ...(Object.assign({}, ...kinds.map(schemasOf)) as JsonRecord) } },
  };
}

/** `dev.corral.v1.VirtualMachine`; Kubernetes's own are `io.k8s.api.core.v1.Node`. */
function schemaName({ group, version, kind }: KindDefinition): string {
  if (group.endsWith('k8s.io') || group === '') return `io.k8s.api.${group === '' ? 'core' : (group.split('.')[0] ?? '')}.${version}.${kind}`;
  return `${group.split('.').reverse().join('.')}.${version}.${kind}`;
}

const ref = (name: string): JsonRecord => ({ $ref: `#/components/schemas/${name}` });
const OBJECT_META = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta';
const LIST_META = 'io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta';
const STATUS = 'io.k8s.apimachinery.pkg.apis.meta.v1.Status';
const DELETE_OPTIONS = 'io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions';

const groupVersionKind = ({ group, version, kind }: KindDefinition) => ({ group, version, kind });

function schemasOf(kind: KindDefinition): JsonRecord {
  const body = jsonSchemaOf(kind.body);
  const properties = {
    apiVersion: { type: 'string', description: 'APIVersion defines the versioned schema of this representation of an object.' },
    kind: { type: 'string', description: 'Kind is the REST resource this object represents.' },
    metadata: { description: 'Standard object metadata.', default: {}, allOf: [ref(OBJECT_META)] },
    ...(isRecord(body['properties']) ? body['properties'] : {}),
    ...(kind.status ? { status: { description: 'What is observed. Written by the system.', ...jsonSchemaOf(kind.status) } } : {}),
  };
  const name = schemaName(kind);
  return {
    [name]: {
      type: 'object',
      description: `${kind.kind} is a kind of ${apiVersionOf(kind)}.`,
      properties,
      ...(Array.isArray(body['required']) ? { required: body['required'] } : {}),
      'x-kubernetes-group-version-kind': [groupVersionKind(kind)],
    },
    [`${name}List`]: {
      type: 'object',
      description: `A list of ${kind.kind}.`,
      properties: { apiVersion: properties.apiVersion, kind: properties.kind, metadata: { allOf: [ref(LIST_META)] }, items: { type: 'array', items: ref(name) } },
      required: ['items'],
      'x-kubernetes-group-version-kind': [{ ...groupVersionKind(kind), kind: `${kind.kind}List` }],
    },
  };
}

const query = (name: string, description: string, type = 'string') => ({ name, in: 'query', description, schema: { type, uniqueItems: true } });
const WRITE_PARAMETERS = [
  query('dryRun', 'All: do everything but store it.'),
  query('fieldManager', 'Who makes the change.'),
  query('fieldValidation', 'What to do about unknown and duplicate fields: Strict, Warn or Ignore.'),
];
const LIST_PARAMETERS = [
  query('labelSelector', 'Only objects with these labels.'),
  query('fieldSelector', 'Only objects with these fields.'),
  query('limit', 'At most this many objects.', 'integer'),
  query('continue', 'The next page of an earlier list.'),
  query('resourceVersion', 'A list not older than this, or a watch from here.'),
  query('resourceVersionMatch', 'Exact or NotOlderThan.'),
  query('watch', 'Stream changes instead of a list.', 'boolean'),
  query('allowWatchBookmarks', 'Send bookmarks.', 'boolean'),
  query('sendInitialEvents', 'Begin a watch with what exists.', 'boolean'),
  query('timeoutSeconds', 'End the watch after this long.', 'integer'),
];
const DELETE_PARAMETERS = [
  query('dryRun', 'All: do everything but store it.'),
  query('gracePeriodSeconds', 'Ignored: nothing waits.', 'integer'),
  query('propagationPolicy', 'Background, Foreground or Orphan.'),
];

function pathsOf(kind: KindDefinition): JsonRecord {
  const root = kind.group === '' ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`;
  const isNamespaced = kind.scope === 'Namespaced';
  const collection = `${root}${isNamespaced ? '/namespaces/{namespace}' : ''}/${kind.plural}`;
  const object = `${collection}/{name}`;
  const pathParameters = (names: readonly string[]) => names.map((name) => ({ name, in: 'path', required: true, schema: { type: 'string', uniqueItems: true } }));
  const namespace = isNamespaced ? ['namespace'] : [];
  const name = schemaName(kind);
  const operation = (action: string, parameters: unknown[], response: string, body?: readonly string[], schema = name) => ({
    operationId: `${action}${kind.group === '' ? 'Core' : kind.group.replace(/\W/g, '_')}${kind.version}${kind.kind}${action === 'list' ? 'Collection' : ''}`,
    parameters,
    ...(body ? { requestBody: { required: true, content: Object.fromEntries(body.map((type) => [type, { schema: type.includes('patch') ? { type: 'object' } : ref(schema) }])) } } : {}),
    responses: { 200: { description: 'OK', content: { 'application/json': { schema: ref(response) }, 'application/yaml': { schema: ref(response) } } } },
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': groupVersionKind(kind),
  });
  const written = ['application/json', 'application/yaml'];
  const collectionOperations = {
    get: operation('list', LIST_PARAMETERS, `${name}List`),
    post: operation('post', WRITE_PARAMETERS, name, written),
    delete: operation('deletecollection', [...LIST_PARAMETERS.slice(0, 4), ...DELETE_PARAMETERS], STATUS),
    parameters: pathParameters(namespace),
  };
  const statusPath = `${object}/status`;
  if (kind.verbs && !kind.verbs.includes('create')) {
    return {
      [`${root}/${kind.plural}`]: { get: collectionOperations.get, parameters: [] },
      [collection]: { get: collectionOperations.get, parameters: collectionOperations.parameters },
      [object]: { get: operation('get', [], name), parameters: pathParameters([...namespace, 'name']) },
    };
  }
  return {
    ...(isNamespaced ? { [`${root}/${kind.plural}`]: { get: operation('list', LIST_PARAMETERS, `${name}List`), parameters: [] } } : {}),
    [collection]: collectionOperations,
    [object]: {
      get: operation('get', [], name),
      put: operation('put', WRITE_PARAMETERS, name, written),
      patch: operation('patch', [...WRITE_PARAMETERS, query('force', 'Take fields from their managers.', 'boolean')], name, acceptedPatchTypes(kind)),
      delete: operation('delete', DELETE_PARAMETERS, STATUS, written, DELETE_OPTIONS),
      parameters: pathParameters([...namespace, 'name']),
    },
    ...(kind.status
      ? {
          [statusPath]: {
            get: operation('get', [], name),
            put: operation('put', WRITE_PARAMETERS, name, written),
            patch: operation('patch', WRITE_PARAMETERS, name, acceptedPatchTypes(kind)),
            parameters: pathParameters([...namespace, 'name']),
          },
        }
      : {}),
  };
}

const text = (description: string) => ({ type: 'string', description });
const texts = (description: string) => ({ type: 'object', description, additionalProperties: { type: 'string', default: '' } });
const META_SCHEMAS: JsonRecord = {
  [OBJECT_META]: {
    type: 'object',
    description: 'ObjectMeta is metadata that all persisted resources must have.',
    properties: {
      name: text('Unique within a namespace and kind.'),
      generateName: text('Prefix of a name the server makes up.'),
      namespace: text('The namespace the object lives in.'),
      uid: text('Unique in time and space.'),
      resourceVersion: text('Changes with every write; sent back, it guards against lost updates.'),
      generation: { type: 'integer', format: 'int64', description: 'One higher with every change of the desired state.' },
      creationTimestamp: { type: 'string', format: 'date-time', description: 'When the server created it.' },
      deletionTimestamp: { type: 'string', format: 'date-time', description: 'When its deletion was asked for.' },
      deletionGracePeriodSeconds: { type: 'integer', format: 'int64', description: 'Always 0.' },
      labels: texts('Keys and values to select by.'),
      annotations: texts('Keys and values that say more.'),
      finalizers: { type: 'array', description: 'What must be done before the object may go.', items: { type: 'string', default: '' } },
      ownerReferences: { type: 'array', description: 'Objects it depends on.', items: { type: 'object', properties: { apiVersion: text('Of the owner.'), kind: text('Of the owner.'), name: text('Of the owner.'), uid: text('Of the owner.'), controller: { type: 'boolean' }, blockOwnerDeletion: { type: 'boolean' } }, required: ['apiVersion', 'kind', 'name', 'uid'] } },
      managedFields: { type: 'array', description: 'Who manages which field.', items: { type: 'object' } },
    },
  },
  [LIST_META]: { type: 'object', properties: { resourceVersion: text('Version of the list.'), continue: text('Token of the next page.'), remainingItemCount: { type: 'integer', format: 'int64' } } },
  [STATUS]: {
    type: 'object',
    description: 'Status is a return value for calls that do not return other objects.',
    properties: { apiVersion: text(''), kind: text(''), status: text('Success or Failure.'), message: text('For people.'), reason: text('For programs.'), code: { type: 'integer', format: 'int32' }, details: { type: 'object' } },
    'x-kubernetes-group-version-kind': [{ group: '', version: 'v1', kind: 'Status' }],
  },
  [DELETE_OPTIONS]: {
    type: 'object',
    properties: { apiVersion: text(''), kind: text(''), gracePeriodSeconds: { type: 'integer', format: 'int64' }, propagationPolicy: text('Background, Foreground or Orphan.'), dryRun: { type: 'array', items: { type: 'string' } }, preconditions: { type: 'object', properties: { uid: text(''), resourceVersion: text('') } } },
    'x-kubernetes-group-version-kind': [{ group: '', version: 'v1', kind: 'DeleteOptions' }],
  },
};
