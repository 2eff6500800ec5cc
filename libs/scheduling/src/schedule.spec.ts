import fc from 'fast-check';
import { type MachineRequest, type NodeView, type PlacedMachine } from './machine.ts';
import { BIN_PACK, SPREAD } from './profiles.ts';
import { explain, helpfulEvents, schedule } from './schedule.ts';
import { aCluster, aMachine, aNode, GIB, machines, MIB, nodes, placed, placedMachines, ROOM } from '../test/worlds.ts';

/** The rules once more, said independently of the plugins. */
function fits(machine: MachineRequest, node: NodeView, all: readonly NodeView[], others: readonly PlacedMachine[]): boolean {
  const tolerated = (taint: NodeView['taints'][number]) =>
    machine.tolerations.some(({ key, effect, operator = 'Equal', value = '' }) => (!key || key === taint.key) && (!effect || effect === taint.effect) && (operator === 'Exists' || value === (taint.value ?? '')));
  const selected = ({ labels }: NodeView) =>
    Object.keys(machine.nodeSelector).every((key) => labels[key] === machine.nodeSelector[key]) &&
    (!machine.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution || labels['zone'] !== 'a');
  const on = (name: string) => others.filter(({ nodeName }) => nodeName === name);
  const inZone = (zone: string | undefined) =>
    all.filter((other) => selected(other) && other.labels['zone'] === zone).flatMap(({ name }) => on(name)).filter(({ namespace, departure }) => namespace === machine.namespace && departure !== 'Leaving').length;
  const evenly = machine.spreadConstraints.every(({ whenUnsatisfiable, maxSkew }) => {
    if (whenUnsatisfiable === 'ScheduleAnyway') return true;
    const zones = all.filter(selected).flatMap(({ labels }) => labels['zone'] ?? []);
    return node.labels['zone'] !== undefined && inZone(node.labels['zone']) + 1 - Math.min(...zones.map(inZone)) <= maxSkew;
  });
  return (
    node.ready &&
    (!node.cordoned || tolerated({ key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' })) &&
    node.taints.every((taint) => taint.effect === 'PreferNoSchedule' || tolerated(taint)) &&
    selected(node) &&
    evenly &&
    (machine.v86Build === undefined || machine.v86Build === node.v86Build) &&
    on(node.name).length < node.allocatable.machines &&
    on(node.name).reduce((sum, { chargedBytes }) => sum + chargedBytes, 0) + machine.memoryBytes + 112 * MIB <= node.allocatable.memoryBytes
  );
}

describe('schedule', () => {
  it('places a machine exactly when some node fits, and only on a node that fits', () => {
    fc.assert(
      fc.property(machines, nodes, placedMachines, (machine, all, others) => {
        for (const profile of [SPREAD, BIN_PACK]) {
          const placement = schedule(machine, aCluster(all, others), profile);
          const fitting = all.filter((node) => fits(machine, node, all, others)).map(({ name }) => name);
          if (placement.outcome === 'Placed') expect(fitting).toContain(placement.nodeName);
          else expect(fitting).toEqual([]);
        }
      }),
      { numRuns: 3000 },
    );
  });

  it('decides the same whatever the order in which it sees nodes and machines', () => {
    const shuffled = <T>(list: readonly T[]) => fc.shuffledSubarray([...list], { minLength: list.length });
    fc.assert(
      fc.property(
        machines,
        fc.tuple(nodes, placedMachines).chain(([all, others]) => fc.tuple(fc.constant(aCluster(all, others)), shuffled(all), shuffled(others))),
        (machine, [cluster, all, others]) => {
          const [first, second] = [schedule(machine, cluster), schedule(machine, aCluster(all, others))];
          expect(second.outcome).toBe(first.outcome);
          if (first.outcome === 'Placed') expect(second).toEqual(first);
          else if (second.outcome === 'Unschedulable') expect(explain(second.rejections)).toBe(explain(first.rejections));
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('says why of every node when there is none', () => {
    fc.assert(
      fc.property(machines, nodes, placedMachines, (machine, all, others) => {
        const placement = schedule(machine, aCluster(all, others));
        if (placement.outcome === 'Unschedulable') expect([...placement.rejections.keys()].sort()).toEqual(all.map(({ name }) => name).sort());
      }),
    );
  });

  it('is worth another try only after an event it names', () => {
    // Whatever makes a node fit that did not: the change must be among the events asked for.
    const changes: [string, Partial<NodeView>, Partial<NodeView>][] = [
      ['NodeReady', { ready: false }, { ready: true }],
      ['NodeUncordoned', { cordoned: true }, { cordoned: false }],
      ['NodeTaintsChanged', { taints: [{ key: 'k', effect: 'NoSchedule' }] }, { taints: [] }],
      ['NodeLabelsChanged', { labels: { zone: 'b' } }, { labels: { zone: 'a' } }],
      ['NodeBuildChanged', { v86Build: 'old' }, { v86Build: 'b1' }],
      ['NodeSwaps', { canSwap: false }, { canSwap: true }],
      ['NodeGrew', { allocatable: { memoryBytes: 1, machines: 1 } }, { allocatable: { memoryBytes: GIB, machines: 1 } }],
      ['MachineLeft', { requested: { memoryBytes: 0, machines: 10 } }, { requested: { memoryBytes: 0, machines: 9 } }],
    ];
    const machine = aMachine({ nodeSelector: { zone: 'a' }, v86Build: 'b1', swaps: true });
    for (const [event, before, after] of changes) {
      const placement = schedule(machine, aCluster([aNode('n', { labels: { zone: 'a' }, canSwap: true, ...before })]));
      expect(schedule(machine, aCluster([aNode('n', { labels: { zone: 'a' }, canSwap: true, ...after })])).outcome).toBe('Placed');
      const events = placement.outcome === 'Unschedulable' ? [...helpfulEvents(placement.rejections)] : [];
      expect(events).toContain(event);
      expect(events).toContain('NodeAdded');
      expect(events.length).toBeLessThan(6);
    }
  });

  const node = aNode;
  const used = (memoryBytes: number, count = 1) => ({ requested: { memoryBytes, machines: count } });
  const preferring = (weight: number, key: string) => ({ weight, preference: { matchExpressions: [{ key, operator: 'Exists' as const }] } });
  it.each<[string, Partial<MachineRequest>, NodeView[], string]>([
    ['the emptier node', {}, [node('a', used(GIB)), node('b')], 'b'],
    ['the node with the larger part of its memory left, not the larger one', {}, [node('a', { allocatable: { memoryBytes: 8 * GIB, machines: 9 }, ...used(6 * GIB) }), node('b')], 'b'],
    ['the first by name among equals', {}, [node('c'), node('a'), node('b')], 'a'],
    ['the node that holds the image, among equals', { image: 'i' }, [node('a'), node('b', { images: new Set(['i']) })], 'b'],
    ['the node that holds the snapshot over one that holds the image', { image: 'i', snapshotDigest: 's' }, [node('a', { images: new Set(['i']) }), node('b', { snapshots: new Set(['s']) })], 'b'],
    ['an empty node over a nearly full one that holds the image', { image: 'i' }, [node('a'), node('b', { images: new Set(['i']), ...used(3 * GIB, 5) })], 'a'],
    ['any other node over one tainted PreferNoSchedule', {}, [node('a', { taints: [{ key: 't', effect: 'PreferNoSchedule' }] }), node('b', used(3 * GIB, 5))], 'b'],
    ['a node tainted PreferNoSchedule when it is the only one', {}, [node('a', { taints: [{ key: 't', effect: 'PreferNoSchedule' }] })], 'a'],
    ['a tolerated PreferNoSchedule like no taint', { tolerations: [{ key: 't', operator: 'Exists' }] }, [node('a', { taints: [{ key: 't', effect: 'PreferNoSchedule' }] }), node('b')], 'a'],
    ['the node whose emulator took the snapshot', { v86Build: 'b2' }, [node('a'), node('b', { v86Build: 'b2' })], 'b'],
    ['the node that carries the labels', { nodeSelector: { zone: 'x' } }, [node('a'), node('b', { labels: { zone: 'x', more: 'y' } })], 'b'],
    ['a node that it fills to the last byte', {}, [node('a', { allocatable: { memoryBytes: ROOM, machines: 1 } })], 'a'],
    ['the heavier of two preferred terms', { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [preferring(1, 'ssd'), preferring(9, 'gpu')] } }, [node('a', { labels: { ssd: '' } }), node('b', { labels: { gpu: '' } })], 'b'],
    ['a preferred node over an emptier one', { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [preferring(1, 'ssd')] } }, [node('a'), node('b', { labels: { ssd: '' }, ...used(2 * GIB) })], 'b'],
  ])('prefers %s', (_what, machine, all, expected) => {
    expect(schedule(aMachine(machine), aCluster(all))).toEqual({ outcome: 'Placed', nodeName: expected });
  });

  it('packs instead of spreading where that is the profile', () => {
    const cluster = aCluster([node('a'), node('b', used(2 * GIB)), node('c', used(GIB))]);
    expect(schedule(aMachine(), cluster, SPREAD)).toMatchObject({ nodeName: 'a' });
    expect(schedule(aMachine(), cluster, BIN_PACK)).toMatchObject({ nodeName: 'b' });
  });

  it('keeps every score between 0 and 100', () => {
    fc.assert(
      fc.property(machines, nodes, placedMachines, (machine, all, others) => {
        const cluster = aCluster(all, others);
        for (const { plugin } of [...SPREAD.scores, ...BIN_PACK.scores]) {
          const score = plugin.prepare(machine, cluster);
          if (!score) continue;
          for (const one of cluster.nodes) {
            expect(score(one)).toBeGreaterThanOrEqual(0);
            expect(score(one)).toBeLessThanOrEqual(100);
          }
        }
      }),
    );
  });
});

describe('topology spread', () => {
  const zones = [aNode('a1', { labels: { zone: 'a' } }), aNode('b1', { labels: { zone: 'b' } }), aNode('x')];
  const evenly = (whenUnsatisfiable: 'DoNotSchedule' | 'ScheduleAnyway', maxSkew = 1) =>
    aMachine({ labels: { app: 'web' }, spreadConstraints: [{ maxSkew, topologyKey: 'zone', whenUnsatisfiable, labelSelector: { matchLabels: { app: 'web' } } }] });
  const web = (key: string, nodeName: string, with_: Partial<PlacedMachine> = {}) => placed(key, nodeName, { labels: { app: 'web' }, chargedBytes: 0, ...with_ });

  it('keeps domains within maxSkew of each other, and off nodes without the label', () => {
    expect(schedule(evenly('DoNotSchedule'), aCluster(zones, [web('1', 'a1')]))).toMatchObject({ nodeName: 'b1' });
    const cordoned = zones.map((node) => ({ ...node, cordoned: node.name === 'b1' }));
    const refused = schedule(evenly('DoNotSchedule'), aCluster(cordoned, [web('1', 'a1')]));
    expect(refused.outcome === 'Unschedulable' && explain(refused.rejections)).toBe('0/3 nodes: 1 cordoned, 1 spread too unevenly over zone, 1 without label zone');
    expect(schedule(evenly('DoNotSchedule', 2), aCluster(cordoned, [web('1', 'a1')]))).toMatchObject({ nodeName: 'a1' });
  });

  it('counts the machines of its namespace that the selector selects and that stay', () => {
    const others = [web('1', 'a1', { namespace: 'other' }), placed('2', 'a1', { labels: { app: 'db' }, chargedBytes: 0 }), web('3', 'a1', { departure: 'Leaving' })];
    expect(schedule(evenly('DoNotSchedule'), aCluster(zones, others))).toMatchObject({ nodeName: 'a1' });
  });

  it('is a preference with ScheduleAnyway', () => {
    expect(schedule(evenly('ScheduleAnyway'), aCluster(zones, [web('1', 'a1')]))).toMatchObject({ nodeName: 'b1' });
    const closed = zones.map((node) => ({ ...node, ready: node.name === 'a1' }));
    expect(schedule(evenly('ScheduleAnyway'), aCluster(closed, [web('1', 'a1')]))).toMatchObject({ nodeName: 'a1' });
  });
});

describe('explain', () => {
  const required = (key: string) => ({ requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions: [{ key, operator: 'Exists' as const }] }] } });
  const cases: [string, string, NodeView[], Partial<MachineRequest>][] = [
    ['counts per reason, the commonest first', '0/5 nodes: 3 cordoned, 2 insufficient memory',
      [1, 2, 3].map((n) => aNode(`c${n}`, { cordoned: true })).concat([1, 2].map((n) => aNode(`f${n}`, { allocatable: { memoryBytes: 1, machines: 9 } }))), {}],
    ['breaks ties by reason', '0/2 nodes: 1 cordoned, 1 not ready', [aNode('a', { ready: false }), aNode('b', { cordoned: true })], {}],
    ['names a taint', '0/1 nodes: 1 tainted corral.dev/gone', [aNode('a', { taints: [{ key: 'corral.dev/gone', effect: 'NoExecute' }] })], {}],
    ['says when labels are missing', '0/1 nodes: 1 without the selected labels', [aNode('a')], { nodeSelector: { zone: 'x' } }],
    ['says when the affinity does not match', '0/1 nodes: 1 not matching the node affinity', [aNode('a')], { nodeAffinity: required('gpu') }],
    ['says when a node cannot swap', '0/1 nodes: 1 unable to swap guest memory', [aNode('a')], { swaps: true }],
    ['says when the emulator differs', '0/1 nodes: 1 with another v86 build than the snapshot', [aNode('a')], { v86Build: 'b9' }],
    ['says when a node has its share of machines', '0/1 nodes: 1 too many machines', [aNode('a', { requested: { memoryBytes: 0, machines: 10 } })], {}],
    ['says that there is no worker', '0/0 nodes: no worker has registered', [], {}],
  ];
  it.each(cases)('%s', (_what, expected, all, machine) => {
    const placement = schedule(aMachine(machine), aCluster(all));
    expect(placement.outcome === 'Unschedulable' && explain(placement.rejections)).toBe(expected);
  });
});
