import { once } from 'node:events';
import { requestAttributes } from '@corral/api-machinery';
import { until } from '@corral/testing';
import WebSocket from 'ws';
import { ADMIN_TOKEN, startApi, type ApiAnswer, type ApiFixture } from '../../testing/api-fixture.ts';
import { AUTHENTICATED_GROUP, type User } from '../auth/user.ts';
import { Traffic } from './traffic.ts';
import { DEFAULT_TRAFFIC, type TrafficConfig } from './traffic-config.ts';

const LIST = '/api/v1/namespaces/default/secrets';
const as = (user: string) => ({ 'impersonate-user': user });

/** An API with this traffic, in which everybody may read secrets. */
async function startOpen(traffic: TrafficConfig): Promise<ApiFixture> {
  const api = await startApi({ traffic });
  const rbac = '/apis/rbac.authorization.k8s.io/v1';
  const meta = { apiVersion: 'rbac.authorization.k8s.io/v1', metadata: { name: 'everybody-reads' } };
  await api.request('POST', `${rbac}/clusterroles`, { ...meta, kind: 'ClusterRole', rules: [{ apiGroups: [''], resources: ['secrets'], verbs: ['get', 'list', 'watch'] }] });
  await api.request('POST', `${rbac}/clusterrolebindings`, {
    ...meta, kind: 'ClusterRoleBinding', roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'everybody-reads' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'system:authenticated' }],
  });
  return api;
}
const codes = (answers: readonly ApiAnswer[]): Set<number> => new Set(answers.map(({ status }) => status));

describe('a rate per user', () => {
  let api: ApiFixture;
  beforeAll(async () => {
    api = await startOpen({ perSecond: 4, burst: 3, seats: 24, queueLength: 200, queueMs: 10_000, bodyMs: 30_000, openConnections: 1_000 });
  }, 60_000);
  afterAll(() => api.stop());

  it('is told with every answer', async () => {
    const { headers } = await api.request('GET', LIST, undefined, as('counted'));
    expect([headers.get('ratelimit-policy'), headers.get('ratelimit')]).toEqual(['"user";q=3;w=1', '"user";r=2;t=1']);
  });

  it('refuses what is far above it with 429, a Status and Retry-After, and nobody else', async () => {
    const answers = await Promise.all(Array.from({ length: 40 }, () => api.request('GET', LIST, undefined, as('noisy'))));
    expect(codes(answers)).toEqual(new Set([200, 429]));
    const refused = answers.find(({ status }) => status === 429);
    expect(refused?.body).toMatchObject({ kind: 'Status', reason: 'TooManyRequests', details: { retryAfterSeconds: expect.any(Number) as unknown } });
    expect(Number(refused?.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect((await api.request('GET', LIST, undefined, as('quiet'))).status).toBe(200);
  });

  it('is one for all service accounts of a namespace, however many somebody makes', async () => {
    const answers = await Promise.all(Array.from({ length: 40 }, (_, index) => api.request('GET', LIST, undefined, as(`system:serviceaccount:crowd:robot-${index}`))));
    expect(codes(answers)).toEqual(new Set([200, 429]));
    expect((await api.request('GET', LIST, undefined, as('system:serviceaccount:quiet:robot'))).status).toBe(200);
  });

  it('holds for what is refused, which costs something too', async () => {
    const answers = await Promise.all(Array.from({ length: 40 }, () => api.request('GET', '/apis/rbac.authorization.k8s.io/v1/clusterroles', undefined, as('curious'))));
    expect(codes(answers)).toEqual(new Set([403, 429]));
  });

  const dial = (user: string) => new WebSocket(`${api.url.replace('http', 'ws')}/live`, { headers: { authorization: `Bearer ${ADMIN_TOKEN}`, ...as(user) } });

  it('holds for WebSockets', async () => {
    const outcomes = await Promise.all(Array.from({ length: 40 }, () => {
      const socket = dial('dialler');
      const refused = once(socket, 'unexpected-response').then(([, response]) => (response as { readonly statusCode: number }).statusCode);
      socket.on('error', () => undefined);
      return Promise.race([once(socket, 'open').then(() => 101), refused]).finally(() => socket.terminate());
    }));
    expect(new Set(outcomes)).toEqual(new Set([101, 429]));
  });

  it('holds for the watches of one WebSocket', async () => {
    const socket = dial('watcher');
    const ended = new Set<number>();
    socket.on('message', (data: Buffer) => {
      const { type, object } = JSON.parse(data.toString()) as { type: string; object?: { code?: number } };
      if (type === 'ERROR') ended.add(object?.code ?? 0);
    });
    await once(socket, 'open');
    for (let id = 0; id < 40; id += 1) socket.send(JSON.stringify({ id, type: 'watch', path: LIST }));
    await until(() => ended.has(429), { timeoutMs: 5_000, what: 'a watch that came too soon' });
    expect(ended).toEqual(new Set([429]));
    socket.terminate();
  });

  it('does not hold for administrators and health checks', async () => {
    const answers = await Promise.all(Array.from({ length: 40 }, (_, index) => api.request('GET', index % 2 === 0 ? LIST : '/readyz')));
    expect(codes(answers)).toEqual(new Set([200]));
    expect(answers[0]?.headers.get('ratelimit')).toBeNull();
  });
});

describe('what one has open', () => {
  let api: ApiFixture;
  beforeAll(async () => {
    api = await startOpen({ ...DEFAULT_TRAFFIC, openConnections: 2 });
  }, 60_000);
  afterAll(() => api.stop());
  const headers = (user: string) => ({ authorization: `Bearer ${ADMIN_TOKEN}`, ...as(user) });
  const watch = (user: string, signal: AbortSignal) => fetch(`${api.url}${LIST}?watch=true`, { headers: headers(user), signal });

  it('is bounded over HTTP and WebSocket together: the next is told when to come back, and let in when one has ended', async () => {
    const [first, others] = [new AbortController(), new AbortController()];
    expect((await watch('watcher', first.signal)).status).toBe(200);
    const socket = new WebSocket(`${api.url.replace('http', 'ws')}/live`, { headers: headers('watcher') });
    await once(socket, 'open');
    const refused = await watch('watcher', others.signal);
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '5']);
    expect(await refused.json()).toMatchObject({ reason: 'TooManyRequests', message: expect.stringContaining('user watcher has 2') as unknown });
    const dialled = new WebSocket(`${api.url.replace('http', 'ws')}/live`, { headers: headers('watcher') });
    dialled.on('error', () => undefined);
    const [, answer] = (await once(dialled, 'unexpected-response')) as [unknown, { statusCode: number; headers: Record<string, string> }];
    expect([answer.statusCode, answer.headers['retry-after']]).toEqual([429, '5']);
    dialled.terminate();

    const error = new Promise<unknown>((resolve) => socket.on('message', (data: Buffer) => {
      const message = JSON.parse(data.toString()) as { type: string; object?: { code: number } };
      if (message.type === 'ERROR') resolve(message.object?.code);
    }));
    socket.send(JSON.stringify({ id: 1, type: 'watch', path: LIST }));
    expect(await error).toBe(429);

    expect((await watch('other', others.signal)).status).toBe(200);
    first.abort();
    await until(async () => (await watch('watcher', others.signal)).status === 200, { timeoutMs: 5_000, what: 'room for another' });
    others.abort();
    socket.terminate();
  });
});

