import { once } from 'node:events';
import { join } from 'node:path';
import { jest } from '@jest/globals';
import { secrets, serviceAccounts, type KindDefinition } from '@corral/contracts';
import { Kubectl, kubectlOnPath, until } from '@corral/testing';
import { createRemoteJWKSet, decodeJwt, jwtVerify, SignJWT } from 'jose';
import WebSocket from 'ws';
import { ApiKeysModule } from '../../modules/api-keys/api-keys.module.ts';
import { ServiceAccountTokensModule } from '../../modules/service-accounts/service-accounts.module.ts';
import { ADMIN_TOKEN, startApi, type ApiFixture } from '../../testing/api-fixture.ts';
import { Database } from '../database/database.ts';
import { isApiKeySecret } from './api-key-secret.ts';
import { SigningKeys } from './signing-keys.ts';

jest.setTimeout(60_000);

let api: ApiFixture;
beforeAll(async () => {
  api = await startApi({ imports: [ApiKeysModule, ServiceAccountTokensModule] });
}, 60_000);
afterAll(() => api.stop());

const KEYS = '/apis/corral.dev/v1/namespaces/default/apikeys';
const ACCOUNTS = '/api/v1/namespaces/default/serviceaccounts';
const as = (token: string) => ({ authorization: `Bearer ${token}` });
const statusAs = async (token: string, path = '/auth/session', method = 'GET', body?: object): Promise<number> => (await api.request(method, path, body, as(token))).status;
/** Revocation travels by the change log: soon, in every process. */
const refusedSoon = (token: string): Promise<boolean> => until(async () => (await statusAs(token)) === 401, { timeoutMs: 3_000, what: 'the refusal of the credential' });

let made = 0;
async function createAccount(): Promise<string> {
  const name = `robot-${(made += 1)}`;
  await api.client.create(serviceAccounts as KindDefinition, { metadata: { namespace: 'default', name } });
  return name;
}
async function createToken(account: string, spec: object = {}): Promise<string> {
  const { status, body } = await api.request('POST', `${ACCOUNTS}/${account}/token`, { spec });
  expect(status).toBe(201);
  return (body.status as unknown as { token: string }).token;
}
async function createKey(spec: object = {}): Promise<{ name: string; token: string }> {
  const name = `key-${(made += 1)}`;
  const { status, body } = await api.request('POST', KEYS, { apiVersion: 'corral.dev/v1', kind: 'APIKey', metadata: { name }, spec });
  expect([status, body.message]).toEqual([201, undefined]);
  return { name, token: (body.status as unknown as { token: string }).token };
}

