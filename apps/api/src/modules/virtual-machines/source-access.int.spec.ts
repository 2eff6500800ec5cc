import { clusterRoles, RBAC_GROUP, roleBindings } from '@corral/contracts';
import { jest } from '@jest/globals';
import { startApi, type ApiAnswer, type ApiFixture } from '../../testing/api-fixture.ts';
import { AdmissionRulesModule } from '../admission/admission-rules.module.ts';

jest.setTimeout(60_000);

const AT = '/apis/corral.dev/v1/namespaces/blue';
/** Of whom may do it the object that they name is asked for, which is not there. */
const [ALLOWED, FORBIDDEN] = [422, 403];

let api: ApiFixture;
beforeAll(async () => {
  api = await startApi({ imports: [{ module: AdmissionRulesModule }] });
  await api.request('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'blue' } });
  await bind('edit', 'edit');
}, 60_000);
afterAll(() => api.stop());

const rbac = (path: string, body: object): Promise<ApiAnswer> => api.request('POST', `/apis/${RBAC_GROUP}/v1/${path}`, { apiVersion: `${RBAC_GROUP}/v1`, ...body });
async function bind(user: string, role: string): Promise<void> {
  expect((await rbac('namespaces/blue/rolebindings', { kind: roleBindings.kind, metadata: { name: user }, roleRef: { kind: clusterRoles.kind, name: role }, subjects: [{ kind: 'User', name: user }] })).status).toBe(201);
}
/** Somebody who may make machines, pools and snapshots, and what is said beside that. */
async function maker(user: string, ...rules: readonly { readonly resources: readonly string[]; readonly verbs: readonly string[]; readonly resourceNames?: readonly string[] }[]): Promise<void> {
  const making = { resources: ['virtualmachines', 'virtualmachinepools', 'virtualmachinesnapshots'], verbs: ['create', 'update', 'patch'] };
  expect((await rbac('clusterroles', { kind: clusterRoles.kind, metadata: { name: user }, rules: [making, ...rules].map((rule) => ({ apiGroups: ['corral.dev'], ...rule })) })).status).toBe(201);
  await bind(user, user);
}

const create = (plural: string, kind: string, spec: object) => (user: string) =>
  api.request('POST', `${AT}/${plural}`, { apiVersion: 'corral.dev/v1', kind, metadata: { name: 'mine' }, spec }, { 'impersonate-user': user });
const machineFrom = (source: object) => create('virtualmachines', 'VirtualMachine', { source });
const poolOf = (source: object) => create('virtualmachinepools', 'VirtualMachinePool', { template: { spec: { source } }, warm: 1, maximum: 1 });
const snapshotOf = (virtualMachine: string) => create('virtualmachinesnapshots', 'VirtualMachineSnapshot', { virtualMachine });
const WAYS = {
  'a fork': machineFrom({ virtualMachine: 'theirs' }),
  'a machine from a snapshot': machineFrom({ snapshot: 'theirs' }),
  'a claim': machineFrom({ pool: 'theirs' }),
  'a pool of forks': poolOf({ virtualMachine: 'theirs' }),
  'a pool of a snapshot': poolOf({ snapshot: 'theirs' }),
  'a snapshot': snapshotOf('theirs'),
};
type Way = keyof typeof WAYS;
const ask = async (user: string): Promise<Record<string, number>> => Object.fromEntries(await Promise.all(Object.entries(WAYS).map(async ([way, make]) => [way, (await make(user)).status] as const)));
const only = (...ways: readonly Way[]) => Object.fromEntries(Object.keys(WAYS).map((way) => [way, ways.includes(way as Way) ? ALLOWED : FORBIDDEN]));

describe('Whoever makes something that holds what another machine held', () => {
  it('has a right to that: who may only make machines gets nothing out of any', async () => {
    await maker('blind');
    expect(await ask('blind')).toEqual(only());
    const refused = await WAYS['a fork']('blind');
    expect(refused.body).toMatchObject({ reason: 'Forbidden', message: expect.stringMatching(/"theirs" is forbidden: User "blind" cannot create resource "virtualmachines\/fork".*what goes on from it holds what it holds/) as unknown });
    expect((await machineFrom({ image: 'never-made' })('blind')).status).toBe(ALLOWED);
  });

  it.each<[string, { readonly resources: readonly string[]; readonly verbs: readonly string[] }, readonly Way[]]>([
    ['forking', { resources: ['virtualmachines/fork'], verbs: ['create'] }, ['a fork', 'a pool of forks']],
    ['getting snapshots', { resources: ['virtualmachinesnapshots'], verbs: ['get'] }, ['a machine from a snapshot', 'a pool of a snapshot']],
    ['getting pools', { resources: ['virtualmachinepools'], verbs: ['get'] }, ['a claim']],
    ['getting machines', { resources: ['virtualmachines'], verbs: ['get'] }, ['a snapshot']],
  ])('with a right to %s may do what that says, and only of what it names', async (what, right, ways) => {
    const [all, one, other] = ['all', 'one', 'other'].map((reach) => `${what.replaceAll(' ', '-')}-${reach}`) as [string, string, string];
    await Promise.all([maker(all, right), maker(one, { ...right, resourceNames: ['theirs'] }), maker(other, { ...right, resourceNames: ['another'] })]);
    expect([await ask(all), await ask(one), await ask(other)]).toEqual([only(...ways), only(...ways), only()]);
  });

  it('may do all of it with the built-in role for those who work in a namespace', async () => expect(await ask('edit')).toEqual(only(...(Object.keys(WAYS) as Way[]))));

  it('is asked for the snapshot when a machine is sent back to one', async () => {
    await api.request('POST', '/apis/corral.dev/v1/virtualmachineimages', { apiVersion: 'corral.dev/v1', kind: 'VirtualMachineImage', metadata: { name: 'pending' }, spec: { kernel: { url: 'https://127.0.0.1:1/kernel', sha256: 'a'.repeat(64) }, memory: '64Mi' } });
    expect((await create('virtualmachines', 'VirtualMachine', { source: { image: 'pending' } })('edit')).status).toBe(201);
    const sendBack = (user: string) => api.request('PATCH', `${AT}/virtualmachines/mine`, { spec: { source: { image: null, snapshot: 'theirs' } } }, { 'impersonate-user': user, 'content-type': 'application/merge-patch+json' });
    expect([(await sendBack('blind')).status, (await sendBack('edit')).status]).toEqual([FORBIDDEN, ALLOWED]);
  });
});
