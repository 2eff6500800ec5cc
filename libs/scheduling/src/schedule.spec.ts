import fc from 'fast-check';
import { chargeOf, PROCESS_OVERHEAD_BYTES, withMachine, type MachineRequest, type NodeView } from './machine.ts';
import { explain, schedule, SPREAD } from './schedule.ts';

const MIB = 2 ** 20;
const GIB = 2 ** 30;

const aMachine = (with_: Partial<MachineRequest> = {}): MachineRequest => ({ memoryBytes: 128 * MIB, nodeSelector: {}, ...with_ });
const aNode = (name: string, with_: Partial<NodeView> = {}): NodeView => ({
  name,
  labels: {},
  ready: true,
  cordoned: false,
  taints: [],
  v86Build: 'b1',
  imageDigests: [],
  allocatable: { memoryBytes: 4 * GIB, machines: 10 },
  requested: { memoryBytes: 0, machines: 0 },
  ...with_,
});

/** Small domains on purpose: they make ties, exact fits and conflicts common. */
const machines = fc.record(
  {
    memoryBytes: fc.constantFrom(128 * MIB, 256 * MIB, 1024 * MIB),
    nodeSelector: fc.constantFrom<Record<string, string>>({}, { zone: 'a' }, { zone: 'b' }),
    v86Build: fc.constantFrom('b1', 'b2'),
    imageDigest: fc.constantFrom('i1', 'i2'),
  },
  { requiredKeys: ['memoryBytes', 'nodeSelector'] },
);
const nodes: fc.Arbitrary<NodeView[]> = fc.uniqueArray(
  fc.record({
    name: fc.constantFrom('n1', 'n2', 'n3', 'n4'),
    labels: fc.constantFrom<Record<string, string>>({}, { zone: 'a' }, { zone: 'b', disk: 'ssd' }),
    ready: fc.boolean(),
    cordoned: fc.boolean(),
    taints: fc.constantFrom<NodeView['taints']>([], [{ key: 't', effect: 'NoSchedule' }], [{ key: 't', effect: 'PreferNoSchedule' }], [{ key: 't', effect: 'NoExecute' }]),
    v86Build: fc.constantFrom('b1', 'b2'),
    imageDigests: fc.constantFrom([], ['i1'], ['i1', 'i2']),
    // Exact fits of one and two machines are among them.
    allocatable: fc.record({
      memoryBytes: fc.constantFrom(...[0, 1, 2].map((count) => count * (128 * MIB + PROCESS_OVERHEAD_BYTES)), 4 * GIB),
      machines: fc.constantFrom(0, 1, 2, 50),
    }),
    requested: fc.constantFrom({ memoryBytes: 0, machines: 0 }, { memoryBytes: 128 * MIB + PROCESS_OVERHEAD_BYTES, machines: 1 }),
  }),
  { selector: ({ name }) => name },
);

/** The rules once more, said in one expression and independently of the plugins. */
function fits(machine: MachineRequest, node: NodeView): boolean {
  return (
    node.ready &&
    !node.cordoned &&
    node.taints.every(({ effect }) => effect === 'PreferNoSchedule') &&
    Object.keys(machine.nodeSelector).every((key) => node.labels[key] === machine.nodeSelector[key]) &&
    (machine.v86Build === undefined || machine.v86Build === node.v86Build) &&
    node.requested.machines < node.allocatable.machines &&
    node.requested.memoryBytes + machine.memoryBytes + PROCESS_OVERHEAD_BYTES <= node.allocatable.memoryBytes
  );
}

