import fc from 'fast-check';
import { type MachineRequest, type NodeView, type PlacedMachine } from './machine.ts';
import { planPreemption, type DisruptionBudget } from './preemption.ts';
import { schedule } from './schedule.ts';
import { aCluster, aMachine, aNode, machines, nodes, placed, placedMachines, ROOM } from '../test/worlds.ts';

function preempt(machine: MachineRequest, all: readonly NodeView[], others: readonly PlacedMachine[], budgets: readonly DisruptionBudget[] = []) {
  const cluster = aCluster(all, others);
  const placement = schedule(machine, cluster);
  return placement.outcome === 'Placed' ? undefined : planPreemption(machine, cluster, placement.rejections, budgets);
}

const room = (name: string, machines: number): NodeView => aNode(name, { allocatable: { memoryBytes: machines * ROOM, machines: 10 } });
const important = aMachine({ key: 'default/important', priority: 10 });

describe('preemption', () => {
  const budgets = fc.array(fc.record({ disruptionsAllowed: fc.integer({ min: 0, max: 2 }), keys: fc.subarray(Array.from({ length: 10 }, (_, index) => `default/p${index}`)) }), { maxLength: 2 });

  it('frees enough, takes only from the less important, keeps every budget, and nobody goes in vain', () => {
    let planned = 0;
    fc.assert(
      fc.property(machines, nodes, placedMachines, budgets, (wish, all, others, limits) => {
        const machine = { ...wish, priority: 8 };
        const held = limits.map(({ disruptionsAllowed, keys }) => ({ disruptionsAllowed, covers: ({ key }: PlacedMachine) => keys.includes(key) }));
        const plan = preempt(machine, all, others, held);
        if (!plan) return;
        planned += 1;
        const { nodeName, victims } = plan;
        const isGone = (other: PlacedMachine) => other.nodeName === nodeName && (other.departure === 'Leaving' || victims.includes(other));
        const goesTo = (gone: (other: PlacedMachine) => boolean) => {
          const placement = schedule(machine, aCluster(all.filter(({ name }) => name === nodeName || true).map((node) => (node.name === nodeName ? node : { ...node, ready: false })), others.filter((other) => !gone(other))));
          return placement.outcome === 'Placed' && placement.nodeName === nodeName;
        };
        expect(goesTo(isGone)).toBe(true);
        for (const victim of victims) {
          expect(victim.nodeName).toBe(nodeName);
          expect(victim.priority).toBeLessThan(machine.priority);
          expect(['Move', 'Unbind']).toContain(victim.departure);
          expect(goesTo((other) => isGone(other) && other !== victim)).toBe(false);
        }
        for (const { disruptionsAllowed, covers } of held) expect(victims.filter(covers).length).toBeLessThanOrEqual(disruptionsAllowed);
      }),
      { numRuns: 5000 },
    );
    expect(planned).toBeGreaterThan(100);
  });

  it('decides the same whatever the order in which it sees nodes and machines', () => {
    const shuffled = <T>(list: readonly T[]) => fc.shuffledSubarray([...list], { minLength: list.length });
    fc.assert(
      fc.property(
        fc.tuple(nodes, placedMachines).chain(([all, others]) => fc.tuple(fc.constant(all), fc.constant(others), shuffled(all), shuffled(others))),
        ([all, others, otherAll, otherOthers]) => {
          const [first, second] = [preempt(important, all, others), preempt(important, otherAll, otherOthers)];
          expect(second?.nodeName).toBe(first?.nodeName);
          expect(second?.victims.map(({ key }) => key).sort()).toEqual(first?.victims.map(({ key }) => key).sort());
        },
      ),
      { numRuns: 1000 },
    );
  });

  it.each<[string, readonly NodeView[], readonly PlacedMachine[], MachineRequest, { nodeName: string; victims: string[] } | undefined]>([
    ['takes the place of the least important', [room('a', 1), room('b', 1)], [placed('x', 'a', { priority: 5 }), placed('y', 'b', { priority: 1 })], important, { nodeName: 'b', victims: ['y'] }],
    ['takes one rather than two of the same importance', [room('a', 2), room('b', 2)], [placed('x', 'a'), placed('y', 'a'), placed('z', 'b', { chargedBytes: 2 * ROOM })], { ...important, memoryBytes: ROOM + important.memoryBytes }, { nodeName: 'b', victims: ['z'] }],
    ['takes the first by name among equals', [room('b', 1), room('a', 1)], [placed('x', 'a'), placed('y', 'b')], important, { nodeName: 'a', victims: ['x'] }],
    ['takes nobody’s place who is as important', [room('a', 1)], [placed('x', 'a', { priority: 10 })], important, undefined],
    ['takes nobody’s place who cannot leave with what it holds', [room('a', 1)], [placed('x', 'a', { departure: 'Never' })], important, undefined],
    ['waits for who leaves already', [room('a', 1), room('b', 1)], [placed('x', 'a', { priority: -9 }), placed('y', 'b', { departure: 'Leaving', priority: 99 })], important, { nodeName: 'b', victims: [] }],
    ['looks away from nodes where room is not the trouble', [{ ...room('a', 1), cordoned: true }, room('b', 1)], [placed('x', 'a'), placed('y', 'b', { priority: 9 })], important, { nodeName: 'b', victims: ['y'] }],
    ['does nothing for a machine that never preempts', [room('a', 1)], [placed('x', 'a')], { ...important, neverPreempts: true }, undefined],
    ['leaves the node where it could be anyway to those who do not stand in the way', [room('a', 3)], [placed('x', 'a', { priority: 1 }), placed('y', 'a', { priority: 2 }), placed('z', 'a', { priority: 3 })], important, { nodeName: 'a', victims: ['x'] }],
  ])('%s', (_what, all, others, machine, expected) => {
    const plan = preempt(machine, all, others);
    expect(plan && { nodeName: plan.nodeName, victims: plan.victims.map(({ key }) => key) }).toEqual(expected);
  });

  it('leaves alone whom a budget covers that allows no disruption', () => {
    const [all, others] = [[room('a', 1), room('b', 1)], [placed('x', 'a', { priority: 1 }), placed('y', 'b', { priority: 5 })]];
    const budget = { disruptionsAllowed: 0, covers: ({ key }: PlacedMachine) => key === 'x' };
    expect(preempt(important, all, others, [budget])).toMatchObject({ nodeName: 'b' });
    expect(preempt(important, all, others, [{ ...budget, covers: () => true }])).toBeUndefined();
  });
});
