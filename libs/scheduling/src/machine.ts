import type { NodeAffinity, Toleration, TopologySpreadConstraint } from '@corral/contracts';

/** What a placement decision needs to know of a machine. */
export interface MachineRequest {
  /** `namespace/name`. */
  readonly key: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /** What its RAM takes of a node: all of it, or its resident budget. */
  readonly memoryBytes: number;
  /** Its RAM is larger than what it is charged for: the node has to swap. */
  readonly swaps?: boolean;
  readonly nodeSelector: Readonly<Record<string, string>>;
  readonly tolerations: readonly Toleration[];
  readonly nodeAffinity?: NodeAffinity;
  readonly spreadConstraints: readonly TopologySpreadConstraint[];
  /** Higher goes first, and may take the place of lower unless it never preempts. */
  readonly priority: number;
  readonly neverPreempts?: boolean;
  /** The image it starts from: nodes that hold it start it sooner. */
  readonly image?: string;
  /** Digest of the snapshot it starts from: nodes that hold it start it soonest. */
  readonly snapshotDigest?: string;
  /** The emulator its snapshot was taken by; device state restores on no other. Absent for machines that boot. */
  readonly v86Build?: string;
  /** The node that holds what it is a fork of: elsewhere it waits for an upload. */
  readonly forkedOn?: string;
}

/** What a placement decision needs to know of a node, at one moment. */
export interface NodeView {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ready: boolean;
  readonly cordoned: boolean;
  readonly taints: readonly Taint[];
  readonly v86Build: string;
  /** Whether it can swap guests' RAM. */
  readonly canSwap?: boolean;
  /** Images whose machines start at once there. */
  readonly images: ReadonlySet<string>;
  /** Digests of the snapshots it holds. */
  readonly snapshots: ReadonlySet<string>;
  readonly allocatable: Resources;
  /** What the machines bound to it ask for together. */
  readonly requested: Resources;
  /** Machines for which room is being made there. */
  readonly nominated: readonly Nomination[];
}

export interface Resources {
  readonly memoryBytes: number;
  readonly machines: number;
}

export interface Taint {
  readonly key: string;
  readonly value?: string | undefined;
  readonly effect: 'NoSchedule' | 'PreferNoSchedule' | 'NoExecute';
}

export interface Nomination {
  readonly key: string;
  readonly priority: number;
  readonly chargedBytes: number;
}

/** A machine that has its place, as decisions about others see it. */
export interface PlacedMachine {
  readonly key: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly nodeName: string;
  readonly chargedBytes: number;
  readonly priority: number;
  /** How it can be made to leave: it has run nothing yet, it can be moved with its state, it leaves already, or not at all. */
  readonly departure: 'Unbind' | 'Move' | 'Leaving' | 'Never';
}

/** Everything a decision is made on. */
export interface ClusterView {
  readonly nodes: readonly NodeView[];
  machinesIn(namespace: string): Iterable<PlacedMachine>;
  machinesOn(nodeName: string): Iterable<PlacedMachine>;
}

/**
 * What a VM process holds beside its guest's RAM: Node.js, the emulator and its compiled code. Measured at 110 MiB for a
 * guest at its prompt; a machine is charged for both. The database knows it too (corral_charge), for its check of every binding.
 */
export const PROCESS_OVERHEAD_BYTES = 112 * 2 ** 20;

/** Bytes a machine takes of its node's memory. */
export const chargeOf = (machine: Pick<MachineRequest, 'memoryBytes'>): number => machine.memoryBytes + PROCESS_OVERHEAD_BYTES;
