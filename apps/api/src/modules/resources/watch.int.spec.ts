import { jest } from '@jest/globals';
import { leases, type KubeObject, type Lease, type WatchEvent } from '@corral/contracts';
import { until } from '@corral/testing';
import { ADMIN_TOKEN, startApi, type ApiFixture } from '../../testing/api-fixture.ts';

const LEASES = '/apis/coordination.k8s.io/v1/namespaces/default/leases';
const WRITERS = 100;

jest.setTimeout(60_000);

let api: ApiFixture;
beforeAll(async () => {
  api = await startApi();
}, 60_000);
afterAll(() => api.stop());

let count = 0;
const create = (labels: Record<string, string> = {}): Promise<Lease> =>
  api.client.create(leases, { metadata: { name: `lease-${(count += 1)}`, namespace: 'default', labels }, spec: { holderIdentity: 'a' } });
const listVersion = async (): Promise<string> => (await api.client.list(leases, { namespace: 'default' })).resourceVersion;
const forgetHistory = () => api.request('POST', '/admin/change-log/compactions', {});

interface Stream {
  readonly events: WatchEvent[];
  readonly status: number;
  /** Resolves when the server has ended it. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

/** A watch over HTTP, as any client would read it. */
async function stream(query: string, path = LEASES, headers: Record<string, string> = {}): Promise<Stream> {
  const abort = new AbortController();
  const answer = await fetch(`${api.url}${path}?watch=true&${query}`, { headers: { authorization: `Bearer ${ADMIN_TOKEN}`, ...headers }, signal: abort.signal });
  const events: WatchEvent[] = [];
  const read = async (): Promise<void> => {
    let rest = '';
    const decoder = new TextDecoder();
    for await (const chunk of answer.body ?? []) {
      const lines = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      events.push(...lines.map((line) => JSON.parse(line) as WatchEvent));
    }
  };
  const ended = read().catch((error: unknown) => {
    if (!abort.signal.aborted) throw error;
  });
  return {
    events,
    status: answer.status,
    ended,
    stop: async () => {
      abort.abort();
      await ended;
    },
  };
}

/** What a watcher who applies every event holds in the end. Throws on any event that does not follow from the ones before. */
function replay(start: readonly KubeObject[], events: readonly WatchEvent[]): Map<string, KubeObject> {
  const held = new Map(start.map((object) => [object.metadata.name, object]));
  let last = 0;
  for (const { type, object } of events) {
    const version = Number(object.metadata.resourceVersion);
    if (version <= last) throw new Error(`version ${version} came after ${last}`);
    last = version;
    const before = held.get(object.metadata.name);
    if ((type === 'ADDED') !== (before === undefined)) throw new Error(`${type} of ${object.metadata.name}, which was ${before ? 'there' : 'not there'}`);
    if (type === 'DELETED') held.delete(object.metadata.name);
    else held.set(object.metadata.name, object);
  }
  return held;
}

it(`shows ${WRITERS} parallel writers' work to a watcher completely, in order, and once: its replay is the list`, async () => {
  const start = await api.client.list(leases, { namespace: 'default' });
  const watch = await stream(`resourceVersion=${start.resourceVersion}`);
  const write = async (writer: number): Promise<void> => {
    const created = await create({ writer: String(writer) });
    const changed = await api.client.replace(leases, { ...created, spec: { holderIdentity: `holder-${writer}` } });
    if (writer % 2 === 0) await api.client.delete(leases, 'default', changed.metadata.name);
  };
  await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
  const end = await api.client.list(leases, { namespace: 'default' });
  const expected = WRITERS * 2 + WRITERS / 2;
  await until(() => watch.events.length >= expected, { timeoutMs: 20_000, what: `${expected} events` });
  await watch.stop();
  expect(watch.events).toHaveLength(expected);
  expect([...replay(start.items, watch.events).values()].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))).toEqual(end.items);
}, 60_000);

it('lets unconditional writers of one object all succeed, and none be lost', async () => {
  const lease = await create();
  const path = `${LEASES}/${lease.metadata.name}`;
  const patch = { 'content-type': 'application/merge-patch+json' };
  const answers = await Promise.all(
    Array.from({ length: 30 }, (_, writer) => api.request('PATCH', path, { metadata: { annotations: { [`example.com/w${writer}`]: 'done' } } }, patch)),
  );
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  const { body } = await api.request('GET', path);
  expect(Object.keys(body.metadata.annotations)).toHaveLength(30);
});

