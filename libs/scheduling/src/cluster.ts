import { findCondition, parseBytes, type Node, type VirtualMachine } from '@corral/contracts';
import { nodeEvents, type ClusterEvent } from './cluster-event.ts';
import type { ClusterView, MachineRequest, Nomination, NodeView, PlacedMachine, Resources } from './machine.ts';
import { chargeOf } from './machine.ts';
import { keyOf, placedMachine } from './request.ts';

const NOTHING: Resources = { memoryBytes: 0, machines: 0 };

/**
 * Nodes and the machines on them, kept up change by change, so that a decision costs the nodes it looks at and not every
 * machine there is. A machine that was decided on counts from that moment: `assume` it, until its binding is seen or failed.
 */
export class Cluster implements ClusterView {
  /** Nodes as they say of themselves: without what is on them. */
  readonly #nodes = new Map<string, NodeView>();
  readonly #positions = new Map<string, number>();
  #views: NodeView[] = [];
  readonly #told = new Map<string, PlacedMachine>();
  readonly #assumed = new Map<string, PlacedMachine>();
  readonly #machines = new Map<string, PlacedMachine>();
  readonly #byNode = new Map<string, Map<string, PlacedMachine>>();
  readonly #byNamespace = new Map<string, Map<string, PlacedMachine>>();
  readonly #requested = new Map<string, Resources>();
  /** Priority → machines of it. */
  readonly #priorities = new Map<number, number>();
  readonly #nominations = new Map<string, Nomination & { readonly nodeName: string }>();

  get nodes(): readonly NodeView[] {
    return this.#views;
  }

  node(name: string): NodeView | undefined {
    const position = this.#positions.get(name);
    return position === undefined ? undefined : this.#views[position];
  }

  machine(key: string): PlacedMachine | undefined {
    return this.#machines.get(key);
  }

  machinesIn(namespace: string): Iterable<PlacedMachine> {
    return this.#byNamespace.get(namespace)?.values() ?? [];
  }

  machinesOn(nodeName: string): Iterable<PlacedMachine> {
    return this.#byNode.get(nodeName)?.values() ?? [];
  }

  /** The node as it is now, or undefined once it is gone; answers what of the change may help somebody. */
  updateNode(name: string, node: Node | undefined): ClusterEvent[] {
    const before = this.#nodes.get(name);
    const after = node && nodeView(node);
    if (after) this.#nodes.set(name, after);
    else this.#nodes.delete(name);
    if (Boolean(before) === Boolean(after)) this.#refresh(name);
    else this.#rebuild();
    return nodeEvents(before, after);
  }

