/** What a placement decision needs to know of a machine. */
export interface MachineRequest {
  readonly memoryBytes: number;
  readonly nodeSelector: Readonly<Record<string, string>>;
  /** Digest of the image it starts from, when known: nodes that hold it start it sooner. */
  readonly imageDigest?: string;
  /** The emulator its snapshot was taken by; device state restores on no other. Absent for machines that boot. */
  readonly v86Build?: string;
}

/** What a placement decision needs to know of a node, at one moment. */
export interface NodeView {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ready: boolean;
  readonly cordoned: boolean;
  readonly taints: readonly Taint[];
  readonly v86Build: string;
  /** Digests of the images whose artifacts it already holds. */
  readonly imageDigests: readonly string[];
  readonly allocatable: Resources;
  /** What the machines bound to it ask for together. */
  readonly requested: Resources;
}

export interface Resources {
  readonly memoryBytes: number;
  readonly machines: number;
}

export interface Taint {
  readonly key: string;
  readonly effect: 'NoSchedule' | 'PreferNoSchedule' | 'NoExecute';
}

/**
 * What a VM process holds beside its guest's RAM: Node.js, the emulator and its compiled code. Measured at 110 MiB for a
 * guest at its prompt; a machine is charged for both.
 */
export const PROCESS_OVERHEAD_BYTES = 112 * 2 ** 20;

/** The node as it will be once the machine is bound to it. */
export function withMachine(node: NodeView, machine: MachineRequest): NodeView {
  const { memoryBytes, machines } = node.requested;
  return { ...node, requested: { memoryBytes: memoryBytes + chargeOf(machine), machines: machines + 1 } };
}

/** Bytes a machine takes of its node's memory. */
export const chargeOf = (machine: Pick<MachineRequest, 'memoryBytes'>): number => machine.memoryBytes + PROCESS_OVERHEAD_BYTES;
