import { findCondition, MIB, parseBytes, type Node, type VirtualMachine } from '@corral/contracts';
import { chargeOf, type MachineRequest, type NodeView } from './machine.ts';

/** What is known of a machine's source when it is placed. */
export interface SourceView {
  readonly imageDigest?: string | undefined;
  readonly v86Build?: string | undefined;
  /** Memory of a machine that names none. */
  readonly memoryMiB?: number | undefined;
}

/** The request a VirtualMachine makes. */
export function machineRequest(vm: VirtualMachine, source: SourceView = {}): MachineRequest {
  return {
    memoryBytes: memoryBytesOf(vm, source.memoryMiB),
    nodeSelector: vm.spec?.nodeSelector ?? {},
    ...(source.imageDigest === undefined ? {} : { imageDigest: source.imageDigest }),
    ...(source.v86Build === undefined ? {} : { v86Build: source.v86Build }),
  };
}

/** The nodes with what the machines bound to them ask for. A stopped machine keeps its place: it may be started at any time. */
export function nodeViews(nodes: readonly Node[], machines: readonly VirtualMachine[]): NodeView[] {
  const requested = new Map<string, { memoryBytes: number; machines: number }>();
  for (const vm of machines) {
    const nodeName = vm.spec?.nodeName;
    if (nodeName === undefined) continue;
    const sum = requested.get(nodeName) ?? { memoryBytes: 0, machines: 0 };
    sum.memoryBytes += chargeOf({ memoryBytes: memoryBytesOf(vm) });
    sum.machines += 1;
    requested.set(nodeName, sum);
  }
  return nodes.map((node) => nodeView(node, requested.get(node.metadata.name) ?? { memoryBytes: 0, machines: 0 }));
}

function nodeView(node: Node, requested: NodeView['requested']): NodeView {
  const { allocatable, corral, conditions } = node.status ?? {};
  return {
    name: node.metadata.name,
    labels: node.metadata.labels ?? {},
    ready: node.metadata.deletionTimestamp === undefined && findCondition(conditions, 'Ready')?.status === 'True',
    cordoned: node.spec?.unschedulable ?? false,
    taints: node.spec?.taints ?? [],
    v86Build: corral?.v86Build ?? '',
    imageDigests: corral?.images ?? [],
    allocatable: {
      memoryBytes: parseBytes(allocatable?.['memory'] ?? '') ?? 0,
      machines: Number(allocatable?.['corral.dev/machines'] ?? Infinity),
    },
    requested,
  };
}

const memoryBytesOf = (vm: VirtualMachine, defaultMiB = 128): number =>
  parseBytes(vm.spec?.memory ?? '') ?? (vm.status?.memoryMiB ?? defaultMiB) * MIB;
