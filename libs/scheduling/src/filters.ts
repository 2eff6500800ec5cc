import type { ClusterEvent } from './cluster-event.ts';
import { chargeOf, type ClusterView, type MachineRequest, type NodeView } from './machine.ts';
import { matchesAnyTerm } from './node-affinity.ts';
import { CORDON_TAINT, isTolerated } from './taints.ts';
import { domainCounts, skewWith } from './topology-spread.ts';

/** Why this node cannot take the machine, in words that `explain` counts; undefined when it can. */
export type NodeFilter = (node: NodeView) => string | undefined;

/** A rule that a node must satisfy. Rules are pure, and a rejection is a value. */
export interface FilterPlugin {
  readonly name: string;
  /** What must happen before it may decide otherwise; new nodes always count. */
  readonly helpedBy: readonly ClusterEvent[];
  /** Whether it may decide otherwise when machines leave the node. */
  readonly isAboutRoom: boolean;
  /** Whether it looks at the cluster, and not at the node alone. */
  readonly looksAtOthers?: boolean;
  /** The rule for one machine; undefined when it asks nothing of any node. */
  prepare(machine: MachineRequest, cluster: ClusterView): NodeFilter | undefined;
}

export const nodeReady: FilterPlugin = {
  name: 'NodeReady',
  helpedBy: ['NodeReady'],
  isAboutRoom: false,
  prepare: () => (node) => (node.ready ? undefined : 'not ready'),
};

export const unschedulable: FilterPlugin = {
  name: 'Unschedulable',
  helpedBy: ['NodeUncordoned'],
  isAboutRoom: false,
  prepare: ({ tolerations }) => (isTolerated(tolerations, CORDON_TAINT) ? undefined : (node) => (node.cordoned ? 'cordoned' : undefined)),
};

export const taints: FilterPlugin = {
  name: 'Taints',
  helpedBy: ['NodeTaintsChanged'],
  isAboutRoom: false,
  prepare: ({ tolerations }) => (node) => {
    if (node.taints.length === 0) return undefined;
    const taint = node.taints.find((one) => one.effect !== 'PreferNoSchedule' && !isTolerated(tolerations, one));
    return taint && `tainted ${taint.key}`;
  },
};

export const nodeSelector: FilterPlugin = {
  name: 'NodeSelector',
  helpedBy: ['NodeLabelsChanged'],
  isAboutRoom: false,
  prepare(machine) {
    const wanted = Object.entries(machine.nodeSelector);
    if (wanted.length === 0) return undefined;
    return (node) => (wanted.every(([key, value]) => node.labels[key] === value) ? undefined : 'without the selected labels');
  },
};

export const nodeAffinity: FilterPlugin = {
  name: 'NodeAffinity',
  helpedBy: ['NodeLabelsChanged'],
  isAboutRoom: false,
  prepare(machine) {
    const terms = machine.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
    return terms && ((node) => (matchesAnyTerm(terms, node) ? undefined : 'not matching the node affinity'));
  },
};

export const v86Build: FilterPlugin = {
  name: 'V86Build',
  helpedBy: ['NodeBuildChanged'],
  isAboutRoom: false,
  prepare: ({ v86Build: build }) => (build === undefined ? undefined : (node) => (build === node.v86Build ? undefined : 'with another v86 build than the snapshot')),
};

export const swapping: FilterPlugin = {
  name: 'Swapping',
  helpedBy: ['NodeSwaps'],
  isAboutRoom: false,
  prepare: ({ swaps }) => (swaps ? (node) => (node.canSwap ? undefined : 'unable to swap guest memory') : undefined),
};

export const topologySpread: FilterPlugin = {
  name: 'TopologySpread',
  helpedBy: ['NodeLabelsChanged', 'MachineLeft', 'MachineCounted'],
  isAboutRoom: true,
  looksAtOthers: true,
  prepare(machine, cluster) {
    const rules = machine.spreadConstraints.filter(({ whenUnsatisfiable }) => whenUnsatisfiable === 'DoNotSchedule');
    if (rules.length === 0) return undefined;
    const domains = rules.map((rule) => domainCounts(rule, machine, cluster));
    return (node) => {
      for (const domain of domains) {
        const { topologyKey, maxSkew } = domain.constraint;
        const skew = skewWith(domain, node);
        if (skew === undefined) return `without label ${topologyKey}`;
        if (skew > maxSkew) return `spread too unevenly over ${topologyKey}`;
      }
      return undefined;
    };
  },
};

const MAKES_ROOM = ['MachineLeft', 'NodeGrew', 'NominationEnded'] as const;

export const machineCount: FilterPlugin = {
  name: 'MachineCount',
  helpedBy: MAKES_ROOM,
  isAboutRoom: true,
  prepare: (machine) => (node) => (node.requested.machines + heldFor(node, machine).machines + 1 > node.allocatable.machines ? 'too many machines' : undefined),
};

export const memoryFit: FilterPlugin = {
  name: 'MemoryFit',
  helpedBy: MAKES_ROOM,
  isAboutRoom: true,
  prepare(machine) {
    const charge = chargeOf(machine);
    return (node) => (node.requested.memoryBytes + heldFor(node, machine).memoryBytes + charge > node.allocatable.memoryBytes ? 'insufficient memory' : undefined);
  },
};

const NOTHING_HELD = { memoryBytes: 0, machines: 0 };

/** What is kept free there for others that this machine may not overtake. */
function heldFor({ nominated }: NodeView, { key, priority }: MachineRequest): { readonly memoryBytes: number; readonly machines: number } {
  if (nominated.length === 0) return NOTHING_HELD;
  const ahead = nominated.filter((other) => other.key !== key && other.priority >= priority);
  return { memoryBytes: ahead.reduce((sum, { chargedBytes }) => sum + chargedBytes, 0), machines: ahead.length };
}