describe('seats', () => {
  let api: ApiFixture;
  beforeAll(async () => {
    api = await startOpen({ perSecond: 0, burst: 1, seats: 1, queueLength: 3, queueMs: 10_000, bodyMs: 30_000, openConnections: 1_000 });
  }, 60_000);
  afterAll(() => api.stop());

  it('are given back, whatever became of the request', async () => {
    const paths = [LIST, `${LIST}/none`, '/api/v1/namespaces/default/secrets?labelSelector=%3D', '/apis/corral.dev/v1/virtualmachines', '/nowhere/at/all', `${LIST}?limit=-1`];
    for (const path of paths) {
      for (const headers of [as('tenant'), { ...as('tenant'), accept: 'text/html' }]) await api.request('GET', path, undefined, headers);
    }
    for (let index = 0; index < 10; index += 1) {
      const gone = new AbortController();
      const request = fetch(`${api.url}${LIST}`, { headers: { authorization: `Bearer ${ADMIN_TOKEN}`, ...as('tenant') }, signal: gone.signal }).catch(() => undefined);
      gone.abort();
      await request;
    }
    expect((await api.request('GET', LIST, undefined, as('tenant'))).status).toBe(200);
  });

  it('that nobody has are waited for by a few, and the others come back later; other tenants are seated in between', async () => {
    const user: User = { name: 'noisy', groups: [AUTHENTICATED_GROUP], via: 'Token' };
    // A request that takes its time, so that the others find its seat taken however fast they are served.
    const leave = await api.app.get(Traffic).seat(user, requestAttributes('GET', LIST, () => undefined), () => undefined);
    let refused = 0;
    const noisy = Array.from({ length: 60 }, async () => {
      const answer = await api.request('GET', LIST, undefined, as('noisy'));
      if (answer.status === 429) refused += 1;
      return answer;
    });
    await until(async () => refused === 57, { timeoutMs: 10_000, what: 'all but those who may wait are refused' });
    const quiet = api.request('GET', '/api/v1/secrets', undefined, as('quiet'));
    leave?.();
    expect((await quiet).status).toBe(200);
    const answers = await Promise.all(noisy);
    expect(codes(answers)).toEqual(new Set([200, 429]));
  });

  it('are not taken by watches', async () => {
    const watching = new AbortController();
    const watches = await Promise.all(
      Array.from({ length: 3 }, () => fetch(`${api.url}${LIST}?watch=true`, { headers: { authorization: `Bearer ${ADMIN_TOKEN}`, ...as('watcher') }, signal: watching.signal })),
    );
    expect(watches.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect((await api.request('GET', LIST, undefined, as('watcher'))).status).toBe(200);
    watching.abort();
  });
});