describe('tokens of service accounts', () => {
  it('say who it is: the account and its groups', async () => {
    const token = await createToken(await createAccount());
    const { body } = await api.request('GET', '/auth/session', undefined, as(token));
    expect(body).toMatchObject({ user: { name: `system:serviceaccount:default:robot-${made}`, groups: ['system:serviceaccounts', 'system:serviceaccounts:default', 'system:authenticated'] } });
  });

  it('carry what Kubernetes’s carry, and can be verified elsewhere with the published keys', async () => {
    const token = await createToken(await createAccount(), { audiences: ['vault'], expirationSeconds: 600 });
    const { issuer } = (await (await fetch(`${api.url}/.well-known/openid-configuration`)).json()) as { issuer: string };
    const { payload } = await jwtVerify(token, createRemoteJWKSet(new URL(`${api.url}/openid/v1/jwks`)), { issuer, audience: 'vault' });
    expect(payload).toMatchObject({ sub: `system:serviceaccount:default:robot-${made}`, 'kubernetes.io': { namespace: 'default', serviceaccount: { name: `robot-${made}` } } });
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(600);
    // Meant for somebody else: no credential here.
    expect(await statusAs(token)).toBe(401);
  });

  it('end with the account, and do not pass to another of its name', async () => {
    const account = await createAccount();
    const token = await createToken(account);
    expect(await statusAs(token)).toBe(200);
    await api.request('DELETE', `${ACCOUNTS}/${account}`);
    await refusedSoon(token);
    await api.client.create(serviceAccounts as KindDefinition, { metadata: { namespace: 'default', name: account } });
    expect(await statusAs(token)).toBe(401);
    expect(await statusAs(await createToken(account))).toBe(200);
  });

  it('end with the Secret they are bound to', async () => {
    const name = `bound-${(made += 1)}`;
    await api.client.create(secrets, { metadata: { namespace: 'default', name } });
    const token = await createToken(await createAccount(), { boundObjectRef: { kind: 'Secret', apiVersion: 'v1', name } });
    expect(await statusAs(token)).toBe(200);
    await api.request('DELETE', `/api/v1/namespaces/default/secrets/${name}`);
    await refusedSoon(token);
  });

  it('are refused when expired, changed, signed by somebody else, or unsigned', async () => {
    const token = await createToken(await createAccount());
    const [header = '', payload = '', signature = ''] = token.split('.');
    const claims = decodeJwt(token);
    const { id, privateKey } = await api.app.get(SigningKeys).current();
    const sign = (more: object, kid = id) => new SignJWT({ ...claims, ...more }).setProtectedHeader({ alg: 'ES256', kid }).sign(privateKey);
    const changed = Buffer.from(JSON.stringify({ ...claims, sub: 'system:serviceaccount:default:default' })).toString('base64url');
    const unsigned = Buffer.from(JSON.stringify({ alg: 'none' })).toString('base64url');
    const bad = [
      await sign({ exp: Math.floor(Date.now() / 1000) - 60 }), await sign({ nbf: Math.floor(Date.now() / 1000) + 600 }), await sign({ iss: 'https://elsewhere.example' }),
      await sign({}, 'unknown'), `${header}.${changed}.${signature}`, `${header}.${payload}.`, `${unsigned}.${payload}.`, `${header}.${payload}.${signature}x`, 'a.b.c',
    ];
    for (const [index, text] of bad.entries()) expect([index, await statusAs(text)]).toEqual([index, 401]);
    expect(await statusAs(await sign({}))).toBe(200);
  });

  it.each([
    [{ spec: { expirationSeconds: 60 } }, 422],
    [{ spec: { boundObjectRef: { kind: 'Pod', name: 'x' } } }, 422],
    [{ spec: { boundObjectRef: { kind: 'Secret', name: 'missing' } } }, 404],
    ['{"spec":', 400],
  ])('asking with %j is refused with %d', async (body, status) => {
    expect((await api.request('POST', `${ACCOUNTS}/${await createAccount()}/token`, body)).status).toBe(status);
  });

  it('are vouched for by TokenReview, which repeats none of them', async () => {
    const review = async (token: string, audiences?: string[]) =>
      (await api.request('POST', '/apis/authentication.k8s.io/v1/tokenreviews', { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token, ...(audiences ? { audiences } : {}) } }));
    const token = await createToken(await createAccount());
    const answer = await review(token);
    expect(answer.body.status).toMatchObject({ authenticated: true, user: { username: `system:serviceaccount:default:robot-${made}` } });
    expect(answer.text).not.toContain(token);
    expect((await review('nonsense')).body.status).toEqual({ authenticated: false });
    const forVault = await createToken(await createAccount(), { audiences: ['vault'] });
    expect((await review(forVault)).body.status).toEqual({ authenticated: false });
    expect((await review(forVault, ['vault'])).body.status).toMatchObject({ authenticated: true, audiences: ['vault'] });
    expect((await api.request('POST', '/apis/authentication.k8s.io/v1/tokenreviews', {})).status).toBe(400);
  });

  it('are not confused with API keys, whose scope nobody else would honour: TokenReview vouches for none', async () => {
    const created = await api.request('POST', '/apis/corral.dev/v1/namespaces/default/apikeys', {
      apiVersion: 'corral.dev/v1', kind: 'APIKey', metadata: { name: 'reviewed' }, spec: { scope: { verbs: ['get'], resources: ['configmaps'] } },
    });
    const { token = '' } = created.body.status as unknown as { token?: string };
    expect(await statusAs(token)).not.toBe(401);
    const review = await api.request('POST', '/apis/authentication.k8s.io/v1/tokenreviews', { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token } });
    expect(review.body.status).toEqual({ authenticated: false, error: expect.stringContaining('API key') });
  });

  it('are not issued to an account that is not there', async () => {
    expect((await api.request('POST', `${ACCOUNTS}/nobody/token`, {})).status).toBe(404);
  });

  const program = kubectlOnPath();
  (program === undefined ? it.skip : it)('come from kubectl create token, for as long as it asks', async () => {
    const kubectl = new Kubectl(program ?? '', join(api.home, 'kubectl'), { server: api.url.replace('http:', 'https:'), certificate: api.certificate, token: ADMIN_TOKEN, namespace: 'default' });
    await kubectl.ok(['create', 'serviceaccount', 'by-kubectl']);
    const token = (await kubectl.ok(['create', 'token', 'by-kubectl', '--duration', '20m'])).trim();
    const { exp = 0, iat = 0 } = decodeJwt(token);
    expect([exp - iat, await statusAs(token)]).toEqual([1200, 200]);
    await kubectl.ok(['create', 'secret', 'generic', 'kept', '--from-literal=password=geheim']);
    expect(await kubectl.ok(['get', 'secret', 'kept', '-o', 'jsonpath={.data.password}{.stringData}'])).toBe(Buffer.from('geheim').toString('base64'));
    expect((await kubectl.ok(['get', 'secret', 'kept', '--no-headers'])).split(/\s+/).slice(0, 3)).toEqual(['kept', 'Opaque', '1']);
  });
});

