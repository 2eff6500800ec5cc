import { apiVersionOf, MACHINE_CONTAINER, nodeMetrics, podMetrics, toKubeTime, type KindDefinition, type Node, type NodeMetrics, type NodeUsage, type PodMetrics, type VirtualMachine } from '@corral/contracts';

type Usage = NonNullable<NodeUsage['node']>;

const NANOCORES = 1e9;
const KIB = 1024;

/** Quantities as metrics-server writes them: nanocores, and KiB. */
const quantities = ({ cpuCores, memoryBytes }: Usage): { cpu: string; memory: string } => ({
  cpu: `${Math.round(cpuCores * NANOCORES)}n`,
  memory: `${Math.ceil(memoryBytes / KIB)}Ki`,
});

function head(kind: KindDefinition, { metadata }: Node | VirtualMachine, measuredAt: string, { windowSeconds }: Usage) {
  const { name, namespace, uid, labels } = metadata;
  return {
    apiVersion: apiVersionOf(kind),
    kind: kind.kind,
    metadata: { name, ...(namespace ? { namespace } : {}), uid, resourceVersion: '', generation: 1, creationTimestamp: measuredAt, ...(labels ? { labels } : {}) },
    timestamp: measuredAt,
    window: `${windowSeconds.toFixed(3)}s`,
  };
}

/** Undefined while the node was not watched for long enough. */
export function nodeMetricsOf(node: Node, { measuredAt, node: usage }: NodeUsage): NodeMetrics | undefined {
  return usage && { ...head(nodeMetrics, node, toKubeTime(new Date(measuredAt)), usage), usage: quantities(usage) };
}

/** Undefined when the node says nothing of the machine, or of another that had its name. */
export function podMetricsOf(machine: VirtualMachine, { measuredAt, machines }: NodeUsage): PodMetrics | undefined {
  const found = machines.find(({ uid }) => uid === machine.metadata.uid);
  return found && { ...head(podMetrics, machine, toKubeTime(new Date(measuredAt)), found.usage), containers: [{ name: MACHINE_CONTAINER, usage: quantities(found.usage) }] };
}
