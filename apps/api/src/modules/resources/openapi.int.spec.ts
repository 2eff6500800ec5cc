import { COMPUTED_KINDS, KINDS } from '@corral/contracts';
import { startApi, type ApiStack } from '../../../test/api-stack.ts';

interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly parameters: readonly { readonly name: string; readonly in: string; readonly description: string }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, unknown>> };
  readonly 'x-kubernetes-action'?: string;
  readonly 'x-corral-websocket'?: boolean;
}
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, unknown>> };
}

const METHODS = ['get', 'put', 'post', 'delete', 'patch'];

let stack: ApiStack;
let documents: readonly Document[];
beforeAll(async () => {
  stack = await startApi();
  const { paths: index } = (await (await stack.fetch('/openapi/v3')).json()) as { paths: Record<string, { serverRelativeURL: string }> };
  documents = await Promise.all(Object.values(index).map(async ({ serverRelativeURL }) => (await (await stack.fetch(serverRelativeURL)).json()) as Document));
}, 60_000);
afterAll(() => stack.stop(), 30_000);

const operations = () => documents.flatMap(({ paths }) => Object.entries(paths).flatMap(([path, item]) => METHODS.flatMap((method) => (item[method] ? [{ path, method, operation: item[method] }] : []))));
const name = ({ path, method }: { path: string; method: string }): string => `${method.toUpperCase()} ${path}`;

it('has every route that the server has, and no other', () => {
  // What only refuses is no part of the API; the console's files are described by what they are.
  const served = stack.routes.filter(({ method, isRefusal }) => !['HEAD', 'OPTIONS'].includes(method) && !isRefusal).map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}').replace(/\*$/, '{path}')}`);
  const sockets = operations().filter(({ operation }) => operation['x-corral-websocket']).map(name);
  expect(operations().map(name).sort()).toEqual([...new Set([...served, ...sockets])].sort());
  expect(sockets.sort()).toEqual(expect.arrayContaining(['GET /live', 'GET /apis/corral.dev/v1/namespaces/{namespace}/virtualmachines/{name}/exec', 'GET /apis/corral.dev/v1/namespaces/{namespace}/virtualmachines/{name}/serial']));
});

it('says of every operation what it is for, under a name of its own', () => {
  expect(operations().filter(({ operation }) => operation.summary === '').map(name)).toEqual([]);
  const ids = operations().map(({ operation }) => operation.operationId);
  expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
});

it('names the parameters of every verb of every kind', () => {
  const expected: Readonly<Record<string, readonly string[]>> = {
    post: ['dryRun', 'fieldManager', 'fieldValidation'],
    put: ['dryRun', 'fieldManager', 'fieldValidation'],
    patch: ['dryRun', 'fieldManager', 'fieldValidation', 'force'],
    delete: ['dryRun', 'gracePeriodSeconds', 'propagationPolicy', 'orphanDependents'],
    deletecollection: ['dryRun', 'propagationPolicy', 'labelSelector', 'fieldSelector'],
    list: ['labelSelector', 'fieldSelector', 'limit', 'continue', 'resourceVersion', 'resourceVersionMatch', 'watch', 'allowWatchBookmarks', 'sendInitialEvents', 'timeoutSeconds'],
  };
  for (const { operation, ...route } of operations()) {
    const wanted = expected[operation['x-kubernetes-action'] ?? ''] ?? [];
    expect([name(route), operation.parameters.map((parameter) => parameter.name)]).toEqual([name(route), expect.arrayContaining([...wanted])]);
  }
});

it('has a schema for every kind and for whatever is referred to', () => {
  const text = JSON.stringify(documents);
  for (const kind of [...KINDS, ...COMPUTED_KINDS]) expect(text).toContain(JSON.stringify([{ group: kind.group, version: kind.version, kind: kind.kind }]));
  for (const { components, ...document } of documents) {
    const referred = [...JSON.stringify({ components, ...document }).matchAll(/#\/components\/schemas\/([^"]+)/g)].map(([, schema = '']) => schema);
    expect([...new Set(referred)].filter((schema) => !(schema in components.schemas))).toEqual([]);
  }
});

it('describes every field of every spec', () => {
  const silent: string[] = [];
  const look = (schema: unknown, path: string): void => {
    const { properties } = schema as { properties?: Record<string, { description?: string }> };
    for (const [field, below] of Object.entries(properties ?? {})) {
      if (below.description === undefined) silent.push(`${path}.${field}`);
    }
  };
  for (const { components } of documents) {
    for (const [kind, schema] of Object.entries(components.schemas)) look((schema as { properties?: { spec?: object } }).properties?.spec ?? {}, `${kind}.spec`);
  }
  expect(silent).toEqual([]);
});
