import { once } from 'node:events';
import { jest } from '@jest/globals';
import { virtualMachines, type AuditEvent } from '@corral/contracts';
import { Module } from '@nestjs/common';
import { WebSocketGateway } from '@nestjs/websockets';
import { until } from '@corral/testing';
import WebSocket from 'ws';
import { LeadershipModule } from '../../platform/leadership/leadership.module.ts';
import { ADMIN_TOKEN, NODE_TOKEN, startApi, type ApiFixture } from '../../testing/api-fixture.ts';
import { AuditLog } from '../../platform/audit/audit-log.ts';
import { Database } from '../../platform/database/database.ts';
import type { GatewayOptions } from '../../platform/http/gateway-server.ts';
import { ApiKeysModule } from '../api-keys/api-keys.module.ts';
import { AuditRetention } from './audit-retention.ts';
import { AuditEventsModule, AuditRetentionModule } from './audit-events.module.ts';

const MACHINE = `/apis/${virtualMachines.group}/v1/namespaces/default/virtualmachines/demo`;

@WebSocketGateway<GatewayOptions>({ path: `/apis/${virtualMachines.group}/v1/namespaces/:namespace/virtualmachines/:name/serial` })
class SilentGateway {}

@Module({ providers: [SilentGateway] })
class SilentModule {}

jest.setTimeout(60_000);

let api: ApiFixture;
beforeAll(async () => {
  api = await startApi({ imports: [LeadershipModule, ApiKeysModule, AuditEventsModule, AuditRetentionModule, SilentModule], env: { CORRAL_TRUSTED_PROXIES: '127.0.0.1', CORRAL_AUDIT_RETENTION_DAYS: '2' } });
}, 60_000);
afterAll(() => api.stop());

const LOG = '/apis/audit.corral.dev/v1/auditevents';
const SECRETS = '/api/v1/namespaces/default/secrets';
const as = (token: string) => ({ authorization: `Bearer ${token}` });
const secret = (name: string, text = 'geheimnis') => ({ apiVersion: 'v1', kind: 'Secret', metadata: { name }, stringData: { text } });

async function records(query = ''): Promise<readonly AuditEvent[]> {
  await api.app.get(AuditLog).flushed();
  const { status, body } = await api.request('GET', `${LOG}${query}`);
  expect(status).toBe(200);
  return body.items as readonly AuditEvent[];
}
/** A request is recorded when it is over, which its caller may know first. */
async function recordOf(requestId: string | null): Promise<AuditEvent | undefined> {
  let found: readonly AuditEvent[] = [];
  await until(async () => (found = await records(`?fieldSelector=requestID=${requestId ?? ''}`)).length > 0, { timeoutMs: 5_000, what: 'the record' });
  return found[0];
}

