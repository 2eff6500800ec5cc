import { jest } from '@jest/globals';
import { virtualMachines } from '@corral/contracts';
import { Inject, Module } from '@nestjs/common';
import { Admission } from '../../platform/objects/admission.ts';
import { startApi, type ApiAnswer, type ApiFixture } from '../../testing/api-fixture.ts';

const MACHINES = '/apis/corral.dev/v1/namespaces/default/virtualmachines';
const MERGE = { 'content-type': 'application/merge-patch+json' };
const JSON_PATCH = { 'content-type': 'application/json-patch+json' };
const STRATEGIC = { 'content-type': 'application/strategic-merge-patch+json' };

/** Stands for a feature module whose rule needs other objects. */
@Module({})
class ImageRule {
  constructor(@Inject(Admission) admission: Admission) {
    admission.check(virtualMachines, (machine) =>
      Promise.resolve(machine.spec?.source.image === 'missing' ? [{ field: 'spec.source.image', reason: 'FieldValueNotFound', message: '' }] : []),
    );
  }
}

jest.setTimeout(60_000);

let api: ApiFixture;
beforeAll(async () => {
  api = await startApi({ imports: [ImageRule] });
}, 60_000);
afterAll(() => api.stop());

let count = 0;
const machine = (more: object = {}, metadata: object = {}) => ({
  apiVersion: 'corral.dev/v1',
  kind: 'VirtualMachine',
  metadata: { name: `vm-${(count += 1)}`, ...metadata },
  spec: { source: { image: 'linux-minimal' }, memory: '128Mi', ...more },
});
async function create(more: object = {}, metadata: object = {}): Promise<ApiAnswer['body']> {
  const answer = await api.request('POST', MACHINES, machine(more, metadata));
  expect(answer.status).toBe(201);
  return answer.body;
}
const fieldsOf = (answer: ApiAnswer): string[] => answer.body.details.causes.map(({ field }) => field).sort();

