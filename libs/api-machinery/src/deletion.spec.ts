import { namespaces, virtualMachines, type KindDefinition, type KubeObject } from '@corral/contracts';
import { isReleased, planCollection, planDeletion } from './deletion.ts';

const machine: KindDefinition = virtualMachines;
const namespace: KindDefinition = namespaces;
const now = new Date('2026-01-02T03:04:05Z');
const object = (metadata: object = {}, more: object = {}): KubeObject => ({ apiVersion: 'v1', kind: 'X', metadata: { name: 'x', generation: 3, ...metadata }, ...more }) as unknown as KubeObject;

it('removes what nothing holds', () => {
  expect(planDeletion(machine, object(), {}, now)).toEqual({ outcome: 'Remove' });
});

it('marks what a finalizer holds: time, no grace, next generation', () => {
  const plan = planDeletion(machine, object({ finalizers: ['a/b'] }), {}, now);
  expect(plan).toMatchObject({ outcome: 'Mark', object: { metadata: { deletionTimestamp: '2026-01-02T03:04:05Z', deletionGracePeriodSeconds: 0, generation: 4 } } });
});

it('never moves the time of a deletion that has begun', () => {
  expect(planDeletion(machine, object({ finalizers: ['a/b'], deletionTimestamp: '2020-01-01T00:00:00Z' }), {}, now)).toEqual({ outcome: 'AlreadyMarked' });
});

it.each([['Foreground', ['foregroundDeletion']], ['Orphan', ['orphan']]] as const)('%s deletion holds the object by a finalizer of its own', (propagationPolicy, finalizers) => {
  expect(planDeletion(machine, object(), { propagationPolicy }, now)).toMatchObject({ outcome: 'Mark', object: { metadata: { finalizers } } });
});

it('holds a namespace by its spec until its contents are gone, and says Terminating meanwhile', () => {
  const held = object({}, { spec: { finalizers: ['kubernetes'] } });
  expect(planDeletion(namespace, held, {}, now)).toMatchObject({ outcome: 'Mark', object: { status: { phase: 'Terminating' } } });
  const going = object({ deletionTimestamp: 'x' }, { spec: { finalizers: ['kubernetes'] } });
  expect([isReleased(namespace, going), isReleased(namespace, { ...going, spec: { finalizers: [] } })]).toEqual([false, true]);
});

describe('an object with owners', () => {
  const owner = (uid: string) => ({ apiVersion: 'v1', kind: 'X', name: uid, uid });
  const owned = object({ ownerReferences: [owner('a'), owner('b')] });
  it.each([
    ['stays while all are there', [], { action: 'Keep' }],
    ['forgets the one that is gone', ['a'], { action: 'Disown', ownerReferences: [owner('b')] }],
    ['goes with the last', ['a', 'b'], { action: 'Delete' }],
  ])('%s', (_what, gone, expected) => {
    expect(planCollection(owned, ({ uid }) => (gone as string[]).includes(uid))).toEqual(expected);
  });
});
