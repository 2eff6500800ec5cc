import * as filters from './filters.ts';
import type { FilterPlugin } from './filters.ts';
import type { MachineRequest, NodeView } from './machine.ts';
import * as scores from './scores.ts';
import type { ScorePlugin } from './scores.ts';

export interface Profile {
  /** In the order their rejections are told: a node is counted under the first that rejects it. */
  readonly filters: readonly FilterPlugin[];
  readonly scores: readonly { readonly plugin: ScorePlugin; readonly weight: number }[];
}

/** Spreads machines over nodes; an image at hand weighs less than room, so that one warm node does not fill up first. */
export const SPREAD: Profile = {
  filters: [filters.nodeReady, filters.unschedulable, filters.taints, filters.nodeSelector, filters.v86Build, filters.machineCount, filters.memoryFit],
  scores: [
    { plugin: scores.taintPreference, weight: 4 },
    { plugin: scores.leastAllocated, weight: 1 },
    { plugin: scores.imageLocality, weight: 0.25 },
  ],
};

export type Placement =
  | { readonly outcome: 'Placed'; readonly nodeName: string }
  | { readonly outcome: 'Unschedulable'; readonly rejections: Rejections };

/** Node name → why it cannot take the machine. */
export type Rejections = ReadonlyMap<string, string>;

/** Filters, then scores, over one immutable view of the nodes. Ties break by name, so a replay decides the same. */
export function schedule(machine: MachineRequest, nodes: readonly NodeView[], profile: Profile = SPREAD): Placement {
  const rejections = new Map<string, string>();
  let best: { readonly nodeName: string; readonly score: number } | undefined;

  for (const node of nodes) {
    const rejection = rejectionOf(machine, node, profile);
    if (rejection !== undefined) {
      rejections.set(node.name, rejection);
      continue;
    }
    const score = profile.scores.reduce((sum, { plugin, weight }) => sum + weight * plugin.score(machine, node), 0);
    if (!best || score > best.score || (score === best.score && node.name < best.nodeName)) {
      best = { nodeName: node.name, score };
    }
  }
  return best ? { outcome: 'Placed', nodeName: best.nodeName } : { outcome: 'Unschedulable', rejections };
}

function rejectionOf(machine: MachineRequest, node: NodeView, profile: Profile): string | undefined {
  for (const plugin of profile.filters) {
    const rejection = plugin.filter(machine, node);
    if (rejection !== undefined) return rejection;
  }
  return undefined;
}

/** One line that says why no node would do: `0/5 nodes: 3 cordoned, 2 insufficient memory`. The commonest reason first. */
export function explain(rejections: Rejections): string {
  if (rejections.size === 0) return '0/0 nodes: no worker has registered';
  const counts = new Map<string, number>();
  for (const reason of rejections.values()) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  const told = [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)).map(([reason, count]) => `${count} ${reason}`);
  return `0/${rejections.size} nodes: ${told.join(', ')}`;
}
