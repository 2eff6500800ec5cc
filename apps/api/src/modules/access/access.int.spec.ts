import { randomUUID } from 'node:crypto';
import { clusterRoles, roleBindings } from '@corral/contracts';
import { until } from '@corral/testing';
import { jest } from '@jest/globals';
import { Module } from '@nestjs/common';
import { WebSocketGateway, type OnGatewayConnection } from '@nestjs/websockets';
import WebSocket from 'ws';
import { digestOf, randomSecret } from '../../platform/auth/digest.ts';
import { Database } from '../../platform/database/database.ts';
import type { GatewayOptions } from '../../platform/http/gateway-server.ts';
import { ADMIN_TOKEN, startApi, type ApiAnswer, type ApiFixture } from '../../testing/api-fixture.ts';
import { AUTOUPDATE } from './bootstrap-roles.ts';

jest.setTimeout(60_000);

/** Stands for a gateway that carries a machine's bytes. */
@WebSocketGateway<GatewayOptions>({ path: '/apis/corral.dev/v1/namespaces/:namespace/virtualmachines/:name/serial' })
class SilentGateway implements OnGatewayConnection<WebSocket> {
  handleConnection(client: WebSocket): void {
    client.resume();
  }
}

@Module({ providers: [SilentGateway] })
class SilentModule {}

