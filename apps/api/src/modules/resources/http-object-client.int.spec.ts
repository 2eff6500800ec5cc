import { HttpObjectClient } from '@corral/client';
import { namespaces, type KindDefinition, Problem } from '@corral/contracts';
import { objectClientContract } from '@corral/testing';
import getPort from 'get-port';
import { ADMIN_TOKEN, startApi, type ApiFixture } from '../../testing/api-fixture.ts';

let api: ApiFixture;
let client: HttpObjectClient;
beforeAll(async () => {
  api = await startApi();
  client = new HttpObjectClient({ baseUrl: api.url, token: ADMIN_TOKEN });
}, 60_000);
afterAll(() => api.stop(), 60_000);

objectClientContract('The client over HTTP', () => ({
  client,
  forgetHistory: async () => {
    await api.store.compactChanges(new Date(Date.now() + 60_000));
  },
}));

describe('The client over HTTP', () => {
  const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
    promise.then(() => 'accepted', (error: unknown) => (error instanceof Problem ? error.code : error));

  it('calls an API that is not there unavailable, on every way to it', async () => {
    const nowhere = new HttpObjectClient({ baseUrl: `http://127.0.0.1:${await getPort()}`, token: ADMIN_TOKEN });
    const watch = async (): Promise<void> => {
      for await (const _ of nowhere.watch(namespaces, { resourceVersion: '1', signal: AbortSignal.timeout(10_000) })) return;
    };
    expect(await codeOf(nowhere.list(namespaces))).toBe('dependency.unavailable');
    expect(await codeOf(nowhere.get(namespaces, undefined, 'default'))).toBe('dependency.unavailable');
    expect(await codeOf(watch())).toBe('dependency.unavailable');
  });

  it('calls a token that is not known unauthenticated', async () => {
    const stranger = new HttpObjectClient({ baseUrl: api.url, token: 'not-a-token-of-anybody' });
    expect(await codeOf(stranger.list(namespaces as KindDefinition))).toBe('request.unauthenticated');
  });

  it('leaves a server that restarts to be watched again from where it was', async () => {
    const { resourceVersion } = await client.list(namespaces);
    const first = client.watch(namespaces, { resourceVersion, signal: AbortSignal.timeout(60_000) })[Symbol.asyncIterator]();
    await client.create(namespaces as KindDefinition, { metadata: { name: 'before-the-restart' } });
    let event = await first.next();
    while (!event.done && event.value.type === 'BOOKMARK') event = await first.next();
    const seen = event.done ? '' : event.value.object.metadata.resourceVersion;
    const ended = first.next().then(({ done }) => done, (error: unknown) => (error as Problem).code);
    await api.restart();
    expect([true, 'dependency.unavailable']).toContain(await ended);

    await client.create(namespaces as KindDefinition, { metadata: { name: 'after-the-restart' } });
    for await (const { type, object } of client.watch(namespaces, { resourceVersion: seen, signal: AbortSignal.timeout(30_000) })) {
      if (type === 'BOOKMARK') continue;
      expect([type, object.metadata.name]).toEqual(['ADDED', 'after-the-restart']);
      break;
    }
  }, 60_000);
});
