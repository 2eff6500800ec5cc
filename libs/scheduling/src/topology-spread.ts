import { selectsLabels, type TopologySpreadConstraint } from '@corral/contracts';
import type { ClusterView, MachineRequest, NodeView } from './machine.ts';
import { isSelected } from './node-affinity.ts';

/** How many machines that a constraint selects each domain holds. */
export interface DomainCounts {
  readonly constraint: TopologySpreadConstraint;
  /** Domain → machines there. Domains of nodes the machine could never go to are not among them. */
  readonly counts: ReadonlyMap<string, number>;
  readonly least: number;
  readonly most: number;
  /** Whether the machine itself will be counted. */
  readonly countsItself: boolean;
}

/** Source: k8s.io/kubernetes/pkg/scheduler/framework/plugins/podtopologyspread, with its defaults: affinity honoured, taints ignored. */
export function domainCounts(constraint: TopologySpreadConstraint, machine: MachineRequest, cluster: ClusterView): DomainCounts {
  const { topologyKey, labelSelector } = constraint;
  const counts = new Map<string, number>();
  const domainOf = new Map<string, string>();
  for (const node of cluster.nodes) {
    const domain = node.labels[topologyKey];
    if (domain === undefined || !isSelected(machine.nodeSelector, machine.nodeAffinity, node)) continue;
    counts.set(domain, 0);
    domainOf.set(node.name, domain);
  }
  const isCounted = (labels: Readonly<Record<string, string>>): boolean => labelSelector !== undefined && selectsLabels(labelSelector, labels);
  for (const placed of cluster.machinesIn(machine.namespace)) {
    const domain = domainOf.get(placed.nodeName);
    if (domain === undefined || placed.departure === 'Leaving' || !isCounted(placed.labels)) continue;
    counts.set(domain, (counts.get(domain) ?? 0) + 1);
  }
  let least = Infinity;
  let most = 0;
  for (const count of counts.values()) {
    least = Math.min(least, count);
    most = Math.max(most, count);
  }
  return { constraint, counts, least: least === Infinity ? 0 : least, most, countsItself: isCounted(machine.labels) };
}

/** How far the fullest and the emptiest domain would be apart with the machine on this node; undefined when the node is in no domain. */
export function skewWith({ constraint, counts, least, countsItself }: DomainCounts, node: Pick<NodeView, 'labels'>): number | undefined {
  const domain = node.labels[constraint.topologyKey];
  return domain === undefined ? undefined : (counts.get(domain) ?? 0) + (countsItself ? 1 : 0) - least;
}