describe('what is recorded', () => {
  it('a write: who, what, from where, how it ended', async () => {
    const { headers } = await api.request('POST', SECRETS, secret('written'), { 'x-forwarded-for': '10.9.9.9, 198.51.100.7', 'user-agent': 'test/1' });
    expect(await recordOf(headers.get('x-request-id'))).toMatchObject({
      verb: 'create',
      user: { username: 'system:admin', groups: ['system:masters', 'system:authenticated'], credential: expect.stringMatching(/^CONFIGURED=/) },
      objectRef: { resource: 'secrets', namespace: 'default', name: 'written' },
      // Only the last address was added by a proxy that is trusted.
      sourceIPs: ['198.51.100.7'],
      userAgent: 'test/1',
      decision: 'Allowed',
      responseStatus: { code: 201 },
      metadata: { namespace: 'default' },
    });
  });

  it.each([
    ['a write that failed', 'POST', SECRETS, '{"nonsense":', {}, { verb: 'create', decision: 'Allowed', responseStatus: { code: 400, reason: 'BadRequest' } }],
    ['a write that was forbidden', 'DELETE', `${SECRETS}/x`, undefined, as(NODE_TOKEN), { verb: 'delete', decision: 'Denied', user: { username: 'system:node' }, objectRef: { name: 'x' }, responseStatus: { code: 403, reason: 'Forbidden' } }],
    ['a read that was forbidden', 'GET', `${SECRETS}/x`, undefined, as(NODE_TOKEN), { verb: 'get', decision: 'Denied', responseStatus: { code: 403 } }],
    ['a wrong token', 'GET', '/api/v1/nodes', undefined, as('wrong-token-wrong-token'), { verb: 'list', decision: 'Denied', user: { username: 'system:anonymous' }, responseStatus: { code: 401, reason: 'Unauthorized' } }],
    ['a path that could be read in two ways', 'POST', '/api/v1/nodes%2f..', undefined, {}, { decision: 'Denied', responseStatus: { code: 400 } }],
    ['a read of a Secret', 'GET', SECRETS, undefined, {}, { verb: 'list', objectRef: { resource: 'secrets' }, responseStatus: { code: 200 } }],
    ['a patch', 'PATCH', `${SECRETS}/written`, { stringData: { text: 'neu' } }, { 'content-type': 'application/merge-patch+json' }, { verb: 'patch', responseStatus: { code: 200 } }],
    ['a write to a path that is no resource', 'POST', '/auth/tickets', undefined, {}, { verb: 'post', requestURI: '/auth/tickets' }],
  ])('%s', async (_title, method, path, body, headers, expected) => {
    const answer = await api.request(method, path, body, headers);
    expect(await recordOf(answer.headers.get('x-request-id'))).toMatchObject(expected);
  });

  it('who signed in, and who did not', async () => {
    const signIn = (token: string) => fetch(`${api.url}/auth/sessions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ token }) });
    const [good, bad] = [await signIn(ADMIN_TOKEN), await signIn('nonsense-nonsense')];
    expect(await recordOf(good.headers.get('x-request-id'))).toMatchObject({ user: { username: 'system:admin' }, requestURI: '/auth/sessions', responseStatus: { code: 201 } });
    expect(await recordOf(bad.headers.get('x-request-id'))).toMatchObject({ user: { username: 'system:anonymous' }, responseStatus: { code: 401 } });
  });

  it('who it really was, when somebody acts for somebody else', async () => {
    const { headers } = await api.request('POST', SECRETS, secret('borrowed'), { 'impersonate-user': 'ana', 'impersonate-group': 'system:masters' });
    expect(await recordOf(headers.get('x-request-id'))).toMatchObject({ user: { username: 'ana' }, impersonatedBy: { username: 'system:admin' }, responseStatus: { code: 201 } });
  });

  it('a way into a guest that was opened, and one that was not', async () => {
    const open = (token: string) => new WebSocket(`${api.url.replace('http', 'ws')}${MACHINE}/serial`, { headers: as(token) });
    const socket = open(ADMIN_TOKEN);
    await once(socket, 'open');
    socket.terminate();
    const refused = open(NODE_TOKEN).on('error', () => undefined);
    await once(refused, 'unexpected-response');
    refused.terminate();
    let found: readonly AuditEvent[] = [];
    await until(async () => (found = await records('?fieldSelector=objectRef.subresource=serial')).length === 2, { timeoutMs: 5_000, what: 'both records' });
    expect(found).toMatchObject([
      { user: { username: 'system:node' }, decision: 'Denied', responseStatus: { code: 403 } },
      { user: { username: 'system:admin' }, decision: 'Allowed', objectRef: { resource: 'virtualmachines', name: 'demo' }, responseStatus: { code: 101 } },
    ]);
  });

  it('neither reads nor a node’s Leases', async () => {
    await api.request('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'kube-node-lease' } });
    const read = await api.request('GET', '/api/v1/nodes');
    const lease = await api.request('POST', '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases', { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: 'worker' } }, as(await api.nodeToken('worker')));
    expect(lease.status).toBe(201);
    await recordOf((await api.request('POST', '/auth/tickets')).headers.get('x-request-id'));
    for (const { headers } of [read, lease]) expect(await records(`?fieldSelector=requestID=${headers.get('x-request-id') ?? ''}`)).toEqual([]);
  });

  it('no secret: neither of a body, nor of a header, nor of a query, nor a key that is shown once', async () => {
    const created = await api.request('POST', '/apis/corral.dev/v1/namespaces/default/apikeys', { apiVersion: 'corral.dev/v1', kind: 'APIKey', metadata: { name: 'shown' }, spec: {} });
    const key = (created.body.status as unknown as { token: string }).token;
    const wrong = 'corral-secret-in-a-query';
    await api.request('GET', `/sign-in?code=${wrong}`);
    const last = await api.request('POST', `${SECRETS}?fieldManager=${wrong}`, secret('kept', wrong));
    await recordOf(last.headers.get('x-request-id'));
    const rows = await api.app.get(Database).auditEntry.findMany();
    const text = JSON.stringify(rows, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
    for (const text2 of [ADMIN_TOKEN, NODE_TOKEN, key, key.slice(7), wrong, 'geheimnis', Buffer.from('geheimnis').toString('base64')]) expect(text).not.toContain(text2);
    expect(text).toContain('/sign-in');
  });
});

describe('how it is read', () => {
  it('newest first, page by page, without a gap', async () => {
    const all = await records('?limit=500');
    const times = all.map(({ metadata }) => Number(metadata.name));
    expect(times).toEqual([...times].sort((a, b) => b - a));
    const seen: string[] = [];
    let next = '';
    do {
      const { body } = await api.request('GET', `${LOG}?limit=4${next === '' ? '' : `&continue=${next}`}&until=${all[0]?.requestReceivedTimestamp ?? ''}`);
      seen.push(...body.items.map(({ metadata }) => metadata.name));
      next = body.metadata.continue ?? '';
    } while (next !== '');
    expect(seen).toEqual(all.slice(1).map(({ metadata }) => metadata.name));
  });

  it('by namespace, by who, by what, by outcome, by time', async () => {
    const other = `other-${Date.now()}`;
    await api.request('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: other } });
    const start = new Date().toISOString();
    const made = await api.request('POST', `/api/v1/namespaces/${other}/secrets`, secret('there'));
    await recordOf(made.headers.get('x-request-id'));
    const there = await api.request('GET', `/apis/audit.corral.dev/v1/namespaces/${other}/auditevents`);
    expect(there.body.items.map((item) => [(item as AuditEvent).verb, (item as AuditEvent).objectRef?.resource])).toEqual([['create', 'secrets'], ['create', 'namespaces']]);
    expect((await records('?fieldSelector=user.username=system:node,verb=delete,decision!=Denied'))).toEqual([]);
    expect((await records('?fieldSelector=responseStatus.code=403')).length).toBeGreaterThan(0);
    expect((await records(`?since=${start}&fieldSelector=objectRef.resource=secrets`)).map(({ objectRef }) => objectRef?.name)).toEqual(['there']);
    const [{ metadata: { name = '' } = {} } = {}] = there.body.items;
    expect((await api.request('GET', `/apis/audit.corral.dev/v1/namespaces/${other}/auditevents/${name}`)).body).toMatchObject({ kind: 'AuditEvent', objectRef: { name: 'there' } });
    expect((await api.request('GET', `/apis/audit.corral.dev/v1/namespaces/default/auditevents/${name}`)).status).toBe(404);
  });

  it('as a table, which is how kubectl prints it', async () => {
    const { body } = await api.request('GET', `${LOG}?limit=1`, undefined, { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' });
    expect(body.columnDefinitions.map(({ name }) => name)).toEqual(['Name', 'User', 'Verb', 'Object', 'Code', 'From', 'Credential', 'Request', 'Age']);
    expect((await api.request('GET', '/apis/audit.corral.dev/v1')).body.resources).toMatchObject([{ name: 'auditevents', verbs: ['get', 'list'] }]);
  });

  it.each(['fieldSelector=nonsense=1', 'fieldSelector=responseStatus.code=x', 'since=yesterday', 'limit=-1', 'continue=abc', 'continue=99999999999999999999', 'fieldSelector=constructor=1', 'until=2026-99-99T00:00:00Z'])('%s is refused with 400', async (query) => {
    expect((await api.request('GET', `${LOG}?${query}`)).status).toBe(400);
  });

  it('is not written over HTTP, not even by an administrator', async () => {
    for (const method of ['POST', 'DELETE']) expect([404, 405]).toContain((await api.request(method, '/apis/audit.corral.dev/v1/namespaces/default/auditevents')).status);
  });
});

describe('what is recorded stays', () => {
  it('no row is changed or removed by a statement', async () => {
    const database = api.app.get(Database);
    await expect(database.$executeRaw`UPDATE audit_log SET user_name = 'nobody'`).rejects.toThrow('append-only');
    await expect(database.$executeRaw`DELETE FROM audit_log`).rejects.toThrow('append-only');
    await expect(database.$executeRaw`TRUNCATE audit_log`).rejects.toThrow('append-only');
  });

  it('until it is older than the log is to remember', async () => {
    const database = api.app.get(Database);
    const daysAgo = (days: number): Date => new Date(Date.now() - days * 86_400_000);
    for (const days of [1, 3, 4]) {
      await database.$executeRaw`INSERT INTO audit_log (at, request_id, user_name, groups, verb, api_group, resource, subresource, namespace, name, path, address, user_agent, decision, code)
        VALUES (${daysAgo(days)}, 'old', 'x', '{}', 'create', '', 'secrets', '', 'default', ${String(days)}, '', '', '', 'Allowed', 201)`;
    }
    // The server's own sweep may have been first.
    await api.app.get(AuditRetention).forget(new Date());
    expect((await database.auditEntry.findMany({ where: { requestId: 'old' } })).map(({ name }) => name)).toEqual(['1']);
  });

  it('a clean stop loses none of the writes it answered', async () => {
    const answers = await Promise.all(Array.from({ length: 200 }, (_, index) => api.request('POST', SECRETS, secret(`last-${index}`))));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]));
    await api.restart();
    const wanted = answers.map(({ headers }) => headers.get('x-request-id') ?? '');
    expect(await api.app.get(Database).auditEntry.count({ where: { requestId: { in: wanted } } })).toBe(200);
  });

  it.each([
    ['with what they may not', () => fetch(`${api.url}/api/v1/nodes`)],
    ['that try to sign in', () => fetch(`${api.url}/auth/sessions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"token":"nonsense"}' })],
  ])('a flood of strangers %s is counted, and does not fill the log', async (_what, ask) => {
    const floodSoFar = async (): Promise<number> => Number(/corral_audit_records_dropped_total\{why="flood"\} (\d+)/.exec((await api.request('GET', '/metrics')).text)?.[1]);
    const [before, floodBefore] = [await api.app.get(Database).auditEntry.count(), await floodSoFar()];
    await Promise.all(Array.from({ length: 400 }, ask));
    let flood = 0;
    await until(async () => {
      await api.app.get(AuditLog).flushed();
      flood = (await floodSoFar()) - floodBefore;
      return (await api.app.get(Database).auditEntry.count()) - before + flood === 400;
    }, { timeoutMs: 5_000, what: 'every one kept or counted' });
    expect(flood).toBeGreaterThan(0);
  });

  it('an outage of the database delays records and loses none', async () => {
    const log = api.app.get(AuditLog);
    await log.flushed();
    await api.app.get(Database).$executeRaw`ALTER TABLE audit_log RENAME TO audit_log_away`;
    const { headers } = await api.request('POST', SECRETS, secret('in-an-outage'));
    expect(headers.get('x-request-id')).toBeTruthy();
    await until(() => log.flushed().then(() => false, () => true), { timeoutMs: 5_000, what: 'a write that fails' });
    await api.app.get(Database).$executeRaw`ALTER TABLE audit_log_away RENAME TO audit_log`;
    await until(async () => (await recordOf(headers.get('x-request-id'))) !== undefined, { timeoutMs: 5_000, what: 'the record' });
  });
});
