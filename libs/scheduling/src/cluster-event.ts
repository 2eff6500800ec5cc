import type { NodeView } from './machine.ts';

/** What can happen that may let a machine be placed that could not be. */
export type ClusterEvent =
  | 'NodeAdded'
  | 'NodeReady'
  | 'NodeUncordoned'
  | 'NodeTaintsChanged'
  | 'NodeLabelsChanged'
  | 'NodeGrew'
  | 'NodeBuildChanged'
  | 'NodeSwaps'
  /** It was removed, or left its node: there is room. */
  | 'MachineLeft'
  /** It got its place, or other labels: what counts machines by label may decide otherwise. */
  | 'MachineCounted'
  | 'NominationEnded'
  /** It can be made to leave now, or no longer: whoever may take its place may decide otherwise. */
  | 'DepartureChanged';

/** What of a change to a node may help anybody. */
export function nodeEvents(before: NodeView | undefined, after: NodeView | undefined): ClusterEvent[] {
  // A node less is a domain less: what is spread over domains may fit again.
  if (!after) return before ? ['NodeLabelsChanged'] : [];
  if (!before) return ['NodeAdded'];
  return [
    ...(after.ready && !before.ready ? ['NodeReady' as const] : []),
    ...(!after.cordoned && before.cordoned ? ['NodeUncordoned' as const] : []),
    ...(isSame(before.taints, after.taints) ? [] : ['NodeTaintsChanged' as const]),
    ...(isSame(before.labels, after.labels) ? [] : ['NodeLabelsChanged' as const]),
    ...(after.allocatable.memoryBytes > before.allocatable.memoryBytes || after.allocatable.machines > before.allocatable.machines ? ['NodeGrew' as const] : []),
    ...(after.canSwap && !before.canSwap ? ['NodeSwaps' as const] : []),
    ...(after.v86Build === before.v86Build ? [] : ['NodeBuildChanged' as const]),
  ];
}

const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
