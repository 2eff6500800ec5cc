import { once } from 'node:events';
import { connect } from 'node:net';
import { jest } from '@jest/globals';
import { virtualMachines } from '@corral/contracts';
import { Module } from '@nestjs/common';
import { WebSocketGateway, type OnGatewayConnection } from '@nestjs/websockets';
import { until } from '@corral/testing';
import WebSocket from 'ws';
import { ADMIN_TOKEN, startApi, type ApiFixture } from '../../testing/api-fixture.ts';
import { Database } from '../database/database.ts';
import type { GatewayOptions, UpgradeRequest } from '../http/gateway-server.ts';

const MACHINE = `/apis/${virtualMachines.group}/v1/namespaces/default/virtualmachines/demo`;

/** Stands for a gateway that carries a machine's bytes: says who it talks to. */
@WebSocketGateway<GatewayOptions>({
  path: `/apis/${virtualMachines.group}/v1/namespaces/:namespace/virtualmachines/:name/serial`,
  subprotocols: ['v5.channel.k8s.io'],
})
class GreetingGateway implements OnGatewayConnection<WebSocket> {
  handleConnection(client: WebSocket, { user, params }: UpgradeRequest): void {
    client.send(`${user.name} ${params['name']} ${client.protocol}`);
  }
}

@Module({ providers: [GreetingGateway] })
class GreetingModule {}

jest.setTimeout(60_000);

let api: ApiFixture;
let nodeToken: string;
beforeAll(async () => {
  api = await startApi({ imports: [GreetingModule] });
  nodeToken = await api.nodeToken('worker-1');
}, 60_000);
afterAll(() => api.stop());

const as = (token: string) => ({ authorization: `Bearer ${token}` });
/** A request without any credential but those given. */
async function plain(method: string, path: string, headers: Record<string, string> = {}, body?: object): Promise<Response> {
  return fetch(`${api.url}${path}`, { method, redirect: 'manual', headers: { ...(body ? { 'content-type': 'application/json' } : {}), ...headers }, ...(body ? { body: JSON.stringify(body) } : {}) });
}

/** The status of a request line sent as it is. */
function rawStatus(line: string, headers = 'Connection: close'): Promise<number> {
  const { hostname, port } = new URL(api.url);
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(Number(port), hostname, () => socket.write(`${line} HTTP/1.1\r\nHost: x\r\n${headers}\r\n\r\n`));
    socket.on('error', reject).on('data', (chunk) => (answer += chunk.toString())).on('close', () => resolve(Number(answer.split(' ', 2)[1])));
  });
}

