import { MIB, parseBytes, type VirtualMachine } from '@corral/contracts';
import type { MachineRequest, PlacedMachine } from './machine.ts';
import { chargeOf } from './machine.ts';

/** What is known of a machine's source when it is placed. */
export interface SourceView {
  readonly image?: string | undefined;
  readonly snapshotDigest?: string | undefined;
  readonly v86Build?: string | undefined;
  /** The node that held the machine it is a fork of. */
  readonly forkedOn?: string | undefined;
  /** Memory of a machine that names none. */
  readonly memoryMiB?: number | undefined;
}

export const keyOf = ({ metadata }: VirtualMachine): string => `${metadata.namespace ?? ''}/${metadata.name}`;

/** The request a VirtualMachine makes. */
export function machineRequest(vm: VirtualMachine, source: SourceView = {}): MachineRequest {
  const { nodeSelector = {}, tolerations = [], affinity, topologySpreadConstraints = [], priority = 0, preemptionPolicy } = vm.spec ?? {};
  const { image, snapshotDigest, v86Build, forkedOn } = source;
  return {
    key: keyOf(vm),
    namespace: vm.metadata.namespace ?? '',
    labels: vm.metadata.labels ?? {},
    memoryBytes: chargedMemoryOf(vm, source.memoryMiB),
    ...(chargedMemoryOf(vm, source.memoryMiB) < memoryBytesOf(vm, source.memoryMiB) ? { swaps: true } : {}),
    nodeSelector,
    tolerations,
    ...(affinity?.nodeAffinity ? { nodeAffinity: affinity.nodeAffinity } : {}),
    spreadConstraints: topologySpreadConstraints,
    priority,
    neverPreempts: preemptionPolicy === 'Never',
    ...(image === undefined ? {} : { image }),
    ...(snapshotDigest === undefined ? {} : { snapshotDigest }),
    ...(v86Build === undefined ? {} : { v86Build }),
    ...(forkedOn === undefined ? {} : { forkedOn }),
  };
}

/** The machine as it counts on its node; undefined while it has none. A stopped machine keeps its place: it may be started at any time. One that hibernates takes no memory, and asks anew when it wakes up. */
export function placedMachine(vm: VirtualMachine): PlacedMachine | undefined {
  const nodeName = vm.spec?.nodeName;
  if (nodeName === undefined) return undefined;
  return {
    key: keyOf(vm),
    namespace: vm.metadata.namespace ?? '',
    labels: vm.metadata.labels ?? {},
    nodeName,
    chargedBytes: vm.status?.phase === 'Hibernated' ? 0 : chargeOf({ memoryBytes: chargedMemoryOf(vm) }),
    priority: vm.spec?.priority ?? 0,
    departure: departureOf(vm),
  };
}

function departureOf({ metadata, spec, status }: VirtualMachine): PlacedMachine['departure'] {
  if (metadata.deletionTimestamp !== undefined || status?.move !== undefined) return 'Leaving';
  if ((status?.incarnation ?? 0) === 0) return 'Unbind';
  // Only what runs can be moved with its state; a stopped machine's disk is where it is.
  const isLive = status?.phase === 'Running' || status?.phase === 'Paused';
  return isLive && spec?.powerState !== 'Stopped' ? 'Move' : 'Never';
}

const memoryBytesOf = (vm: VirtualMachine, defaultMiB = 128): number => parseBytes(vm.spec?.memory ?? '') ?? (vm.status?.memoryMiB ?? defaultMiB) * MIB;

/** A machine's RAM beyond its resident budget is somewhere else. The database knows it too (corral_charge). */
const chargedMemoryOf = (vm: VirtualMachine, defaultMiB?: number): number => Math.min(memoryBytesOf(vm, defaultMiB), parseBytes(vm.spec?.residentMemory ?? '') ?? Infinity);
