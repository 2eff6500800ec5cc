import { jest } from '@jest/globals';
import {
  ApiException, CoreV1Api, CustomObjectsApi, KubeConfig, KubernetesObjectApi, makeInformer, PatchStrategy, setHeaderOptions, Watch, type KubernetesListObject, type KubernetesObject,
} from '@kubernetes/client-node';
import { until } from '@corral/testing';
import { ADMIN_TOKEN, startApi, type ApiFixture } from '../testing/api-fixture.ts';

jest.setTimeout(120_000);

const PATH = '/apis/corral.dev/v1/namespaces/default/virtualmachines';
const kind = { group: 'corral.dev', version: 'v1', namespace: 'default', plural: 'virtualmachines' };

let api: ApiFixture;
let config: KubeConfig;
let machines: CustomObjectsApi;
beforeAll(async () => {
  api = await startApi();
  config = new KubeConfig();
  const server = api.url.replace('http:', 'https:');
  config.loadFromClusterAndUser({ name: 'corral', server, skipTLSVerify: false, caData: Buffer.from(api.certificate).toString('base64') }, { name: 'admin', token: ADMIN_TOKEN });
  machines = config.makeApiClient(CustomObjectsApi);
}, 240_000);
afterAll(() => api.stop());

const machine = (name: string, spec: object = {}): object => ({ apiVersion: 'corral.dev/v1', kind: 'VirtualMachine', metadata: { name }, spec: { source: { image: 'linux-minimal' }, ...spec } });
/** The code and the Status of a refusal. */
async function refusal(attempt: Promise<unknown>): Promise<{ code: number; reason: string; message: string }> {
  try {
    await attempt;
  } catch (error) {
    if (!(error instanceof ApiException)) throw error;
    const body = (typeof error.body === 'string' ? JSON.parse(error.body) : error.body) as { reason: string; message: string };
    return { code: error.code, reason: body.reason, message: body.message };
  }
  throw new Error('it was not refused');
}

it('creates, reads, lists, replaces and deletes, and sees refusals as their code', async () => {
  await machines.createNamespacedCustomObject({ ...kind, body: machine('js') });
  const stored = (await machines.getNamespacedCustomObject({ ...kind, name: 'js' })) as KubernetesObject & { spec: object };
  expect(stored.metadata?.uid).toBeDefined();
  expect(await refusal(machines.createNamespacedCustomObject({ ...kind, body: machine('js') }))).toMatchObject({ code: 409, reason: 'AlreadyExists' });
  await machines.replaceNamespacedCustomObject({ ...kind, name: 'js', body: { ...stored, spec: { ...stored.spec, powerState: 'Paused' } } });
  expect(await refusal(machines.replaceNamespacedCustomObject({ ...kind, name: 'js', body: stored }))).toMatchObject({ code: 409, reason: 'Conflict' });
  expect(await refusal(machines.createNamespacedCustomObject({ ...kind, body: machine('bad', { powerState: 'Flying' }) }))).toMatchObject({ code: 422, reason: 'Invalid' });
  await machines.deleteNamespacedCustomObject({ ...kind, name: 'js' });
  expect(await refusal(machines.getNamespacedCustomObject({ ...kind, name: 'js' }))).toMatchObject({ code: 404, reason: 'NotFound' });
});

it('speaks of Kubernetes’s own kinds with its typed clients', async () => {
  const core = config.makeApiClient(CoreV1Api);
  await core.createNamespace({ body: { metadata: { name: 'typed', labels: { a: 'b' } } } });
  expect((await core.listNamespace({ labelSelector: 'a=b' })).items.map(({ metadata }) => metadata?.name)).toEqual(['typed']);
  await core.patchNamespace({ name: 'typed', body: { metadata: { labels: { a: 'c' } } } }, setHeaderOptions('Content-Type', PatchStrategy.StrategicMergePatch));
  await core.createNamespacedSecret({ namespace: 'typed', body: { metadata: { name: 'login' }, stringData: { user: 'me' } } });
  expect((await core.readNamespacedSecret({ namespace: 'typed', name: 'login' })).data).toEqual({ user: Buffer.from('me').toString('base64') });
  const { _continue, remainingItemCount } = (await core.listNamespace({ limit: 1 })).metadata ?? {};
  expect([typeof _continue, remainingItemCount]).toEqual(['string', expect.any(Number)]);
});

it('applies on the server, is told of conflicts, and forces', async () => {
  const objects = KubernetesObjectApi.makeApiClient(config);
  const apply = (manager: string, powerState: string, force?: boolean) =>
    objects.patch({ ...machine('applied', { powerState }), metadata: { name: 'applied', namespace: 'default' } } as KubernetesObject, undefined, undefined, manager, force, PatchStrategy.ServerSideApply);
  await apply('one', 'Running');
  expect(await refusal(apply('two', 'Paused'))).toEqual({ code: 409, reason: 'Conflict', message: 'Apply failed with 1 conflict: conflict with "one": .spec.powerState' });
  const forced = (await apply('two', 'Paused', true)) as KubernetesObject & { spec: { powerState: string } };
  expect([forced.spec.powerState, forced.metadata?.managedFields?.map(({ manager }) => manager)]).toEqual(['Paused', ['one', 'two']]);
});

it('is told that the history it asks for is gone', async () => {
  await machines.createNamespacedCustomObject({ ...kind, body: machine('forgotten') });
  await api.store.compactChanges(new Date(Date.now() + 60_000));
  const told: unknown[] = [];
  const watching = await new Watch(config).watch(PATH, { resourceVersion: '1' }, (type, object: { code?: number }) => type === 'ERROR' && told.push(object.code), (error: unknown) => told.push(error));
  try {
    await until(() => told.length > 0, { timeoutMs: 20_000, what: 'the end of the watch' });
    expect(told[0]).toBe(410);
  } finally {
    watching.abort();
  }
});

it('follows a collection with its informer, also when the server is restarted meanwhile', async () => {
  const list = async () => (await machines.listNamespacedCustomObject(kind)) as KubernetesListObject<KubernetesObject>;
  const informer = makeInformer(config, PATH, list);
  const seen: string[] = [];
  let restarts = 0;
  informer.on('add', ({ metadata }) => seen.push(`add ${metadata?.name}`));
  informer.on('update', ({ metadata }) => seen.push(`update ${metadata?.name}`));
  informer.on('delete', ({ metadata }) => seen.push(`delete ${metadata?.name}`));
  // It stops at any error but a clean end, and whoever uses it starts it again.
  informer.on('error', () => {
    restarts += 1;
    if (restarts < 100) setTimeout(() => void informer.start().catch(() => undefined), 100);
  });
  await informer.start();
  try {
    await api.request('POST', PATH, machine('followed'));
    await api.request('PATCH', `${PATH}/followed`, { metadata: { labels: { x: 'y' } } }, { 'content-type': 'application/merge-patch+json' });
    await api.request('DELETE', `${PATH}/followed`);
    await until(() => seen.includes('delete followed'), { timeoutMs: 20_000, what: 'the deletion' });
    expect(seen.filter((event) => event.endsWith(' followed'))).toEqual(['add followed', 'update followed', 'delete followed']);

    await api.restart();
    await api.request('POST', PATH, machine('after'));
    await until(() => seen.includes('add after'), { timeoutMs: 30_000, what: 'what was made after the restart' });
    expect(seen.filter((event) => event === 'add after')).toHaveLength(1);
  } finally {
    await informer.stop();
  }
});
