import { chargeOf, type ClusterView, type MachineRequest, type NodeView } from './machine.ts';
import { matchesTerm } from './node-affinity.ts';
import { isTolerated } from './taints.ts';
import { domainCounts, skewWith } from './topology-spread.ts';

/** 0 (worst) to 100 (best). */
export type NodeScore = (node: NodeView) => number;

/** A preference among the nodes that can take a machine. */
export interface ScorePlugin {
  readonly name: string;
  /** The preference of one machine; undefined when all nodes are the same to it. */
  prepare(machine: MachineRequest, cluster: ClusterView): NodeScore | undefined;
}

const partUsed = (machine: MachineRequest): NodeScore => {
  const charge = chargeOf(machine);
  return ({ allocatable, requested }) => Math.min(1, (requested.memoryBytes + charge) / Math.max(1, allocatable.memoryBytes));
};

/** Prefers the node that would have the larger part of its memory left. */
export const leastAllocated: ScorePlugin = {
  name: 'LeastAllocated',
  prepare(machine) {
    const used = partUsed(machine);
    return (node) => 100 * (1 - used(node));
  },
};

/** Prefers the node that would have the smaller part of its memory left, so that others stay empty. */
export const mostAllocated: ScorePlugin = {
  name: 'MostAllocated',
  prepare(machine) {
    const used = partUsed(machine);
    return (node) => 100 * used(node);
  },
};

/** Prefers nodes where what the machine starts from is at hand: a snapshot that need not be downloaded, or at least its image. */
export const locality: ScorePlugin = {
  name: 'Locality',
  prepare({ image, snapshotDigest }) {
    if (image === undefined && snapshotDigest === undefined) return undefined;
    return ({ images, snapshots }) => {
      if (snapshotDigest !== undefined && snapshots.has(snapshotDigest)) return 100;
      return image !== undefined && images.has(image) ? (snapshotDigest === undefined ? 100 : 50) : 0;
    };
  },
};

/** Prefers the node that holds what the machine is a fork of: there it shares its memory, and waits for nothing. */
export const forkLocality: ScorePlugin = {
  name: 'ForkLocality',
  prepare({ forkedOn }) {
    return forkedOn === undefined ? undefined : ({ name }) => (name === forkedOn ? 100 : 0);
  },
};

/** Avoids nodes with PreferNoSchedule taints that the machine does not tolerate; the fewer the better. */
export const taintPreference: ScorePlugin = {
  name: 'TaintPreference',
  prepare: ({ tolerations }) => (node) => {
    if (node.taints.length === 0) return 100;
    return 100 / (1 + node.taints.filter((taint) => taint.effect === 'PreferNoSchedule' && !isTolerated(tolerations, taint)).length);
  },
};

/** Prefers nodes that match preferred terms, by their weights. */
export const affinityPreference: ScorePlugin = {
  name: 'AffinityPreference',
  prepare({ nodeAffinity }) {
    const terms = nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
    const total = terms.reduce((sum, { weight }) => sum + weight, 0);
    if (total === 0) return undefined;
    return (node) => (100 * terms.reduce((sum, { weight, preference }) => sum + (matchesTerm(preference, node) ? weight : 0), 0)) / total;
  },
};

/** Prefers domains that hold fewer of the machines a constraint selects. */
export const spreadPreference: ScorePlugin = {
  name: 'SpreadPreference',
  prepare(machine, cluster) {
    const domains = machine.spreadConstraints
      .filter(({ whenUnsatisfiable }) => whenUnsatisfiable === 'ScheduleAnyway')
      .map((constraint) => domainCounts(constraint, machine, cluster));
    if (domains.length === 0) return undefined;
    return (node) => {
      const scores = domains.map((domain) => {
        const skew = skewWith(domain, node) ?? Infinity;
        const worst = domain.most + 1 - domain.least;
        return 100 * Math.min(1, Math.max(0, 1 - skew / worst));
      });
      return scores.reduce((sum, score) => sum + score, 0) / scores.length;
    };
  },
};
