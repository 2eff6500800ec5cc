import { apiPath, type KindDefinition } from '@corral/contracts';
import type { z } from 'zod';
import { BODY_MEDIA_TYPES } from './protobuf-body.ts';
import { OBJECT_MEDIA_TYPES } from './decode.ts';
import type { JsonRecord } from './field-path.ts';
import { jsonSchemaOf } from './json-schema.ts';
import { DELETE_OPTIONS, schemaRef, STATUS } from './openapi-meta.ts';
import { acceptedPatchTypes } from './patch.ts';

/** What a route that is not generic is for. Stands beside the route. */
export interface RouteDescription {
  readonly summary: string;
  /** Parameters of the query: name → what it says. */
  readonly query?: Readonly<Record<string, string>>;
  /** What the body must be; a media type for one that is taken as it is. */
  readonly body?: z.ZodType | string;
  /** What a success says; a media type for one that is no JSON. */
  readonly answer?: z.ZodType | string;
  /** The code of a success, where it is not 200. */
  readonly code?: number;
}

/** A route as the server has it; its path in OpenAPI's notation: `/api/v1/nodes/{name}`. */
export interface ServedRoute {
  readonly method: string;
  readonly path: string;
  readonly description?: RouteDescription | undefined;
  /** A handshake is taken here too. */
  readonly isWebSocket?: boolean;
}

/** The paths of these routes: generic ones as their kind says, others as they are described. */
export function openApiPaths(kinds: readonly KindDefinition[], schemaName: (kind: KindDefinition) => string, routes: readonly ServedRoute[]): JsonRecord {
  const generic = new Map(kinds.flatMap((kind) => operationsOf(kind, schemaName(kind))));
  const paths: Record<string, JsonRecord> = {};
  for (const route of routes) {
    const operation = generic.get(`${route.method} ${route.path}`) ?? describedOperation(route);
    const item = (paths[route.path] ??= pathItem(route.path));
    item[route.method.toLowerCase()] = route.isWebSocket ? { ...operation, 'x-corral-websocket': true } : operation;
  }
  return paths;
}

function pathItem(path: string): JsonRecord {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
  return { parameters: names.map((name) => ({ name, in: 'path', required: true, description: PATH_PARAMETERS[name] ?? '', schema: { type: 'string', uniqueItems: true } })) };
}
const PATH_PARAMETERS: Readonly<Record<string, string>> = { namespace: 'The namespace of the object.', name: 'The name of the object.' };

const parameter = (place: 'query' | 'header') => (name: string, description: string, type = 'string') => ({ name, in: place, description, schema: { type, uniqueItems: true } });
const query = parameter('query');
const WRITE_PARAMETERS = [
  query('dryRun', 'All: do everything but store it.'),
  query('fieldManager', 'Who makes the change, in managedFields; by default the name of the client.'),
  query('fieldValidation', 'What to do about unknown and duplicate fields: Strict, Warn or Ignore.'),
];
const CREATE_PARAMETERS = [...WRITE_PARAMETERS, parameter('header')('Idempotency-Key', 'The same key and body again are the same object.')];
const PATCH_PARAMETERS = [...WRITE_PARAMETERS, query('force', 'Of apply: take fields from their managers.', 'boolean')];
const READ_PARAMETERS = [query('includeObject', 'Of a Table: None, Metadata or Object.')];
const SELECTION_PARAMETERS = [
  query('labelSelector', 'Only objects with these labels.'),
  query('fieldSelector', 'Only objects with these fields.'),
  query('limit', 'At most this many objects.', 'integer'),
  query('continue', 'The next page of an earlier list.'),
  query('resourceVersion', 'A list not older than this, or a watch from here.'),
  query('resourceVersionMatch', 'Exact or NotOlderThan.'),
];
const LIST_PARAMETERS = [
  ...SELECTION_PARAMETERS,
  query('watch', 'Stream changes instead of a list.', 'boolean'),
  query('allowWatchBookmarks', 'Send bookmarks.', 'boolean'),
  query('sendInitialEvents', 'Begin a watch with what exists.', 'boolean'),
  query('timeoutSeconds', 'End the watch after this long.', 'integer'),
  ...READ_PARAMETERS,
];
const DELETE_PARAMETERS = [
  query('dryRun', 'All: do everything but store it.'),
  query('gracePeriodSeconds', 'Nothing waits: it counts for nothing.', 'integer'),
  query('propagationPolicy', 'Background, Foreground or Orphan.'),
  query('orphanDependents', 'The older way to say Orphan.', 'boolean'),
];
const WAIT_PARAMETERS = [query('for', 'condition=<type>, condition=<type>=<status>, or delete.'), query('timeoutSeconds', 'Give up after this long.', 'integer')];

interface Operation {
  readonly action: string;
  readonly parameters: readonly unknown[];
  readonly answer: string;
  readonly body?: { readonly mediaTypes: readonly string[]; readonly schema?: string };
  readonly code?: number;
}

