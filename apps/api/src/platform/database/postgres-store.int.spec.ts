import { candidateForCreate } from '@corral/api-machinery';
import { leases, type KindDefinition, type KubeObject } from '@corral/contracts';
import { startApi, type ApiFixture } from '../../testing/api-fixture.ts';

let api: ApiFixture;
beforeAll(async () => {
  api = await startApi();
}, 60_000);
afterAll(() => api.stop());

const kind: KindDefinition = leases;

function lease(name: string, uid: string): KubeObject {
  const value = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name }, spec: {} };
  return candidateForCreate(kind, { value, duplicates: [] }, { namespace: 'default' }, { now: new Date(0), uid, nameSuffix: '' }).object;
}
const held = (object: KubeObject, holderIdentity: string): KubeObject => ({ ...object, spec: { holderIdentity } });

describe('a transaction of writes', () => {
  it('writes all in order, each with its own version', async () => {
    const first = await api.store.create(kind, lease('first', '00000000-0000-4000-8000-000000000001'));
    const [changed, created] = await api.store.transact([
      { type: 'Update', kind, current: first, next: held(first, 'a') },
      { type: 'Create', kind, object: lease('second', '00000000-0000-4000-8000-000000000002') },
    ]);
    expect(Number(created?.metadata.resourceVersion)).toBe(Number(changed?.metadata.resourceVersion) + 1);
    expect(await api.store.get(kind, 'default', 'first')).toEqual(changed);
    expect(await api.store.get(kind, 'default', 'second')).toEqual(created);
  });

  it('writes nothing when one of them is refused', async () => {
    const current = await api.store.create(kind, lease('third', '00000000-0000-4000-8000-000000000003'));
    const writes = [
      { type: 'Update', kind, current, next: held(current, 'b') },
      { type: 'Create', kind, object: lease('first', '00000000-0000-4000-8000-000000000004') },
    ] as const;
    const before = await api.store.currentVersion();
    await expect(api.store.transact(writes)).rejects.toMatchObject({ code: 'object.exists' });
    expect(await api.store.currentVersion()).toBe(before);
    expect(await api.store.get(kind, 'default', 'third')).toEqual(current);
  });

  it('never deadlocks with single writes of the same objects', async () => {
    const names = ['left', 'right'];
    await Promise.all(names.map((name, index) => api.store.create(kind, lease(name, `00000000-0000-4000-8000-00000000001${index}`))));
    const read = (name: string): Promise<KubeObject> => api.store.get(kind, 'default', name).then((object) => object ?? Promise.reject(new Error(name)));
    const outcomes = await Promise.allSettled(
      Array.from({ length: 40 }, async (_, round) => {
        const [left, right] = await Promise.all(names.map(read));
        if (!left || !right) throw new Error('not there');
        if (round % 2 === 0) return api.store.update(kind, left, held(left, `single-${round}`));
        const pair = round % 4 === 1 ? [left, right] : [right, left];
        return api.store.transact(pair.map((current) => ({ type: 'Update', kind, current, next: held(current, `pair-${round}`) }) as const));
      }),
    );
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected').map(({ reason }) => (reason as { code?: string }).code);
    expect(new Set(refused)).toEqual(new Set(['object.conflict']));
    expect(outcomes.some(({ status }) => status === 'fulfilled')).toBe(true);
  });
});
