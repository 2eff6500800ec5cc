import { events, leases, type KindDefinition, type KubeObject, type ObjectClient } from '@corral/contracts';
import { counted, countingWrites } from './counted-writes.ts';

const object = (version: string): KubeObject => ({ apiVersion: 'v1', kind: 'Thing', metadata: { name: 'a', resourceVersion: version } }) as unknown as KubeObject;
/** Answers every write with this version. */
const clientAnswering = (version: string): ObjectClient => {
  const write = async (): Promise<KubeObject> => object(version);
  return counted({ create: write, replace: write, replaceStatus: write, delete: async () => undefined, get: write } as unknown as ObjectClient);
};
const kind: KindDefinition = leases;

describe('counted writes', () => {
  it.each([
    ['a create', 1, (client: ObjectClient) => client.create(kind, object('0'))],
    ['a replace that changed something', 1, (client: ObjectClient) => client.replace(kind, object('1'))],
    ['a replace that changed nothing', 0, (client: ObjectClient) => client.replace(kind, object('2'))],
    ['a status that changed nothing', 0, (client: ObjectClient) => client.replaceStatus(kind, object('2'))],
    ['a delete', 1, (client: ObjectClient) => client.delete(kind, undefined, 'a')],
    ['a read', 0, (client: ObjectClient) => client.get(kind, undefined, 'a')],
    ['an event', 0, (client: ObjectClient) => client.create(events, object('0'))],
  ])('%s counts %i', async (_what, writes, act) => {
    expect((await countingWrites<unknown>(() => act(clientAnswering('2')))).writes).toBe(writes);
  });

  it('count for who asked, and for nobody beside', async () => {
    const client = clientAnswering('2');
    const [one, two] = await Promise.all([
      countingWrites(async () => {
        await client.create(kind, object('0'));
        await client.create(kind, object('0'));
      }),
      countingWrites(() => client.create(kind, object('0'))),
      client.create(kind, object('0')),
    ]);
    expect([one.writes, two.writes]).toEqual([2, 1]);
  });
});
