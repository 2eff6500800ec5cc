import { chargeOf, type MachineRequest, type NodeView } from './machine.ts';

/** A rule that a node must satisfy. Rules are pure, and a rejection is a value. */
export interface FilterPlugin {
  readonly name: string;
  /** Why this node cannot take the machine, in words that `explain` counts; undefined when it can. */
  filter(machine: MachineRequest, node: NodeView): string | undefined;
}

export const nodeReady: FilterPlugin = {
  name: 'NodeReady',
  filter: (_machine, node) => (node.ready ? undefined : 'not ready'),
};

export const unschedulable: FilterPlugin = {
  name: 'Unschedulable',
  filter: (_machine, node) => (node.cordoned ? 'cordoned' : undefined),
};

export const taints: FilterPlugin = {
  name: 'Taints',
  filter(_machine, node) {
    const taint = node.taints.find(({ effect }) => effect !== 'PreferNoSchedule');
    return taint && `tainted ${taint.key}`;
  },
};

export const nodeSelector: FilterPlugin = {
  name: 'NodeSelector',
  filter: (machine, node) =>
    Object.entries(machine.nodeSelector).every(([key, value]) => node.labels[key] === value) ? undefined : 'without the selected labels',
};

export const v86Build: FilterPlugin = {
  name: 'V86Build',
  filter: (machine, node) =>
    machine.v86Build === undefined || machine.v86Build === node.v86Build ? undefined : 'with another v86 build than the snapshot',
};

export const machineCount: FilterPlugin = {
  name: 'MachineCount',
  filter: (_machine, { requested, allocatable }) => (requested.machines + 1 > allocatable.machines ? 'too many machines' : undefined),
};

export const memoryFit: FilterPlugin = {
  name: 'MemoryFit',
  filter: (machine, { requested, allocatable }) =>
    requested.memoryBytes + chargeOf(machine) > allocatable.memoryBytes ? 'insufficient memory' : undefined,
};
