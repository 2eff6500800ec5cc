import { until } from '@corral/testing';
import { startApi, type ApiFixture } from '../../testing/api-fixture.ts';
import { Database } from '../database/database.ts';
import { Sql } from '../database/sql.ts';
import { AccessTokens } from './access-tokens.ts';
import { randomSecret } from './digest.ts';
import { RequestGate } from './request-gate.ts';
import { Tickets } from './tickets.ts';

let api: ApiFixture;
let tokens: AccessTokens;
beforeAll(async () => {
  api = await startApi();
  tokens = api.app.get(AccessTokens);
}, 60_000);
afterAll(() => api.stop());

const whose = async (secret: string): Promise<string | undefined> => (await tokens.findToken(secret))?.identity.name;

it('a token that is revoked in another process works for seconds, and the others go on working', async () => {
  const [kept, revoked] = [await tokens.createForNode('kept'), await tokens.createForNode('revoked')];
  expect([await whose(kept.secret), await whose(revoked.secret)]).toEqual(['system:node:kept', 'system:node:revoked']);
  await api.app.get(Database).accessToken.deleteMany({ where: { userName: 'system:node:revoked' } });
  await until(async () => (await whose(revoked.secret)) === undefined, { timeoutMs: 8_000, what: 'the end of the token' });
  expect(await whose(kept.secret)).toBe('system:node:kept');
});

it('a node’s token ends at once when it gets another', async () => {
  const first = await tokens.createForNode('again');
  expect(await whose(first.secret)).toBe('system:node:again');
  const second = await tokens.createForNode('again');
  expect([await whose(first.secret), await whose(second.secret)]).toEqual([undefined, 'system:node:again']);
});

it('whether a hundred tokens in use still hold is one question', async () => {
  const secrets = await Promise.all(Array.from({ length: 100 }, async (_, index) => (await tokens.createForNode(`many-${index}`)).secret));
  const ids = (await Promise.all(secrets.map((secret) => tokens.findToken(secret)))).map((found) => (found?.credential.ref.type === 'Configured' ? found.credential.ref.id : ''));
  const [sql, database] = [api.app.get(Sql), api.app.get(Database)];
  const [ask, fetch] = [sql.query.bind(sql), database.accessToken.findUnique.bind(database.accessToken)];
  const asked = { together: 0, alone: 0 };
  sql.query = (statement) => {
    if ('name' in statement && statement.name === 'corral-tokens-gone') asked.together += 1;
    return ask(statement);
  };
  const counted: typeof fetch = (where) => {
    asked.alone += 1;
    return fetch(where);
  };
  database.accessToken.findUnique = counted;
  const found = await Promise.all(ids.map((id) => tokens.findById(id)));
  Object.assign(sql, { query: ask });
  Object.assign(database.accessToken, { findUnique: fetch });
  expect(found.every((each) => each !== undefined)).toBe(true);
  expect(asked.alone).toBe(0);
  // What is open asks as well meanwhile.
  expect(asked.together).toBeLessThanOrEqual(3);
  expect(asked.together).toBeGreaterThan(0);
});

it('made-up tokens cost few questions at a time, what could be no token costs none, and nobody in use is looked up again for them', async () => {
  const database = api.app.get(Database);
  const fetch = database.accessToken.findUnique.bind(database.accessToken);
  const asked = { now: 0, most: 0, total: 0 };
  const { secret } = await tokens.createForNode('busy');
  await whose(secret);
  database.accessToken.findUnique = (async (where: Parameters<typeof fetch>[0]) => {
    asked.total += 1;
    asked.most = Math.max(asked.most, (asked.now += 1));
    return fetch(where).finally(() => (asked.now -= 1));
  }) as unknown as typeof fetch;
  try {
    await Promise.all(Array.from({ length: 500 }, (_, index) => whose(`nonsense-${index}`)));
    expect(asked.total).toBe(0);
    const madeUp = Array.from({ length: 500 }, () => randomSecret());
    expect(new Set(await Promise.all(madeUp.map((each) => whose(each))))).toEqual(new Set([undefined]));
    await Promise.all(madeUp.map((each) => whose(each)));
    expect(asked).toEqual({ now: 0, most: 8, total: 500 });
    expect(await whose(secret)).toBe('system:node:busy');
    expect(asked.total).toBe(500);
  } finally {
    Object.assign(database.accessToken, { findUnique: fetch });
  }
});

it('what is got while acting for somebody else says so for good: a sign-in link, and the session begun with it', async () => {
  const acting = { 'impersonate-user': 'ann', 'impersonate-group': 'system:masters' };
  const { url } = (await api.request('POST', '/auth/sign-in-links', undefined, acting)).body;
  const signedIn = await fetch(url, { redirect: 'manual' });
  const cookie = signedIn.headers.getSetCookie()[0]?.split(';')[0] ?? '';
  expect(await api.app.get(RequestGate).identify('GET', { cookie })).toMatchObject({ name: 'ann', via: 'Session', impersonatedBy: { name: 'system:admin' } });
  const { ticket } = (await api.request('POST', '/auth/tickets', undefined, acting)).body;
  expect((await api.app.get(Tickets).redeem(ticket, () => true))?.credential).toMatchObject({ impersonatedBy: { name: 'system:admin' } });
});
