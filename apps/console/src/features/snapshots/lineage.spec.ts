import type { VirtualMachine, VirtualMachineSnapshot } from '@corral/contracts';
import fc from 'fast-check';
import { kindOf, momentsOf, positionsOf } from './lineage.ts';

const at = (minute: number): string => new Date(Date.UTC(2026, 0, 1, 0, minute)).toISOString();
const snapshot = (name: string, minute: number, { parent = '', labels = {}, ready = 'True' as 'True' | 'False' } = {}): VirtualMachineSnapshot => ({
  apiVersion: 'corral.dev/v1', kind: 'VirtualMachineSnapshot',
  metadata: { name, namespace: 'default', uid: name, resourceVersion: '1', generation: 1, creationTimestamp: at(minute), labels },
  spec: { virtualMachine: 'demo' },
  status: { parent, conditions: [{ type: 'Ready', status: ready, reason: 'Any', message: '', lastTransitionTime: at(minute) }] },
});
const vm = (lineage?: string): VirtualMachine => ({
  apiVersion: 'corral.dev/v1', kind: 'VirtualMachine',
  metadata: { name: 'demo', namespace: 'default', uid: 'u', resourceVersion: '1', generation: 1, creationTimestamp: at(0) },
  status: lineage === undefined ? {} : { lineage: { snapshot: lineage, digest: 'd', layers: [] } },
});

describe('The moments of a machine', () => {
  it('are those that are whole, the oldest first', () => {
    const moments = momentsOf(vm(), [snapshot('late', 3), snapshot('torn', 2, { ready: 'False' }), snapshot('early', 1)]);
    expect(moments.map((moment) => moment.snapshot.metadata.name)).toEqual(['early', 'late']);
  });

  it('of one second are in the order in which they came after each other', () => {
    const all = [snapshot('z', 1), snapshot('m', 1, { parent: 'z' }), snapshot('a', 1, { parent: 'm' })];
    for (const given of [all, all.toReversed()]) expect(momentsOf(vm(), given).map((moment) => moment.snapshot.metadata.name)).toEqual(['z', 'm', 'a']);
  });

  it('say who asked for them', () => {
    expect([snapshot('a', 1), snapshot('b', 1, { labels: { 'corral.dev/checkpoint': 'true' } }), snapshot('c', 1, { labels: { 'corral.dev/move': 'true' } })].map(kindOf)).toEqual(['Named', 'Checkpoint', 'Move']);
  });

  it('that a rollback has left aside are told from those on the way to now', () => {
    const all = [snapshot('a', 1), snapshot('b', 2, { parent: 'a' }), snapshot('left', 3, { parent: 'b' }), snapshot('c', 4, { parent: 'a' })];
    expect(momentsOf(vm('c'), all).filter(({ isOnPath }) => isOnPath).map((moment) => moment.snapshot.metadata.name)).toEqual(['a', 'c']);
    expect(momentsOf(vm(), all).every(({ isOnPath }) => isOnPath)).toBe(true);
  });

  it('lie between the first and now, in their order, each apart from the next', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 10_000 }), { minLength: 1, maxLength: 80 }), (times) => {
        const sorted = times.toSorted((a, b) => a - b);
        const positions = positionsOf(sorted, 10_000, 0.02);
        const gap = Math.min(0.02, 1 / sorted.length);
        for (const [index, position] of positions.entries()) {
          expect(position).toBeGreaterThanOrEqual(-1e-9);
          expect(position).toBeLessThanOrEqual(1);
          if (index > 0) expect(position - (positions[index - 1] ?? 0)).toBeGreaterThanOrEqual(gap - 1e-9);
        }
      }),
    );
  });
});