  /** The machine as it is now, or undefined once it is gone. `key` names it for good. */
  updateMachine(key: string, vm: VirtualMachine | undefined): ClusterEvent[] {
    const told = vm && placedMachine(vm);
    if (told) this.#told.set(key, told);
    else this.#told.delete(key);
    // The binding is seen, or the machine is gone: either way nothing is assumed any more.
    if (told || !vm) this.#assumed.delete(key);
    const ended = vm && !told ? [] : this.nominate(key, undefined);
    return [...this.#book(key), ...ended];
  }

  /** Counts the machine as bound, until `updateMachine` says so or `forget` is called. */
  assume(machine: MachineRequest, nodeName: string): void {
    const { key, namespace, labels, priority } = machine;
    this.#assumed.set(key, { key, namespace, labels, nodeName, chargedBytes: chargeOf(machine), priority, departure: 'Never' });
    this.#book(key);
  }

  /** The binding failed: the machine counts as it was last told. */
  forget(key: string): ClusterEvent[] {
    this.#assumed.delete(key);
    return this.#book(key);
  }

  /** Keeps room for a machine on a node, against those of lower priority; undefined: no longer. */
  nominate(key: string, nomination: { readonly nodeName: string; readonly machine: MachineRequest } | undefined): ClusterEvent[] {
    const before = this.#nominations.get(key);
    if (!before && !nomination) return [];
    if (nomination) {
      const { nodeName, machine } = nomination;
      this.#nominations.set(key, { key, nodeName, priority: machine.priority, chargedBytes: chargeOf(machine) });
    } else {
      this.#nominations.delete(key);
    }
    for (const nodeName of new Set([before?.nodeName, nomination?.nodeName])) if (nodeName !== undefined) this.#refresh(nodeName);
    return before && before.nodeName !== nomination?.nodeName ? ['NominationEnded'] : [];
  }

  nominationOf(key: string): string | undefined {
    return this.#nominations.get(key)?.nodeName;
  }

  /** Whether there is a machine whose place one of this priority might take. */
  hasBelow(priority: number): boolean {
    for (const known of this.#priorities.keys()) if (known < priority) return true;
    return false;
  }

  #book(key: string): ClusterEvent[] {
    const before = this.#machines.get(key);
    const after = this.#told.get(key) ?? this.#assumed.get(key);
    if (before === after || (before && after && isSame(before, after))) return [];
    if (before) this.#remove(before);
    if (after) this.#add(after);
    for (const name of new Set([before?.nodeName, after?.nodeName])) if (name !== undefined) this.#refresh(name);
    const hasLeft = before !== undefined && (before.nodeName !== after?.nodeName || after.chargedBytes < before.chargedBytes);
    const isCounted = after !== undefined && (before?.nodeName !== after.nodeName || (before.departure === 'Leaving') !== (after.departure === 'Leaving') || !isSameLabels(before.labels, after.labels));
    const hasChangedItsMind = before !== undefined && after !== undefined && before.departure !== after.departure;
    return [
      ...(hasLeft ? ['MachineLeft' as const] : []),
      ...(isCounted ? ['MachineCounted' as const] : []),
      ...(hasChangedItsMind ? ['DepartureChanged' as const] : []),
    ];
  }

  #add(machine: PlacedMachine): void {
    this.#machines.set(machine.key, machine);
    this.#priorities.set(machine.priority, (this.#priorities.get(machine.priority) ?? 0) + 1);
    groupOf(this.#byNode, machine.nodeName).set(machine.key, machine);
    groupOf(this.#byNamespace, machine.namespace).set(machine.key, machine);
    const { memoryBytes, machines } = this.#requested.get(machine.nodeName) ?? NOTHING;
    this.#requested.set(machine.nodeName, { memoryBytes: memoryBytes + machine.chargedBytes, machines: machines + 1 });
  }

  #remove(machine: PlacedMachine): void {
    this.#machines.delete(machine.key);
    const alike = (this.#priorities.get(machine.priority) ?? 0) - 1;
    if (alike > 0) this.#priorities.set(machine.priority, alike);
    else this.#priorities.delete(machine.priority);
    leave(this.#byNode, machine.nodeName, machine.key);
    leave(this.#byNamespace, machine.namespace, machine.key);
    const { memoryBytes, machines } = this.#requested.get(machine.nodeName) ?? NOTHING;
    if (machines <= 1) this.#requested.delete(machine.nodeName);
    else this.#requested.set(machine.nodeName, { memoryBytes: memoryBytes - machine.chargedBytes, machines: machines - 1 });
  }

  #refresh(name: string): void {
    const node = this.#nodes.get(name);
    const position = this.#positions.get(name);
    if (node && position !== undefined) this.#views[position] = this.#viewOf(node);
  }

  #rebuild(): void {
    this.#positions.clear();
    this.#views = [...this.#nodes.values()].map((node, position) => {
      this.#positions.set(node.name, position);
      return this.#viewOf(node);
    });
  }

  #viewOf(node: NodeView): NodeView {
    const nominated = this.#nominations.size === 0 ? node.nominated : [...this.#nominations.values()].filter(({ nodeName }) => nodeName === node.name);
    return { ...node, requested: this.#requested.get(node.name) ?? NOTHING, nominated };
  }
}

/** A cluster of these nodes with these machines, for a single decision. */
export function clusterOf(nodes: readonly Node[], machines: readonly VirtualMachine[]): Cluster {
  const cluster = new Cluster();
  for (const vm of machines) cluster.updateMachine(keyOf(vm), vm);
  for (const node of nodes) cluster.updateNode(node.metadata.name, node);
  return cluster;
}

const isSameLabels = (a: PlacedMachine['labels'], b: PlacedMachine['labels']): boolean => a === b || JSON.stringify(a) === JSON.stringify(b);

const isSame = (a: PlacedMachine, b: PlacedMachine): boolean =>
  a.nodeName === b.nodeName && a.chargedBytes === b.chargedBytes && a.priority === b.priority && a.departure === b.departure && isSameLabels(a.labels, b.labels);

function groupOf(groups: Map<string, Map<string, PlacedMachine>>, name: string): Map<string, PlacedMachine> {
  const known = groups.get(name);
  if (known) return known;
  const group = new Map<string, PlacedMachine>();
  groups.set(name, group);
  return group;
}

function leave(groups: Map<string, Map<string, PlacedMachine>>, name: string, key: string): void {
  const group = groups.get(name);
  group?.delete(key);
  if (group?.size === 0) groups.delete(name);
}

/** A node with nothing on it. One that has reported nothing is not ready, and has no memory. */
export function nodeView(node: Node): NodeView {
  const { allocatable, corral, conditions } = node.status ?? {};
  return {
    name: node.metadata.name,
    labels: node.metadata.labels ?? {},
    ready: node.metadata.deletionTimestamp === undefined && findCondition(conditions, 'Ready')?.status === 'True',
    cordoned: node.spec?.unschedulable ?? false,
    taints: node.spec?.taints ?? [],
    v86Build: corral?.v86Build ?? '',
    canSwap: corral?.memoryMode === 'Full',
    images: new Set(corral?.images),
    snapshots: new Set(corral?.snapshots),
    allocatable: {
      memoryBytes: parseBytes(allocatable?.['memory'] ?? '') ?? 0,
      machines: Number(allocatable?.['corral.dev/machines'] ?? Infinity),
    },
    requested: NOTHING,
    nominated: [],
  };
}