describe('create', () => {
  it('fills in defaults, identity and version, and drops what only the system may say', async () => {
    const { status, body } = await api.request('POST', MACHINES, { ...machine({}, { uid: 'mine', generation: 7 }), status: { phase: 'Running' } });
    expect(status).toBe(201);
    expect(body.spec).toMatchObject({ powerState: 'Running', restartPolicy: 'Always', bootPolicy: 'Golden' });
    expect(body.metadata).toMatchObject({ namespace: 'default', generation: 1 });
    expect(body.metadata.uid).not.toBe('mine');
    expect(body.status).toBeUndefined();
  });

  it('names every bad field at once: unknown, malformed, contradictory, metadata and admission', async () => {
    const bad = { source: { image: 'missing', snapshot: 'also' }, memory: '3Gi', powerState: 'Flying', bogus: true };
    const answer = await api.request('POST', MACHINES, machine(bad, { name: 'Not-A-Label', labels: { app: 'de mo' } }));
    expect([answer.status, answer.body.reason]).toEqual([400, 'BadRequest']);
    expect(answer.body.message).toContain('strict decoding error: unknown field "spec.bogus"');
    expect(fieldsOf(answer)).toEqual(['metadata.labels.app', 'metadata.name', 'spec.bogus', 'spec.memory', 'spec.powerState', 'spec.source']);
  });

  it('answers 422 with one cause per field when every field is known', async () => {
    const answer = await api.request('POST', MACHINES, machine({ source: { image: 'missing' }, memory: 'lots', restartPolicy: 'Sometimes' }));
    expect([answer.status, answer.body.reason]).toEqual([422, 'Invalid']);
    expect(fieldsOf(answer)).toEqual(['spec.memory', 'spec.restartPolicy', 'spec.source.image']);
    expect(answer.body.details).toMatchObject({ group: 'corral.dev', kind: 'VirtualMachine' });
    const policy = answer.body.details.causes.find(({ field }) => field === 'spec.restartPolicy');
    expect(policy).toEqual({ reason: 'FieldValueNotSupported', field: 'spec.restartPolicy', message: 'Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"' });
  });

  it('lets unknown fields pass with a warning, or in silence, when asked to', async () => {
    const warned = await api.request('POST', `${MACHINES}?fieldValidation=Warn`, machine({ bogus: 1 }));
    expect([warned.status, warned.headers.get('warning')]).toEqual([201, '299 - "unknown field \\"spec.bogus\\""']);
    expect(warned.body.spec.bogus).toBeUndefined();
    const ignored = await api.request('POST', `${MACHINES}?fieldValidation=Ignore`, machine({ bogus: 1 }));
    expect([ignored.status, ignored.headers.get('warning')]).toEqual([201, null]);
  });

  it('names a field that stands twice', async () => {
    const text = JSON.stringify(machine()).replace('"memory":', '"memory":"64Mi","memory":');
    const answer = await api.request('POST', MACHINES, text);
    expect([answer.status, answer.body.message]).toEqual([400, expect.stringContaining('duplicate field "spec.memory"')]);
  });

  it('makes up a name from generateName', async () => {
    const { body } = await api.request('POST', MACHINES, { ...machine(), metadata: { generateName: 'job-' } });
    expect(body.metadata.name).toMatch(/^job-[a-z0-9]{5}$/);
  });

  it('stores nothing in a dry run, and says what it would have stored', async () => {
    const wish = machine();
    const answer = await api.request('POST', `${MACHINES}?dryRun=All`, wish);
    expect([answer.status, answer.body.spec.powerState]).toEqual([201, 'Running']);
    expect((await api.request('GET', `${MACHINES}/${wish.metadata.name}`)).status).toBe(404);
  });

  it('refuses in a dry run what would be too large to store', async () => {
    const wish = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: 'huge' }, spec: { holderIdentity: 'x'.repeat(2 * 1024 * 1024) } };
    const path = '/apis/coordination.k8s.io/v1/namespaces/default/leases';
    const answers = [await api.request('POST', `${path}?dryRun=All`, wish), await api.request('POST', path, wish)];
    expect(answers.map(({ status, body }) => [status, body.message])).toEqual(answers.map(() => [413, expect.stringContaining('"huge" would be too large')]));
  });

  it('reads YAML and writes it when asked to', async () => {
    const yaml = 'apiVersion: corral.dev/v1\nkind: VirtualMachine\nmetadata: {name: from-yaml}\nspec:\n  source: {image: linux-minimal}\n  nodeSelector:\n';
    const answer = await api.request('POST', MACHINES, yaml, { 'content-type': 'application/yaml', accept: 'application/yaml' });
    expect([answer.status, answer.headers.get('content-type')]).toEqual([201, expect.stringContaining('application/yaml')]);
    expect(answer.text).toContain('name: from-yaml');
  });

  it.each([
    ['no JSON', '{', 400, 'BadRequest'],
    ['no object', '[]', 400, 'BadRequest'],
    ['an empty body', '', 400, 'BadRequest'],
    ['another kind', JSON.stringify({ ...machine(), kind: 'Node' }), 400, 'BadRequest'],
    ['another version', JSON.stringify({ ...machine(), apiVersion: 'v2' }), 400, 'BadRequest'],
    ['another namespace than the path', JSON.stringify(machine({}, { namespace: 'elsewhere' })), 400, 'BadRequest'],
    ['metadata of a wrong type', JSON.stringify(machine({}, { labels: ['a'] })), 400, 'BadRequest'],
    ['a resourceVersion', JSON.stringify(machine({}, { resourceVersion: '5' })), 400, 'BadRequest'],
    ['U+0000', JSON.stringify(machine({}, { annotations: { a: '\0' } })), 400, 'BadRequest'],
    ['a lone surrogate', JSON.stringify(machine({}, { annotations: { a: '\ud800' } })), 400, 'BadRequest'],
    ['__proto__', '{"apiVersion":"corral.dev/v1","kind":"VirtualMachine","metadata":{"name":"p"},"spec":{"__proto__":{}}}', 400, 'BadRequest'],
    ['a bottomless document', `${'['.repeat(100_000)}`, 400, 'BadRequest'],
    ['a deep document', `${'['.repeat(5_000)}${']'.repeat(5_000)}`, 400, 'BadRequest'],
    ['no name', JSON.stringify({ ...machine(), metadata: {} }), 422, 'Invalid'],
    ['no spec', JSON.stringify({ ...machine(), spec: undefined }), 422, 'Invalid'],
    ['more than 3 MiB', JSON.stringify(machine({}, { annotations: { a: 'x'.repeat(3 * 1024 * 1024) } })), 413, 'RequestEntityTooLarge'],
  ])('refuses %s', async (_what, body, status, reason) => {
    const answer = await api.request('POST', MACHINES, body);
    expect([answer.status, answer.body.reason, answer.body.kind]).toEqual([status, reason, 'Status']);
  });

  it('refuses a body in a format it does not read, and lists those it does', async () => {
    const answer = await api.request('POST', MACHINES, 'a=b', { 'content-type': 'application/x-www-form-urlencoded' });
    expect([answer.status, answer.body.reason, answer.body.message]).toEqual([415, 'UnsupportedMediaType', expect.stringContaining('application/json, application/yaml')]);
  });

  it('never deletes the namespaces it lives in, nor all namespaces at once', async () => {
    for (const name of ['default', 'kube-system', 'kube-node-lease', 'corral-system']) {
      expect(await api.request('DELETE', `/api/v1/namespaces/${name}`)).toMatchObject({ status: 403, body: { reason: 'Forbidden' } });
    }
    expect(await api.request('DELETE', '/api/v1/namespaces')).toMatchObject({ status: 405, body: { reason: 'MethodNotAllowed' } });
    expect((await api.request('GET', '/api/v1/namespaces/default')).body).toMatchObject({ metadata: { name: 'default' } });
  });

  it('refuses a missing namespace with 404 and one being deleted with 403', async () => {
    const path = MACHINES.replace('default', 'going');
    expect((await api.request('POST', path, machine())).status).toBe(404);
    await api.request('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'going' } });
    await api.request('DELETE', '/api/v1/namespaces/going');
    const answer = await api.request('POST', path, machine());
    expect([answer.status, answer.body.details.causes[0]?.reason]).toEqual([403, 'NamespaceTerminating']);
  });
});

