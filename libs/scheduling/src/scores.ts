import { chargeOf, type MachineRequest, type NodeView } from './machine.ts';

/** A preference among the nodes that can take a machine. */
export interface ScorePlugin {
  readonly name: string;
  /** 0 (worst) to 100 (best). */
  score(machine: MachineRequest, node: NodeView): number;
}

/** Prefers the node that would have the larger part of its memory left. */
export const leastAllocated: ScorePlugin = {
  name: 'LeastAllocated',
  score: (machine, { allocatable, requested }) =>
    100 * Math.max(0, 1 - (requested.memoryBytes + chargeOf(machine)) / Math.max(1, allocatable.memoryBytes)),
};

/** Prefers nodes that need not download the image. */
export const imageLocality: ScorePlugin = {
  name: 'ImageLocality',
  score: ({ imageDigest }, node) => (imageDigest !== undefined && node.imageDigests.includes(imageDigest) ? 100 : 0),
};

/** Avoids nodes tainted PreferNoSchedule. */
export const taintPreference: ScorePlugin = {
  name: 'TaintPreference',
  score: (_machine, node) => (node.taints.some(({ effect }) => effect === 'PreferNoSchedule') ? 0 : 100),
};
