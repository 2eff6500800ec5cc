import type { VirtualMachine, VirtualMachinePool } from '@corral/contracts';
import { slotsOf } from './pool-slots.ts';

const meta = (name: string, more: object = {}) => ({ name, namespace: 'default', uid: name, resourceVersion: '1', generation: 1, creationTimestamp: '2026-01-01T00:00:00Z', ...more });
const pool = (maximum: number): VirtualMachinePool => ({ apiVersion: 'corral.dev/v1', kind: 'VirtualMachinePool', metadata: meta('fast', { uid: 'pool' }), spec: { maximum } as never });
const owned = { ownerReferences: [{ apiVersion: 'corral.dev/v1', kind: 'VirtualMachinePool', name: 'fast', uid: 'pool', controller: true }] };
const aVm = (name: string, metadata: object, status: VirtualMachine['status'] = {}): VirtualMachine => ({ apiVersion: 'corral.dev/v1', kind: 'VirtualMachine', metadata: meta(name, metadata), status });
const ready: VirtualMachine['status'] = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True', reason: '', message: '', lastTransitionTime: '' }] };

it('a pool is drawn as warm, starting, failed and claimed machines, and what is free', () => {
  const machines = [
    aVm('taken', {}, { claim: { pool: 'fast', poolUid: 'pool', type: 'Warm', source: {} } }),
    aVm('b', owned, ready),
    aVm('a', owned, { phase: 'Starting' }),
    aVm('broken', owned, { phase: 'Failed' }),
    aVm('stranger', {}, ready),
    aVm('elsewhere', { ...owned, namespace: 'other' }),
  ];
  const { taken, free } = slotsOf(pool(6), machines);
  expect(taken.map(({ name, state }) => `${name} ${state}`)).toEqual(['b warm', 'a starting', 'broken failed', 'taken claimed']);
  expect(free).toBe(2);
});

it('a pool that shrank below what it has shows all it has, and nothing free', () => {
  expect(slotsOf(pool(1), [aVm('a', owned), aVm('b', owned)])).toMatchObject({ taken: [{}, {}], free: 0 });
});