describe('replace and patch', () => {
  it('wants the version of a custom kind, and takes a built-in one without', async () => {
    const stored = await create();
    const { resourceVersion: _version, ...metadata } = stored.metadata;
    const answer = await api.request('PUT', `${MACHINES}/${metadata.name}`, { ...stored, metadata });
    expect([answer.status, fieldsOf(answer)]).toEqual([422, ['metadata.resourceVersion']]);
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'free' } };
    await api.request('POST', '/api/v1/nodes', node);
    expect((await api.request('PUT', '/api/v1/nodes/free', { ...node, spec: { unschedulable: true } })).body.spec.unschedulable).toBe(true);
  });

  it('refuses another uid, another name, and a change of what cannot change', async () => {
    const stored = await create();
    const path = `${MACHINES}/${stored.metadata.name}`;
    const put = (metadata: object, spec: object = {}) => api.request('PUT', path, { ...stored, metadata: { ...stored.metadata, ...metadata }, spec: { ...stored.spec, ...spec } });
    expect((await put({ uid: '00000000-0000-4000-8000-000000000000' })).status).toBe(409);
    expect((await put({ name: 'other' })).status).toBe(400);
    const answer = await put({}, { source: { image: 'other' }, memory: '64Mi' });
    expect([answer.status, fieldsOf(answer)]).toEqual([422, ['spec.memory', 'spec.source']]);
  });

  it('merges, removes by null, and moves the generation with spec but not with labels', async () => {
    const stored = await create({}, { labels: { a: '1', b: '2' } });
    const path = `${MACHINES}/${stored.metadata.name}`;
    const labelled = await api.request('PATCH', path, { metadata: { labels: { a: null, c: '3' } } }, MERGE);
    expect([labelled.body.metadata.labels, labelled.body.metadata.generation]).toEqual([{ b: '2', c: '3' }, 1]);
    const paused = await api.request('PATCH', path, { spec: { powerState: 'Paused' }, status: { phase: 'Failed' } }, MERGE);
    expect([paused.body.metadata.generation, paused.body.status]).toEqual([2, undefined]);
    const again = await api.request('PATCH', path, { spec: { powerState: 'Paused' } }, MERGE);
    expect(again.body.metadata.resourceVersion).toBe(paused.body.metadata.resourceVersion);
  });

  it('takes a version in a patch as a precondition', async () => {
    const stored = await create();
    const path = `${MACHINES}/${stored.metadata.name}`;
    await api.request('PATCH', path, { metadata: { labels: { a: '1' } } }, MERGE);
    const stale = await api.request('PATCH', path, { metadata: { resourceVersion: stored.metadata.resourceVersion, labels: { a: '2' } } }, MERGE);
    expect([stale.status, stale.body.reason]).toEqual([409, 'Conflict']);
  });

  it('applies a JSON patch as a whole or not at all', async () => {
    const stored = await create({}, { labels: { a: '1' } });
    const path = `${MACHINES}/${stored.metadata.name}`;
    const patched = await api.request('PATCH', path, [{ op: 'test', path: '/metadata/labels/a', value: '1' }, { op: 'replace', path: '/spec/powerState', value: 'Stopped' }], JSON_PATCH);
    expect(patched.body.spec.powerState).toBe('Stopped');
    const refused = await api.request('PATCH', path, [{ op: 'replace', path: '/spec/powerState', value: 'Running' }, { op: 'test', path: '/metadata/labels/a', value: 'no' }], JSON_PATCH);
    expect([refused.status, (await api.request('GET', path)).body.spec.powerState]).toEqual([422, 'Stopped']);
    expect((await api.request('PATCH', path, [{ op: 'fly', path: '/spec' }], JSON_PATCH)).status).toBe(400);
    expect((await api.request('PATCH', path, [{ op: 'remove', path: '/spec/nothing/there' }], JSON_PATCH)).status).toBe(422);
    expect((await api.request('PATCH', path, [{ op: 'replace', path: '', value: 7 }], JSON_PATCH)).status).toBe(400);
  });

  it('merges keyed lists of built-in kinds strategically, and has no strategic merge for custom ones', async () => {
    await api.request('POST', '/api/v1/nodes', { apiVersion: 'v1', kind: 'Node', metadata: { name: 'tainted' }, spec: { taints: [{ key: 'a', effect: 'NoSchedule' }] } });
    const patch = (change: object) => api.request('PATCH', '/api/v1/nodes/tainted', change, STRATEGIC);
    // Owners that are there: the garbage collector is at work.
    const owners = await Promise.all(['one', 'two'].map(async (name) => (await api.request('POST', '/api/v1/nodes', { apiVersion: 'v1', kind: 'Node', metadata: { name } })).body.metadata));
    const [one, two] = owners.map(({ name, uid }) => ({ apiVersion: 'v1', kind: 'Node', name, uid }));
    const names = ({ body }: { body: { metadata: { ownerReferences: readonly { name: string }[] } } }) => body.metadata.ownerReferences.map(({ name }) => name);
    await patch({ metadata: { ownerReferences: [one], finalizers: ['e.com/a'] } });
    const both = await patch({ metadata: { ownerReferences: [two], finalizers: ['e.com/b'] } });
    expect([names(both), both.body.metadata.finalizers]).toEqual([['one', 'two'], ['e.com/a', 'e.com/b']]);
    // Taints have no merge key in Kubernetes: kubectl sends all that are to be.
    const left = await patch({ metadata: { ownerReferences: [{ $patch: 'delete', uid: one?.uid }], '$deleteFromPrimitiveList/finalizers': ['e.com/a', 'e.com/b'] }, spec: { taints: [{ key: 'b', effect: 'NoExecute' }], unschedulable: true } });
    expect([names(left), left.body.metadata.finalizers, left.body.spec]).toEqual([['two'], undefined, { taints: [{ key: 'b', effect: 'NoExecute' }], unschedulable: true }]);
    const custom = await create();
    expect((await api.request('PATCH', `${MACHINES}/${custom.metadata.name}`, {}, STRATEGIC)).status).toBe(415);
  });

  it('keeps status to the status subresource', async () => {
    const stored = await create();
    const path = `${MACHINES}/${stored.metadata.name}`;
    const written = await api.request('PATCH', `${path}/status`, { spec: { powerState: 'Stopped' }, status: { phase: 'Running', incarnation: 1 } }, MERGE);
    expect([written.body.status.phase, written.body.spec.powerState, written.body.metadata.generation]).toEqual(['Running', 'Running', 1]);
    const bad = await api.request('PATCH', `${path}/status`, { status: { phase: 'Flying' } }, MERGE);
    expect([bad.status, fieldsOf(bad)]).toEqual([422, ['status.phase']]);
  });
});