it('resumes across a restart of the server without losing or repeating an event', async () => {
  const start = await api.client.list(leases, { namespace: 'default' });
  const first = await stream(`resourceVersion=${start.resourceVersion}`);
  await create();
  await until(() => first.events.length === 1, { timeoutMs: 10_000, what: 'the first event' });
  const between = await create();
  await api.restart();
  await first.ended;
  const seen = first.events.at(-1)?.object.metadata.resourceVersion ?? '';
  await create();
  const second = await stream(`resourceVersion=${seen}`);
  const expected = 3 - first.events.length;
  await until(() => second.events.length >= expected, { timeoutMs: 10_000, what: 'the events after the restart' });
  await second.stop();
  const end = await api.client.list(leases, { namespace: 'default' });
  const all = [...first.events, ...second.events];
  expect(all.map(({ object }) => object.metadata.name)).toContain(between.metadata.name);
  expect(replay(start.items, all).size).toBe(end.items.length);
}, 30_000);

it('tells a watcher from before the forgotten history to begin anew, with one ERROR event', async () => {
  const version = await listVersion();
  await create();
  await forgetHistory();
  const watch = await stream(`resourceVersion=${version}`);
  await watch.ended;
  expect(watch.events).toMatchObject([{ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } }]);
});

it('goes on from a bookmark after history was forgotten up to it, however quiet the selection was', async () => {
  const version = await listVersion();
  await create({ app: 'noise' });
  const watch = await stream(`resourceVersion=${version}&labelSelector=app=quiet&allowWatchBookmarks=true&timeoutSeconds=1`);
  await watch.ended;
  expect(watch.events.map(({ type }) => type)).toEqual(['BOOKMARK']);
  const bookmark = watch.events[0]?.object.metadata.resourceVersion ?? '';
  expect(Number(bookmark)).toBeGreaterThan(Number(version));
  await forgetHistory();
  const next = await stream(`resourceVersion=${bookmark}&labelSelector=app=quiet&timeoutSeconds=1`);
  await next.ended;
  expect(next.events).toEqual([]);
});

it('begins with what exists when asked to, and marks where that ends', async () => {
  const watch = await stream('sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true');
  const { items } = await api.client.list(leases, { namespace: 'default' });
  await until(() => watch.events.some(({ type }) => type === 'BOOKMARK'), { timeoutMs: 10_000, what: 'the bookmark' });
  const end = watch.events.findIndex(({ type }) => type === 'BOOKMARK');
  expect(watch.events[end]?.object.metadata.annotations).toEqual({ 'k8s.io/initial-events-end': 'true' });
  expect(watch.events.slice(0, end).map(({ type, object }) => [type, object.metadata.name])).toEqual(items.map(({ metadata }) => ['ADDED', metadata.name]));
  const created = await create();
  await until(() => watch.events.length === end + 2, { timeoutMs: 10_000, what: 'a live event' });
  expect(watch.events.at(-1)?.object.metadata.name).toBe(created.metadata.name);
  await watch.stop();
});

it('refuses watch options that make no sense before the stream begins', async () => {
  const status = async (query: string): Promise<number> => (await api.request('GET', `${LEASES}?watch=true&${query}`)).status;
  expect(await status('sendInitialEvents=true')).toBe(422);
  expect(await status('resourceVersionMatch=NotOlderThan&resourceVersion=1')).toBe(422);
  expect(await status('resourceVersion=banana')).toBe(400);
  expect(await status('labelSelector=a%20b%20c')).toBe(400);
  expect(await status('fieldSelector=spec.nothing=1')).toBe(400);
  expect(await status('timeoutSeconds=soon')).toBe(400);
});

it('says of a version from the future that it is not reached yet', async () => {
  const watch = await stream('resourceVersion=999999999');
  await watch.ended;
  expect(watch.events).toMatchObject([{ type: 'ERROR', object: { code: 504, reason: 'Timeout' } }]);
});

