import { Agent, request as httpRequest } from 'node:http';
import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { stringify } from 'yaml';
import { hostileText, hostileValue } from './hostile-values.ts';
import { valuesOf, type Schema } from './schema-values.ts';

/** A route to be fuzzed: its path is a pattern with `{names}`. */
export interface FuzzedRoute {
  readonly method: string;
  readonly path: string;
  /** Query parameters the document names. */
  readonly parameters: readonly string[];
  readonly body: Schema | undefined;
  /** The object the route is of, when the document says so. */
  readonly type: { readonly apiVersion: string; readonly kind: string } | undefined;
}

export interface FuzzedRequest {
  readonly method: string;
  /** As it goes over the wire. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body: Uint8Array | undefined;
  readonly isChunked: boolean;
}

export interface FuzzedAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
}

const COMMON_PARAMETERS = [
  'limit', 'continue', 'labelSelector', 'fieldSelector', 'resourceVersion', 'resourceVersionMatch', 'watch', 'allowWatchBookmarks', 'sendInitialEvents', 'dryRun', 'fieldManager', 'fieldValidation', 'force',
  'propagationPolicy', 'gracePeriodSeconds', 'includeObject', 'pretty', 'for', 'path', 'sha256', 'command', 'tty', 'format', 'ticket', 'mode', 'list', 'user', 'verb', 'since', 'before',
];
const SENSIBLE = ['true', 'false', '1', '0', 'All', 'Strict', 'Ignore', 'Warn', 'a=b', 'a in (b,c)', '!a', 'metadata.name=a', 'spec.nodeName=x', 'NotOlderThan', 'Exact', 'condition=Ready', 'delete', '/tmp/x', 'Foreground', 'Orphan', 'text', 'None', 'Metadata', 'manager'];
const CONTENT_TYPES = [
  'application/json', 'application/json; charset=utf-8', 'application/yaml', 'application/merge-patch+json', 'application/json-patch+json', 'application/strategic-merge-patch+json', 'application/apply-patch+yaml',
  'application/apply-patch+cbor', 'application/vnd.kubernetes.protobuf', 'application/octet-stream', 'text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'nonsense', '; charset', 'application/json; charset=utf-16',
];
const ACCEPTS = [
  '*/*', 'application/json', 'application/yaml', 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json', 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io', 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io',
  'application/vnd.kubernetes.protobuf', 'text/html', 'application/json;q=x', ';;,,', 'application/json;as=Nonsense', 'application/cbor',
];
const NAMES = ['default', 'kube-system', 'a', 'some-name', 'tiny', 'fuzz-1', 'cluster-admin', 'system:node'];

/** A part of a path or a query, as a client may spell it: encoded, raw, or wrongly encoded. */
const spelt = (text: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.tuple(text, fc.constantFrom('encoded', 'encoded', 'encoded', 'raw', 'twice')).map(([value, how]) => {
    const encoded = encodeURIComponent(value.toWellFormed());
    if (how === 'twice') return encodeURIComponent(encoded);
    // What Node's client sends at all.
    return how === 'raw' ? value.replaceAll(/[^\x21-\x7e]/g, '').replaceAll('#', '') : encoded;
  });

const headerText = hostileText.map((text) => text.replaceAll(/[^\t\x20-\x7e]/g, '?').trim());

export function requestsTo(routes: readonly FuzzedRoute[], schemas: Readonly<Record<string, Schema>>): fc.Arbitrary<FuzzedRequest> {
  return fc.constantFrom(...routes).chain((route) => requestTo(route, schemas));
}

function requestTo(route: FuzzedRoute, schemas: Readonly<Record<string, Schema>>): fc.Arbitrary<FuzzedRequest> {
  const parts = route.path.split('/').map((part) =>
    /[{:*]/.test(part) ? fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...NAMES) }, { weight: 1, arbitrary: spelt(hostileText) }) : fc.constant(part),
  );
  const parameter = fc.tuple(
    fc.oneof({ weight: 8, arbitrary: fc.constantFrom(...COMMON_PARAMETERS, ...route.parameters) }, { weight: 1, arbitrary: spelt(hostileText) }),
    fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...SENSIBLE.map(encodeURIComponent)) }, { weight: 1, arbitrary: spelt(hostileText) }),
  );
  // Watches and waits are long by nature, so they are always asked to be short.
  const query = fc.array(parameter, { maxLength: 3 }).map((pairs) => [...pairs, ['timeoutSeconds', '0']].map(([name, value]) => `${name}=${value}`).join('&'));
  const headers = fc.record({
    accept: seldom(2, fc.constantFrom(...ACCEPTS)),
    'content-type': seldom(7, fc.constantFrom(...CONTENT_TYPES)),
    'content-encoding': seldom(40, fc.constantFrom('gzip', 'identity', 'br', 'nonsense')),
    'idempotency-key': seldom(10, fc.oneof(fc.constantFrom('one', 'two', '"three"'), headerText)),
    'x-request-id': seldom(10, headerText),
    'if-none-match': seldom(10, headerText),
    'accept-encoding': seldom(10, fc.constantFrom('gzip', 'identity;q=0', 'nonsense', '*')),
    'impersonate-user': seldom(25, headerText),
    'impersonate-group': seldom(40, fc.array(headerText, { minLength: 1, maxLength: 3 })),
    'x-forwarded-for': seldom(20, headerText),
    cookie: seldom(20, headerText.map((text) => `corral_session=${text}`)),
  });
  return fc
    .tuple(fc.tuple(...parts), query, headers, bodyOf(route, schemas), fc.boolean(), seldom(20, fc.constantFrom('/', '//', '/status', '/wait', '/nonsense')))
    .map(([path, search, own, body, isChunked, tail]) => ({
      method: route.method,
      target: `${path.join('/')}${tail ?? ''}?${search}`,
      headers: { 'content-type': body?.type ?? 'application/json', ...withoutAbsent(own) },
      body: body?.bytes,
      isChunked,
    }));
}

