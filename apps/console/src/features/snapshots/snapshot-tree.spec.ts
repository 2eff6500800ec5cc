import type { VirtualMachine, VirtualMachineSnapshot } from '@corral/contracts';
import fc from 'fast-check';
import { layOutTree, neighbourOf } from './snapshot-tree.ts';

const snapshot = (name: string, minute: number, parent = '', isCheckpoint = false): VirtualMachineSnapshot => ({
  apiVersion: 'corral.dev/v1', kind: 'VirtualMachineSnapshot',
  metadata: {
    name, namespace: 'default', uid: name, resourceVersion: '1', generation: 1, creationTimestamp: new Date(Date.UTC(2026, 0, 1, 0, minute)).toISOString(),
    ...(isCheckpoint ? { labels: { 'corral.dev/checkpoint': 'true' } } : {}),
  },
  spec: { virtualMachine: 'demo' },
  status: { parent },
});
const machine = (name: string, lineage: string): VirtualMachine => ({
  apiVersion: 'corral.dev/v1', kind: 'VirtualMachine',
  metadata: { name, namespace: 'default', uid: `vm-${name}`, resourceVersion: '1', generation: 1, creationTimestamp: '2026-01-01T00:00:00Z' },
  status: { lineage: { snapshot: lineage, digest: 'd', layers: [] } },
});
const none = new Set<string>();
const drawn = (tree: ReturnType<typeof layOutTree>) => tree.nodes.map(({ key, column, row }) => [key, column, row]);

describe('The tree of snapshots', () => {
  it('goes from left to right, branches below one another, and what comes before them in their middle', () => {
    const tree = layOutTree([snapshot('a', 1), snapshot('b', 2, 'a'), snapshot('c', 3, 'a'), snapshot('d', 4, 'c'), snapshot('alone', 5)], [], none);
    expect(drawn(tree)).toEqual([['a', 0, 0.5], ['b', 1, 0], ['c', 1, 1], ['d', 2, 1], ['alone', 0, 2]]);
    expect([tree.columns, tree.rows]).toEqual([3, 3]);
  });

  it('has machines where they go on from', () => {
    expect(drawn(layOutTree([snapshot('a', 1)], [machine('demo', 'a'), machine('elsewhere', 'unknown')], none))).toEqual([['a', 0, 0], ['vm-demo', 1, 0]]);
  });

  it('folds checkpoints in a row into one with their number, up to a branch, a machine or a named one; and opens them', () => {
    const all = [snapshot('c1', 1, '', true), snapshot('c2', 2, 'c1', true), snapshot('c3', 3, 'c2', true), snapshot('named', 4, 'c3'), snapshot('c4', 5, 'named', true)];
    const folded = layOutTree(all, [machine('demo', 'c4')], none);
    expect(folded.nodes.map(({ item }) => (item.type === 'Checkpoints' ? item.snapshots.length : item.type))).toEqual([3, 'Snapshot', 'Snapshot', 'Machine']);
    expect(layOutTree(all, [], new Set(['c1'])).nodes.map(({ key }) => key)).toEqual(['c1', 'c2', 'c3', 'named', 'c4']);
  });

  it('is walked with arrows', () => {
    const tree = layOutTree([snapshot('a', 1), snapshot('b', 2, 'a'), snapshot('c', 3, 'a')], [], none);
    const from = (key: string | undefined, arrow: string) => neighbourOf(tree, key, `Arrow${arrow}`)?.key;
    expect([from(undefined, 'Right'), from('a', 'Right'), from('b', 'Down'), from('c', 'Up'), from('c', 'Left'), from('a', 'Left')]).toEqual(['a', 'b', 'c', 'b', 'a', undefined]);
  });

  it('draws everything once, whatever names what as its parent, each node right of its parent and no two in one place', () => {
    const forests = fc.array(fc.record({ parent: fc.integer({ min: -1, max: 15 }), isCheckpoint: fc.boolean(), opened: fc.boolean() }), { minLength: 1, maxLength: 15 });
    fc.assert(
      fc.property(forests, (items) => {
        const all = items.map(({ parent, isCheckpoint }, index) => snapshot(`s${index}`, index, parent < 0 ? '' : `s${parent}`, isCheckpoint));
        const opened = new Set(items.flatMap((item, index) => (item.opened ? [`s${index}`] : [])));
        const { nodes } = layOutTree(all, [machine('demo', 's0')], opened);
        const seen = nodes.flatMap(({ item }) => (item.type === 'Machine' ? [] : item.type === 'Snapshot' ? [item.snapshot] : item.snapshots));
        expect(seen.map(({ metadata }) => metadata.name).sort()).toEqual(all.map(({ metadata }) => metadata.name).sort());
        expect(new Set(nodes.map(({ column, row }) => `${column}/${row}`)).size).toBe(nodes.length);
        for (const node of nodes) if (node.parent !== undefined) expect(nodes.find(({ key }) => key === node.parent)?.column).toBe(node.column - 1);
      }),
    );
  });
});