describe('who may do what', () => {
  const ROUTES: readonly [string, string][] = [
    ['GET', '/api'], ['GET', '/apis'], ['GET', '/openapi/v3'], ['GET', '/metrics'], ['GET', '/api/v1/namespaces'], ['POST', '/api/v1/namespaces'],
    ['GET', '/apis/corral.dev/v1/virtualmachines?watch=true'], ['DELETE', MACHINE], ['PATCH', `${MACHINE}/status`], ['POST', `${MACHINE}/exec`], ['POST', `${MACHINE}/tickets`],
    ['POST', '/auth/tickets'], ['POST', '/auth/sign-in-links'], ['GET', '/auth/session'], ['GET', '/apis/not/yet/there'], ['POST', '/admin/anything'], ['PUT', '/anything'],
    // The router decodes paths, so the gate must.
    ['GET', '/%6detrics'], ['GET', '/%6fpenapi/v3'], ['GET', '/%61pis'], ['GET', '/a%70i/v1/nodes'], ['GET', '/%61pis/corral.dev/v1/virtualmachines'], ['GET', '/%61uth/session'], ['GET', '//metrics'],
    ['HEAD', '/%6detrics'],
  ];

  it.each(ROUTES)('nobody may %s %s', async (method, path) => {
    const answer = await plain(method, path);
    expect(answer.status).toBe(401);
    if (method !== 'HEAD') expect(((await answer.json()) as { reason: string }).reason).toBe('Unauthorized');
  });

  // `fetch` would tidy these up.
  it.each(['/x/../metrics', '/x/%2e%2e/metrics', '/./metrics', '/x\\..\\metrics', '/x%2f..%2fmetrics', '/%2fmetrics', '/metrics#x', '/x/..;/metrics#'])('nobody gets around it with %s', async (path) => {
    expect(await rawStatus(`GET ${path}`)).toBe(400);
    expect(await rawStatus(`GET ${path}`, 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==')).toBe(400);
  });

  it.each(['/metrics;x', '/%2561pis', 'http://elsewhere.example/metrics'])('nobody reaches anything at %s', async (path) => {
    expect([401, 404]).toContain(await rawStatus(`GET ${path}`));
  });

  it.each(ROUTES)('a wrong token is refused at %s %s', async (method, path) => {
    expect((await plain(method, path, as('wrong-token-wrong-token'))).status).toBe(401);
  });

  it.each(['/livez', '/readyz', '/healthz', '/version'])('everybody may ask %s', async (path) => {
    expect((await plain('GET', path)).status).toBe(200);
  });

  it.each([
    ['GET', '/api/v1/nodes', 403],
    ['GET', '/apis/corral.dev/v1/virtualmachines', 403],
    ['GET', '/apis/corral.dev/v1/virtualmachines?fieldSelector=spec.nodeName%3Dworker-1', 200],
    ['GET', '/api/v1/namespaces/default/secrets', 403],
    ['POST', '/api/v1/nodes', 422],
    ['PATCH', `${MACHINE}/status`, 404],
    ['DELETE', MACHINE, 403],
    ['DELETE', '/api/v1/nodes/worker-1', 403],
    ['POST', '/apis/corral.dev/v1/namespaces/default/virtualmachines', 403],
    ['POST', '/api/v1/namespaces', 403],
    ['POST', `${MACHINE}/exec`, 403],
    ['PUT', '/apis/corral.dev/v1/virtualmachineimages/linux-minimal', 403],
    ['POST', '/auth/sign-in-links', 403],
    ['GET', '/metrics', 403],
  ])('a node that asks %s %s gets %d', async (method, path, status) => {
    const headers = { ...as(nodeToken), 'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json' };
    const answer = await api.request(method, path, method === 'GET' || method === 'DELETE' ? undefined : {}, headers);
    expect(answer.status).toBe(status);
  });

  it('says in Kubernetes’s words what is forbidden', async () => {
    const { body } = await api.request('DELETE', MACHINE, undefined, as(nodeToken));
    expect(body.message).toBe(
      'virtualmachines.corral.dev "demo" is forbidden: User "system:node:worker-1" cannot delete resource "virtualmachines" in API group "corral.dev" in the namespace "default"',
    );
  });

  it('stores no token as it is', async () => {
    const rows = await api.app.get(Database).accessToken.findMany();
    expect(rows.map(({ userName }) => userName).sort()).toEqual(['system:admin', 'system:node', 'system:node:worker-1']);
    expect(rows.every(({ digest }) => digest.length === 32 && !Buffer.from(digest).toString().includes(ADMIN_TOKEN))).toBe(true);
  });
});

const cookieOf = (answer: Response): string => answer.headers.get('set-cookie')?.split(';', 1)[0] ?? '';

describe('console sessions', () => {
  it('turns a token into a cookie that scripts cannot read and other sites cannot use', async () => {
    const answer = await plain('POST', '/auth/sessions', {}, { token: ADMIN_TOKEN });
    expect(answer.status).toBe(201);
    expect(answer.headers.get('set-cookie')).toMatch(/^corral_session=[\w-]{43}; Max-Age=43200; Path=\/; HttpOnly; SameSite=Strict$/);
    const cookie = cookieOf(answer);
    const session = await plain('GET', '/auth/session', { cookie });
    expect(await session.json()).toMatchObject({ user: { name: 'system:admin', groups: ['system:masters', 'system:authenticated'] } });

    const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'by-cookie' } };
    expect((await plain('POST', '/api/v1/namespaces', { cookie }, body)).status).toBe(403);
    expect((await plain('POST', '/api/v1/namespaces', { cookie, origin: 'http://evil.example' }, body)).status).toBe(403);
    expect((await plain('POST', '/api/v1/namespaces', { cookie, 'x-corral-console': '1' }, body)).status).toBe(201);
  });

  it('forgets a session at sign-out', async () => {
    const cookie = cookieOf(await plain('POST', '/auth/sessions', {}, { token: ADMIN_TOKEN }));
    const ended = await plain('DELETE', '/auth/sessions', { cookie, 'x-corral-console': '1' });
    expect([ended.status, ended.headers.get('set-cookie')]).toEqual([204, expect.stringContaining('Max-Age=0')]);
    expect((await plain('GET', '/auth/session', { cookie })).status).toBe(401);
  });

  it('takes the first of several codes, and is not confused by them', async () => {
    const answer = await fetch(`${api.url}/sign-in?code=a&code=b`, { redirect: 'manual' });
    expect([answer.status, answer.headers.get('location')]).toEqual([303, '/?sign-in=expired']);
  });

  it('lets a sign-in link in once', async () => {
    const { body } = await api.request('POST', '/auth/sign-in-links');
    const { pathname, search } = new URL(body.url as string);
    const first = await plain('GET', `${pathname}${search}`);
    expect([first.status, first.headers.get('location')]).toEqual([303, '/']);
    expect((await plain('GET', '/auth/session', { cookie: cookieOf(first) })).status).toBe(200);
    const second = await plain('GET', `${pathname}${search}`);
    expect([second.headers.get('location'), second.headers.get('set-cookie')]).toEqual(['/?sign-in=expired', null]);
  });

  it('takes a session cookie for no bearer token, and a token for no session', async () => {
    const cookie = cookieOf(await plain('POST', '/auth/sessions', {}, { token: ADMIN_TOKEN }));
    expect((await plain('GET', '/api/v1/namespaces', as(cookie.split('=')[1] ?? ''))).status).toBe(401);
    expect((await plain('GET', '/api/v1/namespaces', { cookie: `corral_session=${ADMIN_TOKEN}` })).status).toBe(401);
    expect((await plain('POST', '/auth/sessions', {}, { token: 'nonsense' })).status).toBe(401);
    expect((await plain('POST', '/auth/sessions', {}, { password: 'x' })).status).toBe(400);
  });
});