describe('delete', () => {
  it('answers Status Success, or the object while a finalizer holds it, and lets nothing be added then', async () => {
    const gone = await create();
    const answer = await api.request('DELETE', `${MACHINES}/${gone.metadata.name}`, { propagationPolicy: 'Background' });
    expect(answer.body).toMatchObject({ kind: 'Status', status: 'Success', details: { name: gone.metadata.name, group: 'corral.dev', kind: 'virtualmachines', uid: gone.metadata.uid } });

    const held = await create({}, { finalizers: ['example.com/hold'] });
    const path = `${MACHINES}/${held.metadata.name}`;
    const marked = await api.request('DELETE', path);
    expect(marked.body.metadata).toMatchObject({ deletionGracePeriodSeconds: 0, generation: 2 });
    const added = await api.request('PATCH', path, { metadata: { finalizers: ['example.com/hold', 'example.com/more'] } }, MERGE);
    expect([added.status, fieldsOf(added)]).toEqual([422, ['metadata.finalizers']]);
    await api.request('PATCH', path, { metadata: { finalizers: null } }, MERGE);
    expect((await api.request('GET', path)).status).toBe(404);
  });

  it('minds preconditions and dry runs', async () => {
    const stored = await create();
    const path = `${MACHINES}/${stored.metadata.name}`;
    expect((await api.request('DELETE', path, { preconditions: { uid: 'other' } })).status).toBe(409);
    expect((await api.request('DELETE', path, { preconditions: { resourceVersion: '1' } })).status).toBe(409);
    expect((await api.request('DELETE', `${path}?dryRun=All`)).status).toBe(200);
    expect((await api.request('GET', path)).status).toBe(200);
  });

  it('deletes a selection of a collection and nothing else', async () => {
    await create({}, { labels: { batch: 'x' } });
    await create({}, { labels: { batch: 'x' } });
    const kept = await create();
    const answer = await api.request('DELETE', `${MACHINES}?labelSelector=batch=x`);
    expect(answer.body.items).toHaveLength(2);
    expect((await api.request('GET', `${MACHINES}?labelSelector=batch=x`)).body.items).toEqual([]);
    expect((await api.request('GET', `${MACHINES}/${kept.metadata.name}`)).status).toBe(200);
  });
});

