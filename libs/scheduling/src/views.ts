import { findCondition, MIB, parseBytes, type Node, type VirtualMachine } from '@corral/contracts';
import { chargeOf, type MachineRequest, type NodeView, type Resources } from './machine.ts';

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

/**
 * What the machines bound to each node ask for together. A stopped machine keeps its place: it may be started at any
 * time. Kept up change by change, so that a decision costs the nodes it looks at and not every machine there is.
 */
export class Bookings {
  readonly #machines = new Map<string, { readonly nodeName: string; readonly bytes: number }>();
  readonly #nodes = new Map<string, Resources>();

  /** The machine as it is now; undefined once it is gone. `key` names it for good. */
  update(key: string, vm: VirtualMachine | undefined): void {
    const before = this.#machines.get(key);
    if (before) this.#add(before.nodeName, -before.bytes, -1);
    this.#machines.delete(key);
    const nodeName = vm?.spec?.nodeName;
    if (!vm || nodeName === undefined) return;
    const bytes = chargeOf({ memoryBytes: memoryBytesOf(vm) });
    this.#machines.set(key, { nodeName, bytes });
    this.#add(nodeName, bytes, 1);
  }

  requestedOf(nodeName: string): Resources {
    return this.#nodes.get(nodeName) ?? { memoryBytes: 0, machines: 0 };
  }

  #add(nodeName: string, bytes: number, machines: number): void {
    const sum = this.requestedOf(nodeName);
    const next = { memoryBytes: sum.memoryBytes + bytes, machines: sum.machines + machines };
    if (next.machines === 0) this.#nodes.delete(nodeName);
    else this.#nodes.set(nodeName, next);
  }
}

/** The nodes as decisions see them. */
export function nodeViews(nodes: readonly Node[], bookings: Bookings): NodeView[] {
  return nodes.map((node) => nodeView(node, bookings.requestedOf(node.metadata.name)));
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
