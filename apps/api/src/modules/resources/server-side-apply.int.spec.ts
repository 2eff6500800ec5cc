import { startApi, type ApiFixture } from '../../testing/api-fixture.ts';

const MACHINES = '/apis/corral.dev/v1/namespaces/default/virtualmachines';
const APPLY = { 'content-type': 'application/apply-patch+yaml' };

let api: ApiFixture;
beforeAll(async () => {
  api = await startApi();
}, 60_000);
afterAll(() => api.stop());

interface Answer {
  readonly metadata: { readonly resourceVersion: string; readonly generation: number; readonly managedFields?: readonly { readonly manager: string; readonly operation: string; readonly subresource?: string }[] };
  readonly spec: Readonly<Record<string, unknown>>;
  readonly message: string;
  readonly reason: string;
  readonly details?: { readonly causes?: readonly object[] };
}

const machine = (name: string, spec: object = {}, metadata: object = {}): object => ({ apiVersion: 'corral.dev/v1', kind: 'VirtualMachine', metadata: { name, ...metadata }, spec: { source: { image: 'linux-minimal' }, ...spec } });

async function apply(name: string, body: object | string, query = 'fieldManager=me', path = `${MACHINES}/${name}`): Promise<{ status: number; body: Answer }> {
  const { status, body: answer } = await api.request('PATCH', `${path}?${query}`, body, APPLY);
  return { status, body: answer as unknown as Answer };
}
const managers = ({ body }: { body: Answer }): string[] => (body.metadata.managedFields ?? []).map(({ manager, operation, subresource }) => [manager, operation, subresource].filter(Boolean).join(' ')).sort();

it('creates what is not there, changes what is, and leaves alone what is so already', async () => {
  const created = await apply('born', machine('born', { memory: '128Mi' }));
  expect([created.status, managers(created), created.body.metadata.generation]).toEqual([201, ['me Apply'], 1]);
  const again = await apply('born', machine('born', { memory: '128Mi' }));
  expect([again.status, again.body]).toEqual([200, created.body]);
  const changed = await apply('born', machine('born', { memory: '128Mi', powerState: 'Paused' }));
  expect([changed.status, changed.body.spec['powerState'], changed.body.metadata.generation]).toEqual([200, 'Paused', 2]);
  // What is applied no longer is gone, and its default is back.
  expect((await apply('born', machine('born', { memory: '128Mi' }))).body.spec['powerState']).toBe('Running');
});

it('takes YAML and JSON', async () => {
  const yaml = 'apiVersion: corral.dev/v1\nkind: VirtualMachine\nmetadata: {name: yaml}\nspec:\n  source: {image: linux-minimal}\n  memory: 128Mi\n';
  expect([(await apply('yaml', yaml)).status, (await apply('yaml', '{apiVersion: corral.dev/v1, kind: VirtualMachine, metadata: {name: yaml}, spec: {source: {image: linux-minimal}}}')).status]).toEqual([201, 200]);
});

it('is refused over a field that somebody else manages, unless forced', async () => {
  await api.request('POST', `${MACHINES}?fieldManager=creator`, machine('contested', { powerState: 'Running' }));
  const refused = await apply('contested', machine('contested', { powerState: 'Paused' }));
  expect([refused.status, refused.body]).toEqual([
    409,
    {
      kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', code: 409, reason: 'Conflict',
      message: 'Apply failed with 1 conflict: conflict with "creator" using corral.dev/v1: .spec.powerState',
      details: { causes: [{ reason: 'FieldManagerConflict', message: 'conflict with "creator" using corral.dev/v1', field: '.spec.powerState' }] },
    },
  ]);
  const forced = await apply('contested', machine('contested', { powerState: 'Paused' }), 'fieldManager=me&force=true');
  expect([forced.status, forced.body.spec['powerState'], managers(forced)]).toEqual([200, 'Paused', ['creator Update', 'me Apply']]);
});

