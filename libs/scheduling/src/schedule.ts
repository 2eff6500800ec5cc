import type { ClusterEvent } from './cluster-event.ts';
import type { FilterPlugin, NodeFilter } from './filters.ts';
import type { ClusterView, MachineRequest, NodeView } from './machine.ts';
import { SPREAD, type Profile } from './profiles.ts';

export type Placement =
  | { readonly outcome: 'Placed'; readonly nodeName: string }
  | { readonly outcome: 'Unschedulable'; readonly rejections: Rejections };

export interface Rejection {
  readonly plugin: FilterPlugin;
  readonly reason: string;
}
/** Node name → why it cannot take the machine. */
export type Rejections = ReadonlyMap<string, Rejection>;

/** A machine's filters, those that ask nothing left out. */
export interface PreparedFilter {
  readonly plugin: FilterPlugin;
  readonly filter: NodeFilter;
}

export function prepareFilters(machine: MachineRequest, cluster: ClusterView, { filters }: Profile): PreparedFilter[] {
  return filters.flatMap((plugin) => {
    const filter = plugin.prepare(machine, cluster);
    return filter ? [{ plugin, filter }] : [];
  });
}

/**
 * Filters, then scores, over one view of the cluster. Every node is looked at: at a thousand nodes that costs a tenth of
 * a millisecond, so there is nothing to gain from a sample. Ties break by name, so a replay decides the same.
 */
export function schedule(machine: MachineRequest, cluster: ClusterView, profile: Profile = SPREAD): Placement {
  const filters = prepareFilters(machine, cluster, profile);
  const scores = profile.scores.flatMap(({ plugin, weight }) => {
    const score = plugin.prepare(machine, cluster);
    return score ? [{ score, weight }] : [];
  });
  let best: NodeView | undefined;
  let bestScore = -Infinity;
  for (const node of cluster.nodes) {
    if (filters.some(({ filter }) => filter(node) !== undefined)) continue;
    let total = 0;
    for (const { score, weight } of scores) total += weight * score(node);
    if (!best || total > bestScore || (total === bestScore && node.name < best.name)) {
      best = node;
      bestScore = total;
    }
  }
  if (best) return { outcome: 'Placed', nodeName: best.name };
  return { outcome: 'Unschedulable', rejections: new Map(cluster.nodes.map((node) => [node.name, rejectionOf(filters, node)])) };
}

function rejectionOf(filters: readonly PreparedFilter[], node: NodeView): Rejection {
  for (const { plugin, filter } of filters) {
    const reason = filter(node);
    if (reason !== undefined) return { plugin, reason };
  }
  throw new Error(`node ${node.name} was rejected by nothing`);
}

/** What must happen before another try makes sense. */
export function helpfulEvents(rejections: Rejections): ReadonlySet<ClusterEvent> {
  const plugins = new Set([...rejections.values()].map(({ plugin }) => plugin));
  return new Set<ClusterEvent>(['NodeAdded', ...[...plugins].flatMap(({ helpedBy }) => helpedBy)]);
}

/** One line that says why no node would do: `0/5 nodes: 3 cordoned, 2 insufficient memory`. The commonest reason first. */
export function explain(rejections: Rejections): string {
  if (rejections.size === 0) return '0/0 nodes: no worker has registered';
  const counts = new Map<string, number>();
  for (const { reason } of rejections.values()) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  const told = [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)).map(([reason, count]) => `${count} ${reason}`);
  return `0/${rejections.size} nodes: ${told.join(', ')}`;
}
