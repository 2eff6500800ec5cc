import type { ResourceQuota } from '@corral/contracts';
import { startApi, type ApiAnswer, type ApiFixture } from '../../testing/api-fixture.ts';
import { AdmissionRulesModule } from '../admission/admission-rules.module.ts';

let api: ApiFixture;
let other: Pick<ApiFixture, 'request'>;
beforeAll(async () => {
  api = await startApi({ imports: [{ module: AdmissionRulesModule }] });
  other = await api.peer();
  await api.request('POST', '/apis/corral.dev/v1/virtualmachineimages', {
    apiVersion: 'corral.dev/v1', kind: 'VirtualMachineImage', metadata: { name: 'tiny' }, spec: { kernel: { url: `artifact:${'0'.repeat(64)}` }, memory: '64Mi' },
  });
}, 60_000);
afterAll(() => api.stop());

const MACHINES = 'count/virtualmachines.corral.dev';
const machinesOf = (namespace: string): string => `/apis/corral.dev/v1/namespaces/${namespace}/virtualmachines`;
const machine = (name: string, spec: object = {}) => ({ apiVersion: 'corral.dev/v1', kind: 'VirtualMachine', metadata: { name }, spec: { source: { image: 'tiny' }, ...spec } });

let made = 0;
/** A namespace with one quota, called q. */
async function tenant(hard: Record<string, unknown>): Promise<string> {
  const name = `tenant-${(made += 1)}`;
  expect((await api.request('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } })).status).toBe(201);
  const quota = await putQuota(name, 'q', hard);
  expect(quota.status).toBe(201);
  return name;
}
const putQuota = (namespace: string, name: string, hard: Record<string, unknown>): Promise<ApiAnswer> =>
  api.request('POST', `/api/v1/namespaces/${namespace}/resourcequotas`, { apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name }, spec: { hard } });

async function used(namespace: string, name = 'q'): Promise<ResourceQuota['status']> {
  const { body } = await api.request('GET', `/api/v1/namespaces/${namespace}/resourcequotas/${name}`);
  return body.status as ResourceQuota['status'];
}
const setStatus = (path: string, status: object): Promise<ApiAnswer> => api.request('PATCH', `${path}/status`, { status }, { 'content-type': 'application/merge-patch+json' });
const patch = (path: string, spec: object): Promise<ApiAnswer> => api.request('PATCH', path, { spec }, { 'content-type': 'application/merge-patch+json' });

describe('a quota of objects', () => {
  it('lets exactly as many through as it says, of 100 creates at once through two API processes, and counts each', async () => {
    const namespace = await tenant({ [MACHINES]: '40' });
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, index) => (index % 2 === 0 ? api : other).request('POST', machinesOf(namespace), machine(`vm-${index}`))),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(40);
    expect(answers.filter(({ status }) => status === 403)).toHaveLength(60);
    expect((await api.request('GET', machinesOf(namespace))).body.items).toHaveLength(40);
    expect(await used(namespace)).toEqual({ hard: { [MACHINES]: '40' }, used: { [MACHINES]: '40' } });
  });

  it('refuses in Kubernetes’s words', async () => {
    const namespace = await tenant({ [MACHINES]: 1, 'requests.memory': '1Gi' });
    await api.request('POST', machinesOf(namespace), machine('first'));
    const answer = await api.request('POST', machinesOf(namespace), machine('second'));
    expect(answer.status).toBe(403);
    expect(answer.body).toMatchObject({
      reason: 'Forbidden',
      message: `virtualmachines.corral.dev "second" is forbidden: exceeded quota: q, requested: ${MACHINES}=1, used: ${MACHINES}=1, limited: ${MACHINES}=1`,
      details: { name: 'second', group: 'corral.dev', kind: 'virtualmachines' },
    });
  });

  it('is given back by every deletion, through either process', async () => {
    const namespace = await tenant({ [MACHINES]: '2' });
    for (let round = 0; round < 4; round += 1) {
      const [one, two] = round % 2 === 0 ? [api, other] : [other, api];
      expect((await one.request('POST', machinesOf(namespace), machine('a'))).status).toBe(201);
      expect((await two.request('POST', machinesOf(namespace), machine('b'))).status).toBe(201);
      expect((await one.request('POST', machinesOf(namespace), machine('c'))).status).toBe(403);
      await Promise.all(['a', 'b'].map((name) => two.request('DELETE', `${machinesOf(namespace)}/${name}`)));
      expect((await used(namespace))?.used).toEqual({ [MACHINES]: '0' });
    }
  });

  it('is not charged for what is refused for another reason, nor for a dry run, which is checked', async () => {
    const namespace = await tenant({ [MACHINES]: '1' });
    expect((await api.request('POST', `${machinesOf(namespace)}?dryRun=All`, machine('a'))).status).toBe(201);
    expect((await used(namespace))?.used).toEqual({ [MACHINES]: '0' });
    const answers = await Promise.all(['a', 'a', 'a'].map((name) => api.request('POST', machinesOf(namespace), machine(name))));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 403, 403]);
    expect((await used(namespace))?.used).toEqual({ [MACHINES]: '1' });
    expect((await api.request('POST', `${machinesOf(namespace)}?dryRun=All`, machine('b'))).status).toBe(403);
  });

  it('holds for the first write through any process, whether it has heard of the quota or not', async () => {
    for (let round = 0; round < 5; round += 1) {
      const namespace = await tenant({ [MACHINES]: '1' });
      const answers = await Promise.all(['a', 'b', 'c'].map((name) => other.request('POST', machinesOf(namespace), machine(name))));
      expect(answers.map(({ status }) => status).sort()).toEqual([201, 403, 403]);
      expect((await used(namespace))?.used).toEqual({ [MACHINES]: '1' });
    }
  });

  it('counts what is created while it is created', async () => {
    const namespace = await tenant({ pods: '100' });
    const [, ...answers] = await Promise.all([
      putQuota(namespace, 'late', { [MACHINES]: '100' }),
      ...Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? api : other).request('POST', machinesOf(namespace), machine(`vm-${index}`))),
    ]);
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 201));
    expect((await used(namespace, 'late'))?.used).toEqual({ [MACHINES]: '20' });
  });

  it('counts what was there before it, and itself', async () => {
    const namespace = await tenant({ pods: '9' });
    await api.request('POST', machinesOf(namespace), machine('before'));
    await putQuota(namespace, 'later', { [MACHINES]: '5', resourcequotas: '2', 'count/secrets': '3', 'cpu': '4' });
    expect(await used(namespace, 'later')).toEqual({
      hard: { [MACHINES]: '5', resourcequotas: '2', 'count/secrets': '3', cpu: '4' },
      used: { [MACHINES]: '1', resourcequotas: '2', 'count/secrets': '0', cpu: '0' },
    });
    expect((await putQuota(namespace, 'third', { pods: '1' })).status).toBe(403);
  });

  it('puts changed limits in force with the write that changes them', async () => {
    const namespace = await tenant({ [MACHINES]: '1' });
    await api.request('POST', machinesOf(namespace), machine('a'));
    const changed = await patch(`/api/v1/namespaces/${namespace}/resourcequotas/q`, { hard: { [MACHINES]: '2', 'requests.memory': '128Mi' } });
    expect(changed.body.status).toEqual({ hard: { [MACHINES]: '2', 'requests.memory': '128Mi' }, used: { [MACHINES]: '1', 'requests.memory': '64Mi' } });
    expect((await api.request('POST', machinesOf(namespace), machine('b'))).status).toBe(201);
    expect((await api.request('POST', machinesOf(namespace), machine('c'))).status).toBe(403);
  });
});