/** What a handshake ends with: the first message, or the status it was refused with. */
function handshake(path: string, protocols: string[] = ['v5.channel.k8s.io'], headers: Record<string, string> = {}): Promise<string | number> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`${api.url.replace('http', 'ws')}${path}`, protocols, { headers });
    socket.on('message', (data: Buffer) => {
      resolve(data.toString());
      socket.close();
    });
    socket.on('unexpected-response', (_request, response) => resolve(response.statusCode ?? 0));
    socket.on('error', reject);
  });
}

describe('WebSockets', () => {
  const bearer = `base64url.bearer.authorization.k8s.io.${Buffer.from(ADMIN_TOKEN).toString('base64url')}`;

  it('take the token as a header or as a subprotocol, and never echo it', async () => {
    expect(await handshake(`${MACHINE}/serial`, ['v5.channel.k8s.io'], as(ADMIN_TOKEN))).toBe('system:admin demo v5.channel.k8s.io');
    expect(await handshake(`${MACHINE}/serial`, [bearer, 'v5.channel.k8s.io'])).toBe('system:admin demo v5.channel.k8s.io');
  });

  it('take a ticket once, and only below the path it was issued for', async () => {
    const { body } = await api.request('POST', `${MACHINE}/tickets`);
    expect(await handshake(`${MACHINE.replace('demo', 'other')}/serial?ticket=${body.ticket}`)).toBe(401);
    expect(await handshake(`${MACHINE}/serial?ticket=${body.ticket}`)).toBe('system:admin demo v5.channel.k8s.io');
    expect(await handshake(`${MACHINE}/serial?ticket=${body.ticket}`)).toBe(401);
    const general = await api.request('POST', '/auth/tickets');
    expect(await handshake(`/live?ticket=${general.body.ticket}`, [])).toContain('"type":"ping"');
  });

  it('take a session cookie from the console itself and from no other site', async () => {
    const cookie = cookieOf(await plain('POST', '/auth/sessions', {}, { token: ADMIN_TOKEN }));
    expect(await handshake('/live', [], { cookie, origin: api.url })).toContain('"type":"ping"');
    expect(await handshake('/live', [], { cookie, origin: 'http://evil.example' })).toBe(403);
    expect(await handshake('/live', [], { cookie })).toBe(403);
  });

  /** Sockets opened by a new session; `closed` has the codes they were closed with. */
  async function openBySession(): Promise<{ cookie: string; sockets: WebSocket[]; closed: number[] }> {
    const cookie = cookieOf(await plain('POST', '/auth/sessions', {}, { token: ADMIN_TOKEN }));
    const closed: number[] = [];
    const sockets = ['/live', `${MACHINE}/serial`].map((path) => new WebSocket(`${api.url.replace('http', 'ws')}${path}`, { headers: { cookie, origin: api.url } }));
    for (const socket of sockets) socket.on('close', (code) => closed.push(code));
    await Promise.all(sockets.map((socket) => once(socket, 'open')));
    return { cookie, sockets, closed };
  }

  it('end with the session that opened them, and with no other', async () => {
    const [mine, other] = [await openBySession(), await openBySession()];
    await plain('DELETE', '/auth/sessions', { cookie: mine.cookie, 'x-corral-console': '1' });
    await until(() => mine.closed.length === 2, { timeoutMs: 2_000, what: 'the end of the sockets' });
    expect([mine.closed, other.closed]).toEqual([[1008, 1008], []]);
    other.sockets.forEach((socket) => socket.close());
  });

  it('end with a session that was ended in another process, also those that do not listen', async () => {
    const { sockets, closed } = await openBySession();
    sockets[0]?.pause();
    await api.app.get(Database).accessToken.deleteMany({ where: { kind: 'Session' } });
    await until(() => closed.length === 1, { timeoutMs: 8_000, what: 'the end of the socket' });
    sockets[0]?.resume();
    await until(() => closed.length === 2, { timeoutMs: 2_000, what: 'the end of the other' });
  });

  it('are refused with an HTTP status before the handshake', async () => {
    expect(await handshake(`${MACHINE}/serial`)).toBe(401);
    expect(await handshake(`${MACHINE}/serial`, ['v5.channel.k8s.io'], as(nodeToken))).toBe(403);
    expect(await handshake(`${MACHINE.replace('apis', '%61pis')}/serial`)).toBe(401);
    expect(await handshake('/%6cive', [])).toBe(401);
    expect(await handshake('/nowhere', [], as(ADMIN_TOKEN))).toBe(404);
    expect(await handshake(`${MACHINE}/serial`, ['v9.unheard-of'], as(ADMIN_TOKEN))).toBe(400);
  });
});