/** What can be done with a kind: `GET /api/v1/nodes` → its operation. */
function operationsOf(kind: KindDefinition, schema: string): [route: string, operation: JsonRecord][] {
  const isNamespaced = kind.scope === 'Namespaced';
  const everywhere = apiPath(kind);
  const collection = isNamespaced ? everywhere.replace(kind.plural, `namespaces/{namespace}/${kind.plural}`) : everywhere;
  const object = `${collection}/{name}`;
  const written = { mediaTypes: kind.builtIn ? BODY_MEDIA_TYPES : OBJECT_MEDIA_TYPES, schema };
  const patched = { mediaTypes: acceptedPatchTypes(kind) };

  const list: Operation = { action: 'list', parameters: LIST_PARAMETERS, answer: `${schema}List` };
  const post: Operation = { action: 'post', parameters: CREATE_PARAMETERS, answer: schema, body: written, code: 201 };
  const get: Operation = { action: 'get', parameters: READ_PARAMETERS, answer: schema };
  const put: Operation = { action: 'put', parameters: WRITE_PARAMETERS, answer: schema, body: written };
  const patch: Operation = { action: 'patch', parameters: PATCH_PARAMETERS, answer: schema, body: patched };
  const remove: Operation = { action: 'delete', parameters: DELETE_PARAMETERS, answer: STATUS, body: { mediaTypes: BODY_MEDIA_TYPES, schema: DELETE_OPTIONS } };
  const removeAll: Operation = { ...remove, action: 'deletecollection', parameters: [...SELECTION_PARAMETERS, ...DELETE_PARAMETERS] };
  const wait: Operation = { action: 'get', parameters: WAIT_PARAMETERS, answer: schema };

  const scope = isNamespaced ? 'Namespaced' : '';
  const all = isNamespaced ? ([[everywhere, 'GET', 'ForAllNamespaces', list], [everywhere, 'POST', 'ForAllNamespaces', post]] as const) : [];
  const routes: readonly (readonly [path: string, method: string, where: string, operation: Operation])[] = [
    ...all,
    [collection, 'GET', scope, list], [collection, 'POST', scope, post], [collection, 'DELETE', scope, removeAll],
    [object, 'GET', scope, get], [object, 'PUT', scope, put], [object, 'PATCH', scope, patch], [object, 'DELETE', scope, remove],
    [`${object}/wait`, 'GET', `${scope}Wait`, wait],
    [`${object}/status`, 'GET', `${scope}Status`, get], [`${object}/status`, 'PUT', `${scope}Status`, put], [`${object}/status`, 'PATCH', `${scope}Status`, patch],
  ];
  return routes.map(([path, method, where, operation]) => [`${method} ${path}`, operationOf(kind, where, operation)]);
}

function operationOf({ group, version, kind }: KindDefinition, where: string, { action, parameters, answer, body, code = 200 }: Operation): JsonRecord {
  const name = group === '' ? 'Core' : group.split('.').map((part) => part[0]?.toUpperCase() + part.slice(1)).join('');
  const content = (mediaTypes: readonly string[], schema: string | undefined) => Object.fromEntries(mediaTypes.map((type) => [type, { schema: schema === undefined ? { type: 'object' } : schemaRef(schema) }]));
  return {
    operationId: `${action}${name}${version.toUpperCase()}${where}${kind}`,
    summary: SUMMARIES[action] ?? '',
    parameters,
    ...(body ? { requestBody: { required: action !== 'delete' && action !== 'deletecollection', content: content(body.mediaTypes, body.schema) } } : {}),
    responses: { [code]: { description: 'OK', content: content(OBJECT_MEDIA_TYPES, answer) }, default: { description: 'A Status that says why not.', content: content(['application/json'], STATUS) } },
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': { group, version, kind },
  };
}
const SUMMARIES: Readonly<Record<string, string>> = {
  list: 'List or watch.', post: 'Create.', get: 'Read.', put: 'Replace.', patch: 'Change in part, or apply.', delete: 'Delete.', deletecollection: 'Delete all that a list would show.',
};

function describedOperation({ method, path, description }: ServedRoute): JsonRecord {
  const { summary = '', query: parameters = {}, body, answer, code = 200 } = description ?? {};
  const content = (said: z.ZodType | string | undefined) => {
    if (typeof said === 'string') return { [said]: { schema: said === 'application/octet-stream' || said.startsWith('image/') ? { type: 'string', format: 'binary' } : { type: 'string' } } };
    return { 'application/json': { schema: said === undefined ? { type: 'object' } : jsonSchemaOf(said) } };
  };
  return {
    operationId: `${method.toLowerCase()}${path.replaceAll(/[^A-Za-z0-9]+(\w?)/g, (_gap, next: string) => next.toUpperCase())}`,
    summary,
    parameters: Object.entries(parameters).map(([name, text]) => query(name, text)),
    ...(body === undefined ? {} : { requestBody: { required: true, content: content(body) } }),
    responses: { [code]: { description: 'OK', ...(code === 204 ? {} : { content: content(answer) }) }, default: { description: 'A Status that says why not.', content: { 'application/json': { schema: schemaRef(STATUS) } } } },
  };
}