describe('a quota of memory and running machines', () => {
  const hard = { 'requests.memory': '192Mi', 'limits.memory': '192Mi', 'corral.dev/running-virtualmachines': '2', pods: '3' };

  it('is charged when a machine is started and given back when it has stopped', async () => {
    const namespace = await tenant(hard);
    const path = `${machinesOf(namespace)}/a`;
    await api.request('POST', machinesOf(namespace), machine('a', { powerState: 'Stopped' }));
    expect((await used(namespace))?.used).toMatchObject({ 'requests.memory': '0', 'corral.dev/running-virtualmachines': '0' });
    await patch(path, { powerState: 'Running' });
    await setStatus(path, { phase: 'Running', incarnation: 1 });
    expect((await used(namespace))?.used).toEqual({ 'requests.memory': '64Mi', 'limits.memory': '64Mi', 'corral.dev/running-virtualmachines': '1', pods: '1' });
    await patch(path, { powerState: 'Stopped' });
    expect((await used(namespace))?.used).toMatchObject({ 'requests.memory': '64Mi' });
    await setStatus(path, { phase: 'Stopped', lastTermination: { reason: 'Stopped', incarnation: 1, finishedAt: '2026-01-01T00:00:00Z' } });
    expect((await used(namespace))?.used).toMatchObject({ 'requests.memory': '0', 'corral.dev/running-virtualmachines': '0', pods: '0' });
  });

  it('refuses to start a machine for which nothing is left', async () => {
    const namespace = await tenant(hard);
    await api.request('POST', machinesOf(namespace), machine('big', { memory: '160Mi' }));
    await api.request('POST', machinesOf(namespace), machine('small', { powerState: 'Stopped' }));
    const refused = await patch(`${machinesOf(namespace)}/small`, { powerState: 'Running' });
    expect(refused.status).toBe(403);
    expect(refused.body.message).toContain('exceeded quota: q, requested: limits.memory=64Mi,requests.memory=64Mi, used: limits.memory=160Mi,requests.memory=160Mi, limited: limits.memory=192Mi,requests.memory=192Mi');
  });

  it('is given back by a machine that ended for good', async () => {
    const namespace = await tenant(hard);
    const path = `${machinesOf(namespace)}/once`;
    await api.request('POST', machinesOf(namespace), machine('once', { restartPolicy: 'Never' }));
    await setStatus(path, { phase: 'Stopped', incarnation: 1, lastTermination: { reason: 'GuestPoweredOff', incarnation: 1, finishedAt: '2026-01-01T00:00:00Z' } });
    expect((await used(namespace))?.used).toMatchObject({ 'requests.memory': '0', 'corral.dev/running-virtualmachines': '0' });
  });
});

