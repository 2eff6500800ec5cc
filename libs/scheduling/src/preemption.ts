import type { ClusterView, MachineRequest, NodeView, PlacedMachine } from './machine.ts';
import { SPREAD, type Profile } from './profiles.ts';
import { prepareFilters, type Rejections } from './schedule.ts';

/** How many of the machines it covers may be made to leave now. */
export interface DisruptionBudget {
  readonly disruptionsAllowed: number;
  covers(machine: PlacedMachine): boolean;
}

export interface Preemption {
  readonly nodeName: string;
  /** Who must be made to leave; none when enough are leaving already. */
  readonly victims: readonly PlacedMachine[];
}

/** Nodes looked at for victims, at most: the first by name of those that could help. Source: Kubernetes, MinCandidateNodesAbsolute. */
const MAX_CANDIDATES = 100;

/**
 * On which node, and in whose place, a machine that fits nowhere would fit. Victims are always of lower priority, never more
 * than a budget allows, and none of them could stay. Of several nodes the one whose most important victim is the least
 * important, then with the fewest victims, then with the lowest sum of priorities, then the first by name.
 */
export function planPreemption(
  machine: MachineRequest,
  cluster: ClusterView,
  rejections: Rejections,
  budgets: readonly DisruptionBudget[] = [],
  profile: Profile = SPREAD,
): Preemption | undefined {
  if (machine.neverPreempts) return undefined;
  const prepared = prepareFilters(machine, cluster, profile);
  const isAlone = !prepared.some(({ plugin }) => plugin.looksAtOthers);
  // Rules about the node alone are the same whoever leaves; the others are prepared anew for every such world.
  const fits: FitsWithout = (left, gone) =>
    (isAlone ? prepared : prepareFilters(machine, clusterWithout(cluster, left, gone), profile)).every(({ filter }) => filter(left) === undefined);
  let best: Preemption | undefined;
  for (const node of candidates(machine, cluster, rejections)) {
    const victims = victimsOn(node, [...cluster.machinesOn(node.name)].filter((other) => isRemovable(other, machine)), budgets, fits);
    if (victims && (!best || isLess(costOf(victims, node.name), costOf(best.victims, best.nodeName)))) best = { nodeName: node.name, victims };
  }
  return best;
}

/** Nodes that reject the machine only for want of room, and hold somebody who could go. */
function candidates(machine: MachineRequest, cluster: ClusterView, rejections: Rejections): NodeView[] {
  const found = cluster.nodes.filter(({ name }) => {
    if (!rejections.get(name)?.plugin.isAboutRoom) return false;
    for (const other of cluster.machinesOn(name)) if (isRemovable(other, machine)) return true;
    return false;
  });
  return found.sort((a, b) => (a.name < b.name ? -1 : 1)).slice(0, MAX_CANDIDATES);
}

const isRemovable = ({ departure, priority }: PlacedMachine, machine: MachineRequest): boolean =>
  departure === 'Leaving' || (departure !== 'Never' && priority < machine.priority);

/** Whether the machine fits a node as `left` shows it, once those have gone. */
type FitsWithout = (left: NodeView, gone: readonly PlacedMachine[]) => boolean;

/** The victims on one node: everybody who may go, less those who can stay after all, the most important first. */
function victimsOn(node: NodeView, removable: readonly PlacedMachine[], budgets: readonly DisruptionBudget[], fits: FitsWithout): readonly PlacedMachine[] | undefined {
  const leaving = removable.filter(({ departure }) => departure === 'Leaving');
  const going = withinBudgets(removable.filter(({ departure }) => departure !== 'Leaving'), budgets);
  const fitsWithout = (gone: readonly PlacedMachine[]): boolean => fits(nodeWithout(node, gone), gone);
  if (!fitsWithout([...leaving, ...going])) return undefined;
  let victims = going;
  // Of the equally important the small ones first: what is left is then fewer.
  for (const spared of [...going].sort((a, b) => b.priority - a.priority || a.chargedBytes - b.chargedBytes || (a.key < b.key ? -1 : 1))) {
    const fewer = victims.filter((victim) => victim !== spared);
    if (fitsWithout([...leaving, ...fewer])) victims = fewer;
  }
  return victims;
}

/** As many as every budget allows, the least important first. */
function withinBudgets(machines: readonly PlacedMachine[], budgets: readonly DisruptionBudget[]): PlacedMachine[] {
  const left = new Map(budgets.map((budget) => [budget, budget.disruptionsAllowed]));
  return [...machines]
    .sort((a, b) => a.priority - b.priority || b.chargedBytes - a.chargedBytes || (a.key < b.key ? -1 : 1))
    .filter((machine) => {
      const covering = budgets.filter((budget) => budget.covers(machine));
      if (covering.some((budget) => (left.get(budget) ?? 0) < 1)) return false;
      for (const budget of covering) left.set(budget, (left.get(budget) ?? 0) - 1);
      return true;
    });
}

/** The node as it would be once some of its machines have left. */
function nodeWithout(node: NodeView, gone: readonly PlacedMachine[]): NodeView {
  const { memoryBytes, machines } = node.requested;
  return { ...node, requested: { memoryBytes: memoryBytes - gone.reduce((sum, { chargedBytes }) => sum + chargedBytes, 0), machines: machines - gone.length } };
}

function clusterWithout(cluster: ClusterView, left: NodeView, gone: readonly PlacedMachine[]): ClusterView {
  const keys = new Set(gone.map(({ key }) => key));
  const staying = function* (all: Iterable<PlacedMachine>): Generator<PlacedMachine> {
    for (const machine of all) if (!keys.has(machine.key)) yield machine;
  };
  return {
    // Few rules look at other nodes: the list is made for those only.
    get nodes() {
      return cluster.nodes.map((other) => (other.name === left.name ? left : other));
    },
    machinesIn: (namespace) => staying(cluster.machinesIn(namespace)),
    machinesOn: (nodeName) => staying(cluster.machinesOn(nodeName)),
  };
}

type Cost = readonly [highest: number, count: number, sum: number, name: string];

function costOf(victims: readonly PlacedMachine[], nodeName: string): Cost {
  const priorities = victims.map(({ priority }) => priority);
  return [Math.max(-Infinity, ...priorities), victims.length, priorities.reduce((sum, priority) => sum + priority, 0), nodeName];
}

function isLess(a: Cost, b: Cost): boolean {
  for (const [index, value] of a.entries()) {
    const other = b[index];
    if (other !== undefined && value !== other) return value < other;
  }
  return false;
}