describe('API keys', () => {
  it('are shown once, kept as a digest, and listed without the secret', async () => {
    const { name, token } = await createKey({ description: 'for the nightly build' });
    expect(isApiKeySecret(token)).toBe(true);
    const listed = await api.request('GET', KEYS);
    const watched = await api.request('GET', `${KEYS}?watch=true&timeoutSeconds=1`);
    for (const { text } of [listed, watched, await api.request('GET', `${KEYS}/${name}`)]) {
      expect(text).toContain(name);
      expect(text).not.toContain(token.slice(7));
    }
    const [{ found } = { found: 1 }] = await api.app.get(Database).$queryRaw<{ found: number }[]>`
      SELECT count(*)::int AS found FROM objects o, changes c WHERE o::text LIKE ${`%${token.slice(7)}%`} OR c::text LIKE ${`%${token.slice(7)}%`}`;
    expect(found).toBe(0);
  });

  it('stand for who made them', async () => {
    const { token } = await createKey();
    expect((await api.request('GET', '/auth/session', undefined, as(token))).body).toMatchObject({ user: { name: 'system:admin', groups: ['system:masters', 'system:authenticated'] } });
  });

  it('work in their own namespace by default, whatever their owner may', async () => {
    const { token } = await createKey();
    expect(await statusAs(token, KEYS)).toBe(200);
    expect(await statusAs(token, '/api/v1/namespaces/kube-system/secrets')).toBe(403);
    expect(await statusAs(token, '/api/v1/nodes')).toBe(403);
    expect(await statusAs(token, '/metrics')).toBe(403);
    expect(await statusAs(token, '/auth/sign-in-links', 'POST')).toBe(403);
  });

  it('do what their scope names, and nothing else', async () => {
    const { token } = await createKey({ scope: { namespaces: ['*'], verbs: ['get', 'list'], resources: ['serviceaccounts'] } });
    expect(await statusAs(token, ACCOUNTS)).toBe(200);
    expect(await statusAs(token, '/api/v1/serviceaccounts')).toBe(200);
    expect(await statusAs(token, ACCOUNTS, 'POST', { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'no' } })).toBe(403);
    expect(await statusAs(token, '/api/v1/namespaces/default/secrets')).toBe(403);
    expect(await statusAs(token, `${ACCOUNTS}?watch=true&timeoutSeconds=1`)).toBe(403);
  });

  it('never make another credential, whatever their scope', async () => {
    const { token } = await createKey({ scope: { namespaces: ['*'] } });
    expect(await statusAs(token, KEYS, 'POST', { apiVersion: 'corral.dev/v1', kind: 'APIKey', metadata: { name: 'wider' }, spec: {} })).toBe(403);
    expect(await statusAs(token, `${ACCOUNTS}/${await createAccount()}/token`, 'POST', {})).toBe(403);
  });

  it('are not made in somebody else’s name', async () => {
    const key = { apiVersion: 'corral.dev/v1', kind: 'APIKey', metadata: { name: 'borrowed' }, spec: {} };
    const { status, body } = await api.request('POST', KEYS, key, { 'impersonate-user': 'ana', 'impersonate-group': 'system:masters' });
    expect([status, body.details.causes[0]?.field]).toEqual([422, 'spec.owner']);
  });

  it('keep their scope in the session they begin and the tickets they get', async () => {
    const { token, name } = await createKey();
    const signedIn = await fetch(`${api.url}/auth/sessions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ token }) });
    const cookie = signedIn.headers.get('set-cookie')?.split(';', 1)[0] ?? '';
    const status = async (path: string) => (await fetch(`${api.url}${path}`, { headers: { cookie } })).status;
    expect([await status(KEYS), await status('/api/v1/nodes')]).toEqual([200, 403]);
    await api.request('DELETE', `${KEYS}/${name}`);
    await until(async () => (await status('/auth/session')) === 401, { timeoutMs: 3_000, what: 'the end of the session' });
  });

  it('cannot be widened, lent to another owner, or given another secret', async () => {
    const { name } = await createKey({ description: 'before' });
    const patch = (spec: object) => api.request('PATCH', `${KEYS}/${name}`, { spec }, { 'content-type': 'application/merge-patch+json' });
    expect((await patch({ description: 'after' })).status).toBe(200);
    for (const spec of [{ scope: { namespaces: ['*'] } }, { owner: { username: 'system:admin2' } }, { digest: 'a'.repeat(64) }, { expiresAt: '2099-01-01T00:00:00Z' }, { expirationSeconds: 1000 }]) {
      const { status, body } = await patch(spec);
      expect([status, body.details.causes.map(({ reason }) => reason)]).toEqual([422, ['FieldValueForbidden']]);
    }
  });

  it('are what the server made them: an owner, a digest or an end that is sent counts for nothing', async () => {
    const { name } = await createKey({ owner: { username: 'somebody-else', groups: ['x'] }, digest: 'b'.repeat(64), expiresAt: '2099-01-01T00:00:00Z' });
    const { spec } = (await api.request('GET', `${KEYS}/${name}`)).body;
    expect(spec).toMatchObject({ owner: { username: 'system:admin', groups: ['system:masters'] } });
    expect(spec['digest']).not.toBe('b'.repeat(64));
    expect(Date.parse(String(spec['expiresAt'])) - Date.now()).toBeLessThan(91 * 86_400_000);
  });

  it('show no secret in a dry run, and make no key', async () => {
    const { body } = await api.request('POST', `${KEYS}?dryRun=All`, { apiVersion: 'corral.dev/v1', kind: 'APIKey', metadata: { name: 'dry' }, spec: {} });
    expect(body.status).toBeUndefined();
    expect((await api.request('GET', `${KEYS}/dry`)).status).toBe(404);
  });

  it('may stand for a service account, and end with it', async () => {
    const account = await createAccount();
    const { token } = await createKey({ serviceAccountName: account });
    expect((await api.request('GET', '/auth/session', undefined, as(token))).body).toMatchObject({ user: { name: `system:serviceaccount:default:${account}` } });
    await api.request('DELETE', `${ACCOUNTS}/${account}`);
    await refusedSoon(token);
    await api.client.create(serviceAccounts as KindDefinition, { metadata: { namespace: 'default', name: account } });
    expect(await statusAs(token)).toBe(401);
    const { body } = await api.request('POST', KEYS, { apiVersion: 'corral.dev/v1', kind: 'APIKey', metadata: { name: 'of-nobody' }, spec: { serviceAccountName: 'nobody' } });
    expect(body.details.causes).toMatchObject([{ field: 'spec.serviceAccountName', reason: 'FieldValueNotFound' }]);
  });

  it('made by a service account end with it, and do not pass to another of its name', async () => {
    const robot = await createAccount();
    await api.request('POST', '/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings', {
      apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding', metadata: { name: robot },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'edit' }, subjects: [{ kind: 'ServiceAccount', name: robot, namespace: 'default' }],
    });
    const { status, body } = await api.request('POST', KEYS, { apiVersion: 'corral.dev/v1', kind: 'APIKey', metadata: { name: `of-${robot}` }, spec: {} }, as(await createToken(robot)));
    expect(status).toBe(201);
    const { token } = body.status as unknown as { token: string };
    expect(await statusAs(token, KEYS)).toBe(200);
    await api.client.delete(serviceAccounts as KindDefinition, 'default', robot);
    await refusedSoon(token);
    await api.client.create(serviceAccounts as KindDefinition, { metadata: { namespace: 'default', name: robot } });
    expect(await statusAs(token, KEYS)).toBe(401);
  });

  it('are refused from the moment they are deleted or over, and when mistyped', async () => {
    const { name, token } = await createKey();
    expect(await statusAs(`${token.slice(0, -1)}${token.endsWith('0') ? '1' : '0'}`)).toBe(401);
    await api.request('DELETE', `${KEYS}/${name}`);
    await refusedSoon(token);
    const over = await createKey();
    await api.app.get(Database).$executeRaw`UPDATE objects SET object = jsonb_set(object::jsonb, '{spec,expiresAt}', '"2026-01-01T00:00:00Z"')::json WHERE resource = 'apikeys.corral.dev' AND name = ${over.name}`;
    expect(await statusAs(over.token)).toBe(401);
  });

  it('say when they were last used', async () => {
    const { name, token } = await createKey();
    expect((await api.request('GET', `${KEYS}/${name}`)).body.status).toBeUndefined();
    await statusAs(token);
    await until(async () => ((await api.request('GET', `${KEYS}/${name}`)).body.status as { lastUsedAt?: string } | undefined)?.lastUsedAt !== undefined, { timeoutMs: 3_000, what: 'the time of last use' });
    expect(await statusAs(token)).toBe(200);
  });
});

describe('what is open ends with what opened it', () => {
  async function openAll(token: string): Promise<{ ended: () => string[] }> {
    const ended: string[] = [];
    const socket = new WebSocket(`${api.url.replace('http', 'ws')}/live`, { headers: as(token) });
    socket.on('close', (code) => ended.push(`socket ${code}`));
    await once(socket, 'open');
    const watch = await fetch(`${api.url}${ACCOUNTS}?watch=true`, { headers: as(token) });
    expect(watch.status).toBe(200);
    void watch.text().then(() => ended.push('watch'), () => ended.push('watch'));
    return { ended: () => ended.toSorted() };
  }

  it('an API key that is deleted', async () => {
    const { name, token } = await createKey();
    const [mine, other] = [await openAll(token), await openAll((await createKey()).token)];
    await api.request('DELETE', `${KEYS}/${name}`);
    await until(() => mine.ended().length === 2, { timeoutMs: 4_000, what: 'the end of what the key opened' });
    expect([mine.ended(), other.ended()]).toEqual([['socket 1008', 'watch'], []]);
  });

  it('a service account that is deleted', async () => {
    const account = await createAccount();
    const token = await createToken(account);
    const socket = new WebSocket(`${api.url.replace('http', 'ws')}/live`, { headers: as(token) });
    await once(socket, 'open');
    const closed = once(socket, 'close');
    await api.request('DELETE', `${ACCOUNTS}/${account}`);
    expect(((await closed) as [number])[0]).toBe(1008);
  });

  it('a session that is signed out: its watches too', async () => {
    const signedIn = await fetch(`${api.url}/auth/sessions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ token: ADMIN_TOKEN }) });
    const cookie = signedIn.headers.get('set-cookie')?.split(';', 1)[0] ?? '';
    const watch = await fetch(`${api.url}${ACCOUNTS}?watch=true`, { headers: { cookie } });
    const ended = watch.text().then(() => true, () => true);
    await fetch(`${api.url}/auth/sessions`, { method: 'DELETE', headers: { cookie, 'x-corral-console': '1' } });
    expect(await ended).toBe(true);
  });
});