describe('a quota of snapshot bytes', () => {
  const snapshotsOf = (namespace: string): string => `/apis/corral.dev/v1/namespaces/${namespace}/virtualmachinesnapshots`;
  const snapshot = (name: string) => ({ apiVersion: 'corral.dev/v1', kind: 'VirtualMachineSnapshot', metadata: { name }, spec: { virtualMachine: 'a' } });

  it('counts what a snapshot grows to, refuses the next one, and is given back with the bytes', async () => {
    const namespace = await tenant({ 'corral.dev/snapshot-bytes': '1Mi' });
    await api.request('POST', machinesOf(namespace), machine('a'));
    expect((await api.request('POST', snapshotsOf(namespace), snapshot('one'))).status).toBe(201);
    await setStatus(`${snapshotsOf(namespace)}/one`, { sizeBytes: 3 * 2 ** 20 });
    expect((await used(namespace))?.used).toEqual({ 'corral.dev/snapshot-bytes': '3Mi' });
    expect((await api.request('POST', snapshotsOf(namespace), snapshot('two'))).status).toBe(403);
    await api.request('DELETE', `${snapshotsOf(namespace)}/one`);
    expect((await used(namespace))?.used).toEqual({ 'corral.dev/snapshot-bytes': '3Mi' });
    await api.request('PATCH', `${snapshotsOf(namespace)}/one`, { metadata: { finalizers: null } }, { 'content-type': 'application/merge-patch+json' });
    expect((await used(namespace))?.used).toEqual({ 'corral.dev/snapshot-bytes': '0' });
  });

  it('is given back by a snapshot that fails', async () => {
    const namespace = await tenant({ 'corral.dev/snapshot-bytes': '2' });
    await api.request('POST', machinesOf(namespace), machine('a'));
    await api.request('POST', snapshotsOf(namespace), snapshot('one'));
    expect((await used(namespace))?.used).toEqual({ 'corral.dev/snapshot-bytes': '1' });
    const ready = { type: 'Ready', status: 'False', reason: 'DiskFull', message: '', lastTransitionTime: '2026-01-01T00:00:00Z' };
    await setStatus(`${snapshotsOf(namespace)}/one`, { conditions: [ready], completedAt: '2026-01-01T00:00:00Z' });
    expect((await used(namespace))?.used).toEqual({ 'corral.dev/snapshot-bytes': '0' });
  });
});