describe('reading', () => {
  it('writes what the caller accepts: objects, tables, metadata alone', async () => {
    const stored = await create({}, { labels: { read: 'yes' } });
    const path = `${MACHINES}?labelSelector=read=yes`;
    const table = await api.request('GET', path, undefined, { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json' });
    expect(table.body).toMatchObject({ kind: 'Table', apiVersion: 'meta.k8s.io/v1', rows: [{ object: { kind: 'PartialObjectMetadata' } }] });
    expect(table.body.columnDefinitions.map(({ name }) => name)).toEqual(['Name', 'Phase', 'Ready', 'Memory', 'Node', 'Source', 'Incarnation', 'Reason', 'Age']);
    expect(table.body.rows[0]?.cells.slice(0, 4)).toEqual([stored.metadata.name, 'Pending', 'Unknown', '128Mi']);
    const partial = await api.request('GET', path, undefined, { accept: 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io' });
    expect(partial.body.items).toEqual([{ kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: stored.metadata }]);
    expect((await api.request('GET', path, undefined, { accept: 'text/html' })).status).toBe(406);
  });

  it('compresses long answers for who takes gzip', async () => {
    const raw = await fetch(`${api.url}/openapi/v3/apis/corral.dev/v1`, { headers: { authorization: 'Bearer admin-token-of-the-tests', 'accept-encoding': 'gzip' } });
    expect(raw.headers.get('content-encoding')).toBe('gzip');
    expect(Object.keys(((await raw.json()) as { components: { schemas: object } }).components.schemas)).toContain('dev.corral.v1.VirtualMachine');
  });

  it.each([
    ['GET', '/apis/corral.dev/v1/nonsense', 404, 'NotFound'],
    ['GET', '/nowhere', 404, 'NotFound'],
    ['GET', '/apis/nobody.example/v1/things/x', 404, 'NotFound'],
    ['GET', `${MACHINES}/absent`, 404, 'NotFound'],
    ['PUT', MACHINES, 405, 'MethodNotAllowed'],
    ['POST', `${MACHINES}/absent`, 405, 'MethodNotAllowed'],
    ['GET', `${MACHINES}?limit=-1`, 400, 'BadRequest'],
    ['GET', `${MACHINES}?labelSelector=,,`, 400, 'BadRequest'],
    ['GET', `${MACHINES}?resourceVersionMatch=Exact`, 422, 'Invalid'],
    ['GET', `${MACHINES}?resourceVersion=99999999`, 504, 'Timeout'],
    ['GET', `${MACHINES}/%ff`, 400, 'BadRequest'],
    ['GET', `${MACHINES}/${'x'.repeat(300)}`, 404, 'NotFound'],
    ['GET', `${MACHINES}/a%00b`, 400, 'BadRequest'],
    ['GET', `${MACHINES}?fieldSelector=metadata.name%3Da%00b`, 400, 'BadRequest'],
  ])('%s %s is answered with %d %s', async (method, path, status, reason) => {
    const answer = await api.request(method, path, method === 'GET' ? undefined : {});
    expect([answer.status, answer.body.reason]).toEqual([status, reason]);
  });

  it('serves discovery as one document or as many, with an ETag', async () => {
    const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json';
    const aggregated = await api.request('GET', '/apis', undefined, { accept });
    expect(aggregated.headers.get('content-type')).toContain('as=APIGroupDiscoveryList');
    expect(aggregated.body.items.map(({ metadata }) => metadata.name)).toEqual(expect.arrayContaining(['coordination.k8s.io', 'corral.dev']));
    const etag = aggregated.headers.get('etag') ?? '';
    expect((await api.request('GET', '/apis', undefined, { accept, 'if-none-match': etag })).status).toBe(304);
    expect((await api.request('GET', '/apis', undefined, { accept: 'application/json' })).body.kind).toBe('APIGroupList');
    expect((await api.request('GET', '/apis/corral.dev/v1')).body.resources.map(({ name }) => name)).toContain('virtualmachines/status');
  });
});

describe('wait', () => {
  it('answers when the condition has become true, and 408 when it has not in time', async () => {
    const stored = await create();
    const path = `${MACHINES}/${stored.metadata.name}`;
    const late = await api.request('GET', `${path}/wait?for=condition=Ready&timeoutSeconds=0.2`);
    expect([late.status, late.body.reason]).toEqual([408, 'Timeout']);
    const waiting = api.request('GET', `${path}/wait?for=condition=Ready&timeoutSeconds=20`);
    const ready = { type: 'Ready', status: 'True', reason: 'AgentAnswered', message: '', lastTransitionTime: '2026-01-01T00:00:00Z' };
    await api.request('PATCH', `${path}/status`, { status: { conditions: [ready] } }, MERGE);
    expect((await waiting).body.status.conditions[0]?.status).toBe('True');
  });

  it('answers when a field has a value', async () => {
    const path = `${MACHINES}/${(await create()).metadata.name}`;
    const wait = (goal: string): Promise<ApiAnswer> => api.request('GET', `${path}/wait?for=${encodeURIComponent(goal)}&timeoutSeconds=20`);
    const waiting = wait('jsonpath={.status.phase}=Failed');
    await api.request('PATCH', `${path}/status`, { status: { phase: 'Failed' } }, MERGE);
    expect((await waiting).body.status.phase).toBe('Failed');
    expect((await wait('jsonpath={.status.phase}')).status).toBe(200);
    for (const goal of ['jsonpath=.status.phase', 'jsonpath={}', 'jsonpath={.a[0]}=1']) expect((await wait(goal)).status).toBe(400);
  });

  it('answers when the object is gone, and 404 when it never was', async () => {
    const stored = await create();
    const path = `${MACHINES}/${stored.metadata.name}`;
    const waiting = api.request('GET', `${path}/wait?for=delete&timeoutSeconds=20`);
    await api.request('DELETE', path);
    expect((await waiting).body.status).toBe('Success');
    expect((await api.request('GET', `${path}/wait?for=condition=Ready`)).status).toBe(404);
    expect((await api.request('GET', `${path}/wait?for=luck`)).status).toBe(400);
  });
});

it.each<[string, string, object | undefined, string]>([
  ['a policy that there is not', '?propagationPolicy=Slowly', undefined, 'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Slowly": supported values: "Background", "Foreground", "Orphan"'],
  ['two ways to say what becomes of dependents', '', { propagationPolicy: 'Orphan', orphanDependents: true }, 'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Invalid value: "Orphan": orphanDependents and deletionPropagation cannot be both set'],
  ['a dry run that is none', '', { dryRun: ['Some'] }, 'DeleteOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Some"]: supported values: "All"'],
])('refuses to delete with %s', async (_what, query, body, message) => {
  const answer = await api.request('DELETE', `${MACHINES}/nothing${query}`, body);
  expect([answer.status, answer.body.reason, answer.body.message]).toEqual([422, 'Invalid', message]);
});