it('multiplexes watches over /live with the rights of the caller', async () => {
  const socket = new WebSocket(`${api.url.replace('http', 'ws')}/live`, { headers: as(ADMIN_TOKEN) });
  const messages: { id?: number; type: string; object?: { metadata?: { name?: string }; code?: number } }[] = [];
  socket.on('message', (data: Buffer) => messages.push(JSON.parse(data.toString())));
  const of = (id: number): string[] => messages.filter((message) => message.id === id).map(({ type, object }) => `${type} ${object?.metadata?.name ?? object?.code ?? ''}`.trim());
  await until(() => messages.length > 0, { timeoutMs: 5_000, what: 'the first ping' });

  const nodes = await api.request('GET', '/api/v1/nodes');
  socket.send(JSON.stringify({ id: 1, type: 'watch', path: '/api/v1/nodes', resourceVersion: nodes.body.metadata.resourceVersion }));
  socket.send(JSON.stringify({ id: 2, type: 'watch', path: '/api/v1/namespaces?fieldSelector=metadata.name%3Ddefault' }));
  socket.send(JSON.stringify({ id: 3, type: 'watch', path: '/apis/corral.dev/v1/nonsense' }));
  socket.send(JSON.stringify({ id: 4, type: 'watch', path: '/api/v1/nodes', resourceVersion: 'x' }));
  await until(() => of(2).length === 2 && of(3).length === 2 && of(4).length === 2, { timeoutMs: 5_000, what: 'answers to the watches' });
  expect(of(2)).toEqual(['ADDED default', 'BOOKMARK']);
  expect(of(3)).toEqual(['ERROR 404', 'CLOSED']);
  expect(of(4)).toEqual(['ERROR 400', 'CLOSED']);
  await api.request('POST', '/api/v1/nodes', { apiVersion: 'v1', kind: 'Node', metadata: { name: 'seen' } });
  await until(() => of(1).length === 1, { timeoutMs: 5_000, what: 'the node' });
  expect(of(1)).toEqual(['ADDED seen']);
  socket.send(JSON.stringify({ id: 1, type: 'stop' }));
  await until(() => of(1).includes('CLOSED'), { timeoutMs: 5_000, what: 'the end of the watch' });
  socket.close();
});