const seldom = <T>(weight: number, arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.oneof({ weight, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });

const withoutAbsent = (headers: Readonly<Record<string, string | string[] | undefined>>): FuzzedRequest['headers'] =>
  Object.fromEntries(Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));

interface Body {
  readonly type: string;
  readonly bytes: Uint8Array;
}

function bodyOf(route: FuzzedRoute, schemas: Readonly<Record<string, Schema>>): fc.Arbitrary<Body | undefined> {
  if (route.method === 'GET' || route.method === 'HEAD') return fc.constant(undefined);
  // Mostly of the route's own kind and with sane metadata, so that what lies behind those checks is reached too.
  const named = fc.tuple(valuesOf(route.body ?? {}, schemas), seldom(3, fc.constant('own' as const))).map(([value, metadata]): unknown => {
    if (!route.type || typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    return { ...value, ...route.type, ...(metadata === undefined ? { metadata: { generateName: 'fuzz-' } } : {}) };
  });
  const content = fc.oneof({ weight: 8, arbitrary: named }, { weight: 1, arbitrary: hostileValue }, { weight: 1, arbitrary: patches() });
  const json = content.map((value): Body => ({ type: 'application/json', bytes: Buffer.from(textOf(value)) }));
  const typed = (type: string) => content.map((value): Body => ({ type, bytes: Buffer.from(textOf(value)) }));
  return fc.oneof(
    { weight: 10, arbitrary: route.method === 'PATCH' ? fc.constantFrom(...CONTENT_TYPES.slice(3, 7)).chain(typed) : json },
    { weight: 2, arbitrary: content.map((value): Body => ({ type: 'application/yaml', bytes: Buffer.from(yamlOf(value)) })) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes): Body => ({ type: 'application/json', bytes })) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes): Body => ({ type: 'application/vnd.kubernetes.protobuf', bytes: Buffer.concat([Buffer.from('k8s\0'), bytes]) })) },
    { weight: 1, arbitrary: json.map(({ bytes }): Body => ({ type: 'application/json', bytes: bytes.subarray(0, bytes.length / 2) })) },
    { weight: 1, arbitrary: json.map(({ bytes }): Body => ({ type: 'application/json', bytes: gzipSync(bytes) })) },
    { weight: 1, arbitrary: fc.constantFrom('{"a":1,"a":2}', '[', '{"__proto__":{}}', '&a [*a]', 'a: &a [x]\nb: [*a,*a]', '!!js/function "x"', '"\\ud800"', '{"metadata":{"name":"\\u0000"}}', '1e999', '-', '\ufeff{}', '{"a":'.repeat(2000)).map((text): Body => ({ type: 'application/json', bytes: Buffer.from(text) })) },
    { weight: 1, arbitrary: fc.constant(undefined) },
  );
}

function patches(): fc.Arbitrary<unknown> {
  const path = fc.constantFrom('/spec', '/metadata/labels/a~1b', '/metadata/annotations', '', '/', '/spec/-', '/~', '/~2', '/status', '/__proto__/x', '/constructor/prototype/x', '/metadata/finalizers/0', '/spec/hard/pods');
  return fc.array(fc.record({ op: fc.constantFrom('add', 'remove', 'replace', 'move', 'copy', 'test', 'nonsense'), path, from: path, value: hostileValue }, { requiredKeys: [] }), { maxLength: 4 });
}

const textOf = (value: unknown): string => JSON.stringify(value) ?? 'null';

function yamlOf(value: unknown): string {
  try {
    return stringify(value);
  } catch {
    return textOf(value);
  }
}

export const fuzzAgent = (): Agent => new Agent({ keepAlive: true, maxSockets: 16 });

/** Sends it; rejects when there is no whole answer in time. */
export function send(url: string, token: string, request: FuzzedRequest, agent: Agent, timeoutMs: number): Promise<FuzzedAnswer> {
  const { hostname, port } = new URL(url);
  const { promise, resolve, reject } = Promise.withResolvers<FuzzedAnswer>();
  const length = request.body === undefined || request.isChunked ? {} : { 'content-length': String(request.body.length) };
  const outgoing = httpRequest({
    agent, hostname, port, method: request.method, path: request.target,
    headers: { authorization: `Bearer ${token}`, ...request.headers, ...(request.isChunked && request.body ? { 'transfer-encoding': 'chunked' } : length) },
  });
  const timer = setTimeout(() => outgoing.destroy(new Error(`no whole answer within ${timeoutMs} ms`)), timeoutMs);
  outgoing.once('error', reject);
  outgoing.once('close', () => clearTimeout(timer));
  outgoing.once('response', (answer) => {
    const chunks: Buffer[] = [];
    answer.on('data', (chunk: Buffer) => chunks.push(chunk));
    answer.once('error', reject);
    answer.once('end', () => {
      const bytes = Buffer.concat(chunks);
      const text = (answer.headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes).toString('utf8');
      resolve({ status: answer.statusCode ?? 0, contentType: answer.headers['content-type'] ?? '', text });
    });
  });
  outgoing.end(request.body);
  return promise;
}