it('sends the column definitions of a table watch once', async () => {
  const version = await listVersion();
  const watch = await stream(`resourceVersion=${version}`, LEASES, { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' });
  await create();
  await create();
  await until(() => watch.events.length === 2, { timeoutMs: 10_000, what: 'two events' });
  await watch.stop();
  const tables = watch.events.map(({ object }) => object as unknown as { kind: string; columnDefinitions: unknown[]; rows: unknown[] });
  expect(tables.map(({ kind, columnDefinitions, rows }) => [kind, columnDefinitions.length > 0, rows.length])).toEqual([['Table', true, 1], ['Table', false, 1]]);
});

it('shows every page of a limited list as of the first page, whatever is written meanwhile', async () => {
  const before = await api.client.list(leases, { namespace: 'default' });
  const first = await api.request('GET', `${LEASES}?limit=3`);
  expect(first.body.metadata.remainingItemCount).toBe(before.items.length - 3);
  const [, , , fourth, fifth] = before.items;
  if (!fourth || !fifth) throw new Error('too few leases for this test');
  await api.client.delete(leases, 'default', fourth.metadata.name);
  await api.client.replace(leases, { ...fifth, spec: { holderIdentity: 'changed between pages' } });
  await create();

  const names = first.body.items.map(({ metadata }) => metadata.name);
  const holders: unknown[] = [];
  let token = first.body.metadata.continue;
  while (token) {
    const page = await api.request('GET', `${LEASES}?limit=3&continue=${encodeURIComponent(token)}`);
    expect(page.body.metadata.resourceVersion).toBe(first.body.metadata.resourceVersion);
    names.push(...page.body.items.map(({ metadata }) => metadata.name));
    holders.push(...(page.body.items as Lease[]).map((item) => item.spec?.holderIdentity));
    token = page.body.metadata.continue;
  }
  expect(names).toEqual(before.items.map(({ metadata }) => metadata.name));
  expect(holders).not.toContain('changed between pages');
});

it('refuses a continue token that was changed, and one whose state is forgotten', async () => {
  const { body } = await api.request('GET', `${LEASES}?limit=1`);
  const token = body.metadata.continue ?? '';
  const flipped = `${token.startsWith('A') ? 'B' : 'A'}${token.slice(1)}`;
  expect((await api.request('GET', `${LEASES}?limit=1&continue=${flipped}`)).status).toBe(400);
  expect((await api.request('GET', `${LEASES}?limit=1&continue=x`)).status).toBe(400);
  await create();
  await forgetHistory();
  const expired = await api.request('GET', `${LEASES}?limit=1&continue=${token}`);
  expect([expired.status, expired.body.reason]).toEqual([410, 'Expired']);
  // It may go on with what is left as it is now, and from then on consistently.
  const fresh = expired.body.metadata.continue ?? '';
  const rest = await api.request('GET', `${LEASES}?limit=1&continue=${fresh}`);
  expect([rest.status, rest.body.items.length, rest.body.items[0]?.metadata.name === body.items[0]?.metadata.name]).toEqual([200, 1, false]);
  expect(Number(rest.body.metadata.resourceVersion)).toBeGreaterThan(Number(body.metadata.resourceVersion));
});

it('says how far it came two seconds before it ends, and still tells what happens until then', async () => {
  const watch = await stream(`resourceVersion=${await listVersion()}&allowWatchBookmarks=true&timeoutSeconds=4`);
  await until(() => watch.events.some(({ type }) => type === 'BOOKMARK'), { timeoutMs: 10_000, what: 'the bookmark' });
  const last = await create();
  await watch.ended;
  expect(watch.events.map(({ type, object }) => [type, object.metadata.name])).toEqual([['BOOKMARK', undefined], ['ADDED', last.metadata.name]]);
});

it.each([
  ['sendInitialEvents of a list', 'sendInitialEvents=true', 'ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list'],
  ['a match without a version', 'resourceVersionMatch=Exact', 'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided'],
  ['an exact match of version 0', 'resourceVersionMatch=Exact&resourceVersion=0', 'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"'],
  ['a match that there is not', 'resourceVersionMatch=Near&resourceVersion=1', 'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Unsupported value: "Near": supported values: "Exact", "NotOlderThan", ""'],
  ['a match of a watch without initial events', 'watch=true&resourceVersionMatch=NotOlderThan&resourceVersion=1', 'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided'],
  ['initial events without a match', 'watch=true&sendInitialEvents=true&allowWatchBookmarks=true', 'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan'],
])('refuses %s with 422, in Kubernetes’s words', async (_what, query, message) => {
  const { status, body } = await api.request('GET', `${LEASES}?${query}`);
  expect([status, body.reason, body.message]).toEqual([422, 'Invalid', message]);
});

it('streams JSON and nothing else', async () => {
  const { status, body } = await api.request('GET', `${LEASES}?watch=true`, undefined, { accept: 'application/yaml' });
  expect([status, body.reason]).toEqual([406, 'NotAcceptable']);
});