let api: ApiFixture;
beforeAll(async () => {
  api = await startApi({ imports: [SilentModule] });
  for (const name of ['blue', 'green']) await admin('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
}, 60_000);
afterAll(() => api.stop());

const RBAC = '/apis/rbac.authorization.k8s.io/v1';
const VMS = '/apis/corral.dev/v1/namespaces/blue/virtualmachines';

const admin = (method: string, path: string, body?: unknown): Promise<ApiAnswer> => api.request(method, path, body);
const acting = (name: string, ...groups: string[]) => ({ 'impersonate-user': name, ...(groups.length > 0 ? { 'impersonate-group': groups.join(',') } : {}) });
const as = (name: string) => (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => api.request(method, path, body, { ...acting(name), ...headers });
const statusOf = async (answer: Promise<ApiAnswer>): Promise<number> => (await answer).status;

const clusterRole = (name: string, rules: object[], more: object = {}) => ({ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata: { name }, rules, ...more });
const role = (name: string, rules: object[]) => ({ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', metadata: { name }, rules });
const binding = (name: string, roleName: string, user: string, roleKind = 'ClusterRole') => ({
  apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding', metadata: { name }, roleRef: { kind: roleKind, name: roleName }, subjects: [{ kind: 'User', name: user }],
});
const clusterBinding = (name: string, roleName: string, user: string) => ({ ...binding(name, roleName, user), kind: 'ClusterRoleBinding' });
const bind = (user: string, roleName: string, namespace = 'blue') => admin('POST', `${RBAC}/namespaces/${namespace}/rolebindings`, binding(`${user}-${roleName}`, roleName, user));

describe('a tenant', () => {
  beforeAll(async () => {
    await bind('ann', 'edit');
    await bind('vic', 'view');
    await bind('abe', 'admin');
  });

  it.each([
    ['ann', 'GET', VMS, 200],
    ['ann', 'POST', VMS, 400],
    ['ann', 'DELETE', `${VMS}/x`, 404],
    ['ann', 'GET', '/apis/corral.dev/v1/virtualmachines', 403],
    ['ann', 'GET', VMS.replace('blue', 'green'), 403],
    ['ann', 'GET', VMS.replace('blue', 'nowhere'), 403],
    ['ann', 'GET', `${VMS.replace('blue', 'green')}/missing`, 403],
    ['ann', 'GET', '/api/v1/namespaces/blue', 200],
    ['ann', 'GET', '/api/v1/namespaces', 403],
    ['ann', 'GET', '/api/v1/nodes', 403],
    ['ann', 'GET', '/apis/corral.dev/v1/virtualmachineimages', 200],
    ['ann', 'POST', '/apis/corral.dev/v1/virtualmachineimages', 403],
    ['ann', 'PUT', `${VMS}/x/status`, 403],
    ['ann', 'GET', `${VMS}/x/wait?for=delete`, 200],
    ['ann', 'GET', `${RBAC}/namespaces/blue/roles`, 403],
    ['ann', 'GET', '/api', 200],
    ['ann', 'GET', '/metrics', 403],
    ['ann', 'POST', '/auth/sign-in-links', 403],
    ['ann', 'POST', '/admin/forget-changes', 403],
    ['vic', 'GET', VMS, 200],
    ['vic', 'POST', VMS, 403],
    ['vic', 'GET', `${VMS}/x/wait?for=delete`, 200],
    ['vic', 'GET', '/api/v1/namespaces/blue/secrets', 403],
    ['vic', 'POST', `${VMS}/x/exec`, 403],
    ['vic', 'GET', `${VMS}/x/files?path=/etc`, 403],
    ['abe', 'GET', `${RBAC}/namespaces/blue/roles`, 200],
    ['nobody-special', 'GET', VMS, 403],
    ['nobody-special', 'GET', '/apis', 200],
  ])('%s asks %s %s and gets %d', async (user, method, path, expected) => {
    expect(await statusOf(as(user)(method, path, method === 'GET' || method === 'DELETE' ? undefined : {}))).toBe(expected);
  });

  it('sees of what is missing no more than of what is forbidden', async () => {
    const answer = await as('ann')('GET', `${VMS.replace('blue', 'green')}/missing`);
    expect(answer.body.message).toBe(
      'virtualmachines.corral.dev "missing" is forbidden: User "ann" cannot get resource "virtualmachines" in API group "corral.dev" in the namespace "green"',
    );
  });

  it('is told which namespaces it has rights in, and an administrator that it may list them', async () => {
    const namespacesOf = async (answer: Promise<ApiAnswer>): Promise<unknown> => ((await answer).body as unknown as { namespaces: unknown }).namespaces;
    expect(await namespacesOf(as('ann')('GET', '/auth/session'))).toEqual(['blue']);
    expect(await namespacesOf(as('nobody-special')('GET', '/auth/session'))).toEqual([]);
    expect(await namespacesOf(admin('GET', '/auth/session'))).toEqual(['*']);
  });

  it('with a right taken back, has it no more at the next request', async () => {
    await bind('tim', 'view');
    expect(await statusOf(as('tim')('GET', VMS))).toBe(200);
    await admin('DELETE', `${RBAC}/namespaces/blue/rolebindings/tim-view`);
    expect(await statusOf(as('tim')('GET', VMS))).toBe(403);
  });

  it('has a right at the next request, every time', async () => {
    const seen: number[] = [];
    for (let index = 0; index < 30; index += 1) {
      await bind(`user-${index}`, 'view');
      seen.push(await statusOf(as(`user-${index}`)('GET', VMS)));
    }
    expect(seen).toEqual(seen.map(() => 200));
  });

  it('has a right within a second that was written by another process', async () => {
    const metadata = { name: 'far', namespace: 'blue', uid: randomUUID(), resourceVersion: '', generation: 1, creationTimestamp: '2026-01-01T00:00:00Z' };
    await api.store.create(roleBindings, { ...binding('far', 'view', 'fay'), metadata });
    await until(async () => (await statusOf(as('fay')('GET', VMS))) === 200, { timeoutMs: 1_000, what: 'the right' });
  });

  it('keeps its rights over a restart of the server', async () => {
    await api.restart();
    expect([await statusOf(as('ann')('GET', VMS)), await statusOf(as('ann')('GET', '/api/v1/nodes'))]).toEqual([200, 403]);
  });
});

describe('sockets into a guest', () => {
  function handshake(user: string, path: string): Promise<number> {
    return new Promise((resolve) => {
      const socket = new WebSocket(`${api.url.replace('http', 'ws')}${path}`, { headers: { authorization: `Bearer ${ADMIN_TOKEN}`, ...acting(user) } });
      socket.on('unexpected-response', (_request, { statusCode }) => resolve(statusCode ?? 0));
      socket.on('open', () => {
        resolve(101);
        socket.close();
      });
      socket.on('error', () => undefined);
    });
  }

  it('the watches of /live are judged one by one, by the rights of whoever is acted as', async () => {
    const socket = new WebSocket(`${api.url.replace('http', 'ws')}/live`, { headers: { authorization: `Bearer ${ADMIN_TOKEN}`, ...acting('vic') } });
    const seen: string[] = [];
    socket.on('message', (data: Buffer) => {
      const { id, type, object } = JSON.parse(data.toString()) as { id?: number; type: string; object?: { code?: number } };
      if (id !== undefined) seen.push(`${id} ${type} ${object?.code ?? ''}`.trim());
    });
    await new Promise((open) => socket.once('open', open));
    socket.send(JSON.stringify({ id: 1, type: 'watch', path: VMS }));
    socket.send(JSON.stringify({ id: 2, type: 'watch', path: '/apis/corral.dev/v1/virtualmachines' }));
    socket.send(JSON.stringify({ id: 3, type: 'watch', path: `${VMS.replace('blue', 'green')}` }));
    await until(() => seen.length === 5, { timeoutMs: 5_000, what: 'the answers' });
    expect(seen.sort()).toEqual(['1 BOOKMARK', '2 CLOSED', '2 ERROR 403', '3 CLOSED', '3 ERROR 403']);
    socket.close();
  });

  it('are for those who may create them, and reading everything is not enough', async () => {
    await admin('POST', `${RBAC}/clusterroles`, clusterRole('reads-all', [{ apiGroups: ['*'], resources: ['*'], verbs: ['get', 'list', 'watch'] }]));
    await admin('POST', `${RBAC}/clusterrolebindings`, clusterBinding('rob', 'reads-all', 'rob'));
    expect(await statusOf(as('rob')('GET', VMS))).toBe(200);
    expect([await handshake('rob', '/live'), await handshake('rob', `${VMS}/x/serial`), await handshake('ann', `${VMS}/x/serial`)]).toEqual([101, 403, 101]);
    expect(await handshake('ann', `${VMS.replace('blue', 'green')}/x/serial`)).toBe(403);
  });
});

describe('who gives rights away', () => {
  const PODS = { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list'] };
  const NODES = { apiGroups: [''], resources: ['nodes'], verbs: ['get', 'list'] };

  beforeAll(async () => {
    await bind('boss', 'admin');
  });

  it('must have them', async () => {
    const boss = as('boss');
    expect(await statusOf(boss('POST', `${RBAC}/namespaces/blue/roles`, role('pods', [PODS])))).toBe(201);
    const refused = await boss('POST', `${RBAC}/namespaces/blue/roles`, role('nodes', [PODS, NODES]));
    expect([refused.status, refused.body.message]).toEqual([
      403,
      'roles.rbac.authorization.k8s.io "nodes" is forbidden: user "boss" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[""], Resources:["nodes"], Verbs:["get" "list"]}',
    ]);
    const changed = await boss('PATCH', `${RBAC}/namespaces/blue/roles/pods`, { rules: [NODES] }, { 'content-type': 'application/merge-patch+json' });
    expect(changed.status).toBe(403);
  });

  it('must have every right of a role they bind, or may bind it', async () => {
    const boss = as('boss');
    const path = `${RBAC}/namespaces/blue/rolebindings`;
    expect(await statusOf(boss('POST', path, binding('eve-edit', 'edit', 'eve')))).toBe(201);
    expect(await statusOf(boss('POST', path, binding('eve-root', 'cluster-admin', 'eve')))).toBe(403);
    expect(await statusOf(boss('POST', path, binding('eve-none', 'no-such-role', 'eve')))).toBe(404);
    expect(await statusOf(boss('POST', `${RBAC}/clusterrolebindings`, clusterBinding('eve-root', 'cluster-admin', 'eve')))).toBe(403);

    await admin('POST', `${RBAC}/clusterroles`, clusterRole('reads-nodes', [NODES]));
    expect(await statusOf(boss('POST', path, binding('eve-nodes', 'reads-nodes', 'eve')))).toBe(403);
    await admin('POST', `${RBAC}/clusterroles`, clusterRole('binds-nodes', [{ apiGroups: ['rbac.authorization.k8s.io'], resources: ['clusterroles'], resourceNames: ['reads-nodes'], verbs: ['bind'] }]));
    await bind('boss', 'binds-nodes');
    expect(await statusOf(boss('POST', path, binding('eve-nodes', 'reads-nodes', 'eve')))).toBe(201);
  });

  it('may be allowed to escalate, and only masters aggregate', async () => {
    const ROLES = { apiGroups: ['rbac.authorization.k8s.io'], resources: ['clusterroles'] };
    await admin('POST', `${RBAC}/clusterroles`, clusterRole('writes-roles', [{ ...ROLES, verbs: ['create', 'update'] }]));
    await admin('POST', `${RBAC}/clusterrolebindings`, clusterBinding('wil', 'writes-roles', 'wil'));
    const aggregating = clusterRole('wils', [], { aggregationRule: { clusterRoleSelectors: [{ matchLabels: { a: 'b' } }] } });
    const refused = await as('wil')('POST', `${RBAC}/clusterroles`, aggregating);
    expect([refused.status, refused.body.message]).toEqual([403, 'clusterroles.rbac.authorization.k8s.io "wils" is forbidden: must have cluster-admin privileges to use the aggregationRule']);
    expect(await statusOf(as('wil')('POST', `${RBAC}/clusterroles`, clusterRole('wils', [NODES])))).toBe(403);

    await admin('POST', `${RBAC}/clusterroles`, clusterRole('escalates', [{ ...ROLES, verbs: ['escalate'] }]));
    await admin('POST', `${RBAC}/clusterrolebindings`, clusterBinding('wil-escalates', 'escalates', 'wil'));
    expect(await statusOf(as('wil')('POST', `${RBAC}/clusterroles`, clusterRole('wils', [NODES])))).toBe(201);
  });

  it('cannot change what a binding binds, and needs no group where there is one only', async () => {
    await bind('abe', 'edit', 'green');
    const path = `${RBAC}/namespaces/green/rolebindings/abe-edit`;
    const { body } = await admin('GET', path);
    expect(body).toMatchObject({
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'edit' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'abe' }],
    });
    const changed = await admin('PUT', path, { ...body, roleRef: { kind: 'ClusterRole', name: 'admin' } });
    expect([changed.status, changed.body.details.causes[0]?.field]).toEqual([422, 'roleRef']);
  });
});

describe('impersonation', () => {
  const token = randomSecret();
  const support = (headers: Record<string, string>, path = VMS) => api.request('GET', path, undefined, { authorization: `Bearer ${token}`, ...headers });

  beforeAll(async () => {
    await api.app.get(Database).accessToken.create({ data: { digest: digestOf(token), kind: 'Configured', userName: 'sue', groups: ['support'] } });
    const rule = (resources: string[], resourceNames?: string[]) => ({ apiGroups: [''], resources, verbs: ['impersonate'], ...(resourceNames ? { resourceNames } : {}) });
    await admin('POST', `${RBAC}/clusterroles`, clusterRole('impersonates', [rule(['users'], ['vic', 'ann']), rule(['groups'], ['viewers'])]));
    await admin('POST', `${RBAC}/clusterrolebindings`, { ...clusterBinding('support', 'impersonates', ''), subjects: [{ kind: 'Group', name: 'support' }] });
    await admin('POST', `${RBAC}/namespaces/blue/rolebindings`, { ...binding('viewers', 'view', ''), subjects: [{ kind: 'Group', name: 'viewers' }] });
  });

  it.each<[string, Record<string, string>, number]>([
    ['oneself', {}, 403],
    ['somebody with the right', acting('vic'), 200],
    ['somebody without it, in a group with it', acting('ann', 'viewers'), 200],
    ['somebody one may not', acting('system:admin'), 403],
    ['somebody in a group one may not', acting('vic', 'system:masters'), 403],
    ['a service account one may not', acting('system:serviceaccount:blue:bot'), 403],
    ['somebody with a uid one may not', { ...acting('vic'), 'impersonate-uid': '1' }, 403],
    ['somebody with extras one may not', { ...acting('vic'), 'impersonate-extra-scopes': 'all' }, 403],
    ['nobody, in a group', { 'impersonate-group': 'viewers' }, 400],
    ['nobody by an empty name', { 'impersonate-user': '' }, 400],
  ])('as %s', async (_title, headers, expected) => {
    expect((await support(headers)).status).toBe(expected);
  });

  it('says who may not impersonate whom', async () => {
    const { body } = await support(acting('root'));
    expect(body.message).toBe('users "root" is forbidden: User "sue" cannot impersonate resource "users" in API group "" at the cluster scope');
  });
});

describe('the roles that come with the server', () => {
  it('are made once more when they are missing, and get back what they lack, unless told to be left alone', async () => {
    const path = (name: string) => `${RBAC}/clusterroles/${name}`;
    await admin('DELETE', path('system:basic-user'));
    await admin('PATCH', path('system:discovery'), JSON.stringify({ rules: [{ verbs: ['get'], nonResourceURLs: ['/mine'] }] }));
    const patch = (name: string, body: object) => api.request('PATCH', path(name), body, { 'content-type': 'application/merge-patch+json' });
    await patch('system:discovery', { rules: [{ verbs: ['get'], nonResourceURLs: ['/mine'] }] });
    await patch('system:monitoring', { rules: [], metadata: { annotations: { [AUTOUPDATE]: 'false' } } });
    await admin('DELETE', `${RBAC}/clusterrolebindings/system:discovery`);
    expect(await statusOf(as('ann')('GET', '/api'))).toBe(403);

    await api.restart();
    expect(await statusOf(as('ann')('GET', '/api'))).toBe(200);
    expect((await admin('GET', path('system:basic-user'))).body.metadata).toMatchObject({ labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults' }, annotations: { [AUTOUPDATE]: 'true' } });
    const rulesOf = async (name: string) => ((await admin('GET', path(name))).body as unknown as { rules: { nonResourceURLs: string[] }[] }).rules;
    expect((await rulesOf('system:discovery')).flatMap(({ nonResourceURLs }) => nonResourceURLs)).toEqual(expect.arrayContaining(['/mine', '/apis/*']));
    expect(await rulesOf('system:monitoring')).toEqual([]);
  });

  it('write nothing at a start that finds them whole', async () => {
    const version = async () => (await api.client.list(clusterRoles)).resourceVersion;
    const before = await version();
    await api.restart();
    expect(await version()).toBe(before);
  });
});