describe('a quota that makes no sense', () => {
  it.each<[string, object, number]>([
    ['an amount that is no quantity', { hard: { pods: 'many' } }, 400],
    ['a name nobody knows', { hard: { bananas: '1' } }, 422],
    ['a count of a kind nobody serves', { hard: { 'count/bananas.example.com': '1' } }, 422],
    ['a count of a kind outside namespaces', { hard: { 'count/nodes': '1' } }, 422],
    ['less than nothing', { hard: { pods: '-1' } }, 422],
    ['half an object', { hard: { pods: '500m' } }, 422],
    ['scopes', { hard: { pods: '1' }, scopes: ['NotTerminating'] }, 422],
    ['a scope selector', { hard: { pods: '1' }, scopeSelector: { matchExpressions: [] } }, 422],
  ])('%s is refused', async (_title, spec, status) => {
    const answer = await api.request('POST', '/api/v1/namespaces/default/resourcequotas', { apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name: 'bad' }, spec });
    expect({ status: answer.status, message: answer.body.message }).toEqual({ status, message: expect.any(String) as unknown });
  });
});

describe('a limit range', () => {
  const range = (namespace: string, limits: object[]): Promise<ApiAnswer> =>
    api.request('POST', `/api/v1/namespaces/${namespace}/limitranges`, { apiVersion: 'v1', kind: 'LimitRange', metadata: { name: 'limits' }, spec: { limits } });

  it('gives machines its defaults before their image does, and names everything it forbids', async () => {
    const namespace = await tenant({ 'requests.memory': '10Gi', 'limits.memory': '10Gi' });
    expect((await range(namespace, [{ type: 'VirtualMachine', min: { memory: '32Mi' }, max: { memory: '256Mi' }, default: { memory: '128Mi' }, defaultRequest: { memory: '64Mi' }, maxLimitRequestRatio: { memory: 4 } }])).status).toBe(201);
    const made = await api.request('POST', machinesOf(namespace), machine('plain'));
    expect(made.body.spec).toMatchObject({ memory: '128Mi', residentMemory: '64Mi' });
    expect((await used(namespace))?.used).toEqual({ 'requests.memory': '64Mi', 'limits.memory': '128Mi' });

    const refused = await api.request('POST', machinesOf(namespace), machine('wrong', { memory: '512Mi', residentMemory: '16Mi' }));
    expect(refused.status).toBe(403);
    expect(refused.body.message).toBe(
      'virtualmachines.corral.dev "wrong" is forbidden: [minimum memory usage per VirtualMachine is 32Mi, but request is 16Mi, maximum memory usage per VirtualMachine is 256Mi, but limit is 512Mi, memory max limit to request ratio per VirtualMachine is 4, but provided ratio is 32.000000]',
    );
  });

  it('with limits that contradict each other is refused', async () => {
    expect((await range('default', [{ type: 'Pod', min: { memory: '2Gi' }, max: { memory: '1Gi' } }])).status).toBe(422);
  });
});