it('remembers who wrote what, through which door: by fieldManager, else by the name of the client', async () => {
  await api.request('POST', MACHINES, machine('traced'), { 'user-agent': 'my-tool/1.2 (linux)' });
  await api.request('PATCH', `${MACHINES}/traced/status?fieldManager=node`, { status: { phase: 'Running' } }, { 'content-type': 'application/merge-patch+json' });
  await apply('traced', { apiVersion: 'corral.dev/v1', kind: 'VirtualMachine', metadata: { name: 'traced' }, status: { nodeName: 'n' } }, 'fieldManager=me', `${MACHINES}/traced/status`);
  const { body } = await api.request('GET', `${MACHINES}/traced`);
  expect([managers({ body: body as unknown as Answer }), (body as { status?: object }).status]).toEqual([['me Apply status', 'my-tool Update', 'node Update status'], { phase: 'Running', nodeName: 'n' }]);
});

it('lets managedFields be rewritten by a JSON patch, as kubectl does when it goes over to server-side apply', async () => {
  const created = (await api.request('POST', `${MACHINES}?fieldManager=kubectl-client-side-apply`, machine('migrated'))).body as unknown as Answer;
  const entries = (created.metadata.managedFields ?? []).map((entry) => ({ ...entry, manager: 'kubectl', operation: 'Apply' }));
  const migrate = (resourceVersion: string) =>
    api.request('PATCH', `${MACHINES}/migrated`, [{ op: 'replace', path: '/metadata/managedFields', value: entries }, { op: 'replace', path: '/metadata/resourceVersion', value: resourceVersion }], { 'content-type': 'application/json-patch+json' });
  expect((await migrate('1')).status).toBe(409);
  const migrated = await migrate(created.metadata.resourceVersion);
  expect([migrated.status, managers({ body: migrated.body as unknown as Answer })]).toEqual([200, ['kubectl Apply']]);
  const cleared = await api.request('PATCH', `${MACHINES}/migrated`, { metadata: { managedFields: [{}] } }, { 'content-type': 'application/merge-patch+json' });
  expect([cleared.status, (cleared.body as unknown as Answer).metadata.managedFields]).toEqual([200, undefined]);
});

it('does nothing on a dry run', async () => {
  expect((await apply('dry', machine('dry'), 'fieldManager=me&dryRun=All')).status).toBe(201);
  expect((await api.request('GET', `${MACHINES}/dry`)).status).toBe(404);
});

it.each<[string, number, string, object, string]>([
  ['without a manager', 422, 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch', machine('bad'), 'x=y'],
  ['by a manager whose name is too long', 422, 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Too long: may not be more than 128 bytes', machine('bad'), `fieldManager=${'x'.repeat(129)}`],
  ['with managedFields', 400, 'metadata.managedFields must be nil', machine('bad', {}, { managedFields: [] }), 'fieldManager=me'],
  ['of another name', 400, 'the name of the object (other) does not match the name on the URL (bad)', machine('other'), 'fieldManager=me'],
  ['with a field nobody knows', 400, 'unknown field "spec.bogus"', machine('bad', { bogus: 1 }), 'fieldManager=me'],
  ['without a name, of what is not there', 400, 'name must be provided', { apiVersion: 'corral.dev/v1', kind: 'VirtualMachine', spec: {} }, 'fieldManager=me'],
  ['of a version, of what is not there', 409, 'Operation cannot be fulfilled', machine('bad', {}, { resourceVersion: '5' }), 'fieldManager=me'],
])('refuses to apply %s', async (_what, status, message, body, query) => {
  const answer = await apply('bad', body, query);
  expect([answer.status, answer.body.message]).toEqual([status, expect.stringContaining(message)]);
});

it('refuses force where nothing is applied', async () => {
  const answer = await api.request('PATCH', `${MACHINES}/bad?force=true`, {}, { 'content-type': 'application/merge-patch+json' });
  expect([answer.status, (answer.body as unknown as Answer).message]).toEqual([422, 'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch']);
});

it('makes one object of many who apply it at once, and keeps what each of them manages', async () => {
  const many = Array.from({ length: 12 }, (_one, index) => apply('shared', machine('shared', {}, { labels: { [`of-${index}`]: 'yes' } }), `fieldManager=m${index}`));
  const answers = await Promise.all(many);
  expect(answers.map(({ status }) => status).sort()).toEqual([...Array<number>(11).fill(200), 201]);
  const { body } = (await api.request('GET', `${MACHINES}/shared`)) as unknown as { body: Answer & { metadata: { labels: object } } };
  expect([Object.keys(body.metadata.labels).length, body.metadata.managedFields?.length]).toEqual([12, 12]);
});
