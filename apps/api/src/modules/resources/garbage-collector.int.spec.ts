import { jest } from '@jest/globals';
import { leases, namespaces, type KindDefinition, type Lease } from '@corral/contracts';
import { until } from '@corral/testing';
import { startApi, type ApiFixture } from '../../testing/api-fixture.ts';

jest.setTimeout(60_000);

let api: ApiFixture;
beforeAll(async () => {
  api = await startApi();
}, 60_000);
afterAll(() => api.stop());

const kind: KindDefinition = leases;
let count = 0;
function create(owners: readonly Lease[] = [], blockOwnerDeletion = false, finalizers: string[] = []): Promise<Lease> {
  const ownerReferences = owners.map(({ metadata: { name, uid } }) => ({ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', name, uid, blockOwnerDeletion }));
  return api.client.create(leases, { metadata: { name: `lease-${(count += 1)}`, namespace: 'default', ownerReferences, finalizers }, spec: {} });
}
const find = ({ metadata }: Lease): Promise<Lease | undefined> => api.client.get(leases, 'default', metadata.name);
const isGone = async (lease: Lease): Promise<boolean> => (await find(lease)) === undefined;
const remove = (lease: Lease, propagationPolicy: string) =>
  api.request('DELETE', `/apis/coordination.k8s.io/v1/namespaces/default/leases/${lease.metadata.name}`, { propagationPolicy });
const soon = (condition: () => Promise<boolean>, what: string) => until(condition, { timeoutMs: 15_000, what });

it('removes what an owner leaves behind, and what that leaves behind', async () => {
  const owner = await create();
  const child = await create([owner]);
  const grandchild = await create([child]);
  const bystander = await create();
  await api.client.delete(kind, 'default', owner.metadata.name);
  await soon(() => isGone(grandchild), 'the end of the grandchild');
  expect([await isGone(child), await isGone(bystander)]).toEqual([true, false]);
});

it('keeps an object as long as one owner is left, and only forgets the other', async () => {
  const [first, second] = [await create(), await create()];
  const child = await create([first, second]);
  await api.client.delete(kind, 'default', first.metadata.name);
  await soon(async () => (await find(child))?.metadata.ownerReferences?.length === 1, 'one owner less');
  await api.client.delete(kind, 'default', second.metadata.name);
  await soon(() => isGone(child), 'the end of the child');
});

it('orphans the dependents when told to', async () => {
  const owner = await create();
  const child = await create([owner]);
  await remove(owner, 'Orphan');
  await soon(() => isGone(owner), 'the end of the owner');
  expect((await find(child))?.metadata.ownerReferences).toBeUndefined();
});

it('keeps the owner until blocking dependents are gone, in foreground', async () => {
  const owner = await create();
  const child = await create([owner], true, ['example.com/hold']);
  await remove(owner, 'Foreground');
  await soon(async () => (await find(child))?.metadata.deletionTimestamp !== undefined, 'the deletion of the child');
  expect(await isGone(owner)).toBe(false);
  const held = await find(child);
  if (held) await api.client.replace(leases, { ...held, metadata: { ...held.metadata, finalizers: [] } });
  await soon(() => isGone(owner), 'the end of the owner');
});

it('takes an owner in another namespace for none: nobody holds up the deletion of what is another’s', async () => {
  await api.client.create(namespaces as KindDefinition, { metadata: { name: 'other' } });
  const owner = await create();
  const owners = [{ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', name: owner.metadata.name, uid: owner.metadata.uid, blockOwnerDeletion: true }];
  const foreign = await api.client.create(leases, { metadata: { name: 'foreign', namespace: 'other', ownerReferences: owners, finalizers: ['example.com/hold'] }, spec: {} });
  await remove(owner, 'Foreground');
  await soon(() => isGone(owner), 'the end of the owner');
  await soon(async () => (await api.client.get(leases, 'other', foreign.metadata.name))?.metadata.deletionTimestamp !== undefined, 'the deletion of what names no owner of its own namespace');
});

it('finds what was left behind while it was not running', async () => {
  const owner = await create();
  const child = await create([{ ...owner, metadata: { ...owner.metadata, uid: '00000000-0000-4000-8000-000000000000' } }]);
  await api.restart();
  await soon(() => isGone(child), 'the end of the child');
  expect(await isGone(owner)).toBe(false);
});
