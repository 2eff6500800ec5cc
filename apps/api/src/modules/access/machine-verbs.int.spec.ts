import { clusterRoles, roleBindings, RBAC_GROUP } from '@corral/contracts';
import { jest } from '@jest/globals';
import { startApi, type ApiFixture } from '../../testing/api-fixture.ts';

jest.setTimeout(60_000);

const VM = '/apis/corral.dev/v1/namespaces/blue/virtualmachines/demo';
const ELSEWHERE = VM.replace('blue', 'green');
/** Of whom may do it the object is asked for, which is not there. */
const [ALLOWED, FORBIDDEN] = [404, 403];

interface Verb {
  readonly method: 'GET' | 'POST' | 'PATCH';
  readonly path: (machine: string) => string;
  readonly body?: object;
  /** The right a role names. */
  readonly right: { readonly resources: readonly string[]; readonly verbs: readonly string[] };
}
const post = (name: string): Verb => ({ method: 'POST', path: (machine) => `${machine}/${name}`, body: {}, right: { resources: [`virtualmachines/${name}`], verbs: ['create'] } });
const VERBS = {
  hibernate: post('hibernate'),
  wake: post('wake'),
  fork: { ...post('fork'), body: { names: ['child'] } },
  rollback: { method: 'PATCH', path: (machine) => machine, body: { spec: { source: { snapshot: 'night' } } }, right: { resources: ['virtualmachines'], verbs: ['patch'] } },
  screenshot: { method: 'GET', path: (machine) => `${machine}/screenshot`, right: { resources: ['virtualmachines/screenshot'], verbs: ['get'] } },
  'screenshot of a snapshot': { method: 'GET', path: (machine) => `${machine.replace('virtualmachines/demo', 'virtualmachinesnapshots/night')}/screenshot`, right: { resources: ['virtualmachinesnapshots/screenshot'], verbs: ['get'] } },
} as const satisfies Record<string, Verb>;
type VerbName = keyof typeof VERBS;
const NAMES = Object.keys(VERBS) as VerbName[];
const LOOKING: readonly VerbName[] = ['screenshot', 'screenshot of a snapshot'];

let api: ApiFixture;
beforeAll(async () => {
  api = await startApi();
  for (const name of ['blue', 'green']) await api.request('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  for (const role of ['view', 'edit', 'admin']) await bind(role, role);
}, 60_000);
afterAll(() => api.stop());

async function bind(user: string, role: string): Promise<void> {
  const body = { apiVersion: `${RBAC_GROUP}/v1`, kind: roleBindings.kind, metadata: { name: user }, roleRef: { kind: clusterRoles.kind, name: role }, subjects: [{ kind: 'User', name: user }] };
  expect((await api.request('POST', `/apis/${RBAC_GROUP}/v1/namespaces/blue/rolebindings`, body)).status).toBe(201);
}

async function ask(user: string, name: VerbName, machine = VM): Promise<number> {
  const { method, path, body }: Verb = VERBS[name];
  return (await api.request(method, path(machine), body, { 'impersonate-user': user, ...(method === 'PATCH' ? { 'content-type': 'application/merge-patch+json' } : {}) })).status;
}

describe.each(NAMES)('%s of a machine', (name) => {
  it('is for those who may change machines, and looking also for those who may look; not for strangers, nor elsewhere', async () => {
    const answers = Object.fromEntries(await Promise.all(['view', 'edit', 'admin', 'stranger'].map(async (user) => [user, await ask(user, name)] as const)));
    expect(answers).toEqual({ view: LOOKING.includes(name) ? ALLOWED : FORBIDDEN, edit: ALLOWED, admin: ALLOWED, stranger: FORBIDDEN });
    expect(await Promise.all(['view', 'edit', 'admin'].map((user) => ask(user, name, ELSEWHERE)))).toEqual([FORBIDDEN, FORBIDDEN, FORBIDDEN]);
  });

  it('is a right of its own: whoever has it has none of the others', async () => {
    const { right }: Verb = VERBS[name];
    const only = `only-${name.replaceAll(' ', '-')}`;
    expect((await api.request('POST', `/apis/${RBAC_GROUP}/v1/clusterroles`, { apiVersion: `${RBAC_GROUP}/v1`, kind: clusterRoles.kind, metadata: { name: only }, rules: [{ apiGroups: ['corral.dev'], ...right }] })).status).toBe(201);
    await bind(only, only);
    const answers = await Promise.all(NAMES.map(async (other) => [other, await ask(only, other)] as const));
    expect(Object.fromEntries(answers)).toEqual(Object.fromEntries(NAMES.map((other) => [other, other === name ? ALLOWED : FORBIDDEN])));
  });
});
