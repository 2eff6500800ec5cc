import { leases } from '@corral/contracts';
import { startApi, type ApiFixture } from '../../testing/api-fixture.ts';

let api: ApiFixture;
beforeAll(async () => {
  api = await startApi();
}, 60_000);
afterAll(() => api.stop());

const figure = async (name: string): Promise<number> => {
  const { text } = await api.request('GET', '/metrics');
  return Number(text.split('\n').find((line) => line.startsWith(`${name} `))?.slice(name.length + 1));
};

it('tells what is in memory, how far the feed is, and that parallel writes are committed together', async () => {
  const create = (name: string) => api.client.create(leases, { metadata: { name, namespace: 'default' }, spec: {} });
  await api.client.list(leases);
  const [objects, batches, written] = [await figure('corral_cache_objects{resource="leases.coordination.k8s.io"}'), await figure('corral_write_batch_writes_count'), await figure('corral_write_batch_writes_sum')];
  const all = await Promise.all(Array.from({ length: 40 }, (_, index) => create(`lease-${index}`)));

  expect((await figure('corral_cache_objects{resource="leases.coordination.k8s.io"}')) - objects).toBe(40);
  expect(await figure('corral_cache_characters')).toBeGreaterThan(40 * 200);
  expect(await figure('corral_change_feed_version')).toBeGreaterThanOrEqual(Math.max(...all.map(({ metadata }) => Number(metadata.resourceVersion))));
  expect((await figure('corral_write_batch_writes_sum')) - written).toBeGreaterThanOrEqual(40);
  expect((await figure('corral_write_batch_writes_count')) - batches).toBeLessThan(20);
});