describe('schedule', () => {
  it('places a machine exactly when some node fits, and only on a node that fits', () => {
    fc.assert(
      fc.property(machines, nodes, (machine, all) => {
        const placement = schedule(machine, all);
        const fitting = all.filter((node) => fits(machine, node)).map(({ name }) => name);
        if (placement.outcome === 'Placed') expect(fitting).toContain(placement.nodeName);
        else expect(fitting).toEqual([]);
      }),
      { numRuns: 2000 },
    );
  });

  it('decides the same whatever the order in which it sees the nodes', () => {
    fc.assert(
      fc.property(
        machines,
        nodes.chain((all) => fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length }))),
        (machine, [all, shuffled]) => {
          const [first, second] = [schedule(machine, all), schedule(machine, shuffled)];
          expect(second.outcome).toBe(first.outcome);
          if (first.outcome === 'Placed') expect(second).toEqual(first);
          else if (second.outcome === 'Unschedulable') expect(explain(second.rejections)).toBe(explain(first.rejections));
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('never books more than a node has, however many machines arrive', () => {
    fc.assert(
      fc.property(fc.array(machines, { maxLength: 12 }), nodes, (arriving, start) => {
        const all = new Map(start.map((node) => [node.name, node]));
        const placed = new Map<string, MachineRequest[]>();
        for (const machine of arriving) {
          const placement = schedule(machine, [...all.values()]);
          if (placement.outcome === 'Unschedulable') continue;
          const node = all.get(placement.nodeName)!;
          all.set(node.name, withMachine(node, machine));
          placed.set(node.name, [...(placed.get(node.name) ?? []), machine]);
        }
        for (const { name, requested, allocatable } of start) {
          const here = placed.get(name) ?? [];
          if (here.length === 0) continue;
          expect(requested.machines + here.length).toBeLessThanOrEqual(allocatable.machines);
          const bytes = here.reduce((sum, { memoryBytes }) => sum + memoryBytes + PROCESS_OVERHEAD_BYTES, requested.memoryBytes);
          expect(bytes).toBeLessThanOrEqual(allocatable.memoryBytes);
        }
      }),
    );
  });

  it.each([
    ['memory', { memoryBytes: 3 * chargeOf(aMachine()), machines: 100 }],
    ['count', { memoryBytes: 100 * GIB, machines: 3 }],
  ])('books each machine it places, by %s', (_what, allocatable) => {
    let node = aNode('a', { allocatable });
    for (let placed = 0; placed < 3; placed += 1) {
      expect(schedule(aMachine(), [node]).outcome).toBe('Placed');
      node = withMachine(node, aMachine());
    }
    expect(schedule(aMachine(), [node]).outcome).toBe('Unschedulable');
  });

  it('says why of every node when there is none', () => {
    fc.assert(
      fc.property(machines, nodes, (machine, all) => {
        const placement = schedule(machine, all);
        if (placement.outcome === 'Unschedulable') expect([...placement.rejections.keys()].sort()).toEqual(all.map(({ name }) => name).sort());
      }),
    );
  });

  it.each<[string, Partial<MachineRequest>, NodeView[], string]>([
    ['the emptier node', {}, [aNode('a', { requested: { memoryBytes: GIB, machines: 1 } }), aNode('b')], 'b'],
    ['the node with the larger part of its memory left, not the larger one', {}, [aNode('a', { allocatable: { memoryBytes: 8 * GIB, machines: 9 }, requested: { memoryBytes: 6 * GIB, machines: 1 } }), aNode('b')], 'b'],
    ['the first by name among equals', {}, [aNode('c'), aNode('a'), aNode('b')], 'a'],
    ['the node that holds the image, among equals', { imageDigest: 'i' }, [aNode('a'), aNode('b', { imageDigests: ['i'] })], 'b'],
    ['an empty node over a nearly full one that holds the image', { imageDigest: 'i' }, [aNode('a'), aNode('b', { imageDigests: ['i'], requested: { memoryBytes: 3 * GIB, machines: 5 } })], 'a'],
    ['any other node over one tainted PreferNoSchedule', {}, [aNode('a', { taints: [{ key: 't', effect: 'PreferNoSchedule' }] }), aNode('b', { requested: { memoryBytes: 3 * GIB, machines: 5 } })], 'b'],
    ['a node tainted PreferNoSchedule when it is the only one', {}, [aNode('a', { taints: [{ key: 't', effect: 'PreferNoSchedule' }] })], 'a'],
    ['the node whose emulator took the snapshot', { v86Build: 'b2' }, [aNode('a'), aNode('b', { v86Build: 'b2' })], 'b'],
    ['the node that carries the labels', { nodeSelector: { zone: 'x' } }, [aNode('a'), aNode('b', { labels: { zone: 'x', more: 'y' } })], 'b'],
    ['a node that it fills to the last byte', {}, [aNode('a', { allocatable: { memoryBytes: chargeOf(aMachine()), machines: 1 } })], 'a'],
  ])('prefers %s', (_what, machine, all, expected) => {
    expect(schedule(aMachine(machine), all)).toEqual({ outcome: 'Placed', nodeName: expected });
  });

  it('keeps every score between 0 and 100', () => {
    fc.assert(
      fc.property(machines, nodes, (machine, all) => {
        for (const { plugin } of SPREAD.scores) {
          for (const node of all) {
            const score = plugin.score(machine, node);
            expect(score).toBeGreaterThanOrEqual(0);
            expect(score).toBeLessThanOrEqual(100);
          }
        }
      }),
    );
  });
});

describe('explain', () => {
  const cases: [string, string, NodeView[], Partial<MachineRequest>][] = [
    ['counts per reason, the commonest first', '0/5 nodes: 3 cordoned, 2 insufficient memory',
      [1, 2, 3].map((n) => aNode(`c${n}`, { cordoned: true })).concat([1, 2].map((n) => aNode(`f${n}`, { allocatable: { memoryBytes: 1, machines: 9 } }))), {}],
    ['breaks ties by reason', '0/2 nodes: 1 cordoned, 1 not ready', [aNode('a', { ready: false }), aNode('b', { cordoned: true })], {}],
    ['names a taint', '0/1 nodes: 1 tainted corral.dev/gone', [aNode('a', { taints: [{ key: 'corral.dev/gone', effect: 'NoExecute' }] })], {}],
    ['says when labels are missing', '0/1 nodes: 1 without the selected labels', [aNode('a')], { nodeSelector: { zone: 'x' } }],
    ['says when the emulator differs', '0/1 nodes: 1 with another v86 build than the snapshot', [aNode('a')], { v86Build: 'b9' }],
    ['says when a node has its share of machines', '0/1 nodes: 1 too many machines', [aNode('a', { requested: { memoryBytes: 0, machines: 10 } })], {}],
    ['says that there is no worker', '0/0 nodes: no worker has registered', [], {}],
  ];
  it.each(cases)('%s', (_what, expected, all, machine) => {
    const placement = schedule(aMachine(machine), all);
    expect(placement.outcome === 'Unschedulable' && explain(placement.rejections)).toBe(expected);
  });
});
