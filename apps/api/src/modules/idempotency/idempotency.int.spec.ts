import { jest } from '@jest/globals';
import type { Write } from '@corral/api-machinery';
import { PostgresStore } from '../../platform/database/postgres-store.ts';
import { startApi, type ApiAnswer, type ApiFixture, type ApiPeer } from '../../testing/api-fixture.ts';
import { AdmissionRulesModule } from '../admission/admission-rules.module.ts';
import { IdempotencySweep } from './idempotency.sweep.ts';
import { KEY_LIFETIME_MS } from './idempotency-key.ts';

let api: ApiFixture;
let other: ApiPeer;
beforeAll(async () => {
  api = await startApi({ imports: [{ module: AdmissionRulesModule }] });
  other = await api.peer();
}, 60_000);
afterAll(() => api.stop());
afterEach(() => jest.restoreAllMocks());

const PATH = '/api/v1/namespaces/default/secrets';
const secret = (name: string, more: object = {}) => ({ apiVersion: 'v1', kind: 'Secret', metadata: name.endsWith('-') ? { generateName: name } : { name }, ...more });
const post = (through: Pick<ApiFixture, 'request'>, key: string, body: unknown, path = PATH): Promise<ApiAnswer> => through.request('POST', path, body, { 'idempotency-key': key });
const count = async (prefix: string): Promise<number> => (await api.request('GET', PATH)).body.items.filter(({ metadata }) => metadata.name.startsWith(prefix)).length;

describe('an Idempotency-Key', () => {
  it('makes 40 creates at once through two processes one object, which all get', async () => {
    const answers = await Promise.all(Array.from({ length: 40 }, (_, index) => post(index % 2 === 0 ? api : other, 'parallel', secret('parallel-'))));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]));
    expect(new Set(answers.map(({ body }) => body.metadata.uid)).size).toBe(1);
    expect(answers.filter(({ headers }) => headers.get('idempotency-replayed') === null)).toHaveLength(1);
    expect(await count('parallel-')).toBe(1);
  });

  it('answers later, too, with the object as it is by then', async () => {
    const first = await post(api, '"quoted"', secret('later'));
    await api.request('PATCH', `${PATH}/later`, { metadata: { labels: { changed: 'yes' } } }, { 'content-type': 'application/merge-patch+json' });
    const again = await post(other, 'quoted', secret('later'));
    expect([again.status, again.body.metadata.uid, again.body.metadata.labels]).toEqual([201, first.body.metadata.uid, { changed: 'yes' }]);
  });

  it('with another request is refused, and stands for the first', async () => {
    await post(api, 'reused', secret('reused'));
    const refused = await post(other, 'reused', secret('reused', { type: 'Opaque' }));
    expect([refused.status, refused.body.reason]).toEqual([422, 'IdempotencyKeyReused']);
    expect((await post(api, 'reused', secret('reused'), '/api/v1/namespaces/kube-system/secrets')).status).toBe(422);
  });

  it('of a request that was refused stands for nothing', async () => {
    expect((await post(api, 'second-try', secret('Not A Name'))).status).toBe(422);
    expect((await post(api, 'second-try', secret('a-name'))).status).toBe(201);
  });

  it('of what has been deleted says so and makes nothing', async () => {
    await post(api, 'deleted', secret('deleted'));
    await api.request('DELETE', `${PATH}/deleted`);
    expect((await post(api, 'deleted', secret('deleted'))).status).toBe(404);
  });

  it('stands for nothing when only a dry run was asked for', async () => {
    expect((await post(api, 'dry', secret('dry'), `${PATH}?dryRun=All`)).status).toBe(201);
    expect((await post(api, 'dry', secret('dry'))).status).toBe(201);
    expect(await count('dry')).toBe(1);
  });

  it('gives the object that was made when the process died before it could answer', async () => {
    const store = api.app.get(PostgresStore);
    const transact = store.transact.bind(store);
    // What a client sees of kill -9 after the commit: no answer, though all is written.
    jest.spyOn(store, 'transact').mockImplementationOnce(async (writes: readonly Write[]) => {
      await transact(writes);
      throw new Error('killed');
    });
    const lost = await post(api, 'killed-after', secret('killed-after-'));
    expect(lost.status).toBe(500);
    const retried = await post(other, 'killed-after', secret('killed-after-'));
    expect([retried.status, retried.headers.get('idempotency-replayed')]).toEqual([201, 'true']);
    expect(await count('killed-after-')).toBe(1);
  });

  it('makes the object when the process died before it was written', async () => {
    jest.spyOn(api.app.get(PostgresStore), 'transact').mockRejectedValueOnce(new Error('killed'));
    expect((await post(api, 'killed-before', secret('killed-before-'))).status).toBe(500);
    expect((await post(other, 'killed-before', secret('killed-before-'))).status).toBe(201);
    expect(await count('killed-before-')).toBe(1);
  });

  it('charges a quota once', async () => {
    await api.request('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'charged' } });
    const path = '/api/v1/namespaces/charged';
    await api.request('POST', `${path}/resourcequotas`, { apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name: 'q' }, spec: { hard: { secrets: '1' } } });
    const answers = await Promise.all(Array.from({ length: 10 }, (_, index) => post(index % 2 === 0 ? api : other, 'one', secret('s'), `${path}/secrets`)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]));
    expect((await api.request('GET', `${path}/resourcequotas/q`)).body.status).toMatchObject({ used: { secrets: '1' } });
  });

  it.each(['', ' ', 'a b', 'ü', 'x'.repeat(256)])('"%s" is refused', async (key) => {
    const sent = Buffer.from(key, 'utf8').toString('latin1');
    const answer = await post(api, sent, secret('bad-key'));
    expect(answer.status).toBe(400);
  });

  it('is forgotten after a day, and free for another request', async () => {
    await post(api, 'old', secret('old'));
    const sweep = api.app.get(IdempotencySweep, { strict: false });
    expect(await sweep.sweep(new Date())).toBe(0);
    expect(await sweep.sweep(new Date(Date.now() + KEY_LIFETIME_MS + 2_000))).toBeGreaterThan(0);
    expect((await post(api, 'old', secret('new'))).status).toBe(201);
  });
});
