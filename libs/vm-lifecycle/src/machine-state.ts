import { type ImageParts, toKubeTime, type VirtualMachineStatus, type VmClass, type VmProcessFailure, type VmTermination } from '@corral/contracts';

export type StartedFrom = NonNullable<VirtualMachineStatus['startedFrom']>;

/** Which state a start begins with. */
export type StartOrigin =
  /** The local suspended state. */
  | 'Suspended'
  /** The BIOS, with the disk the machine wrote to. */
  | 'Disk'
  /** What the spec names: a snapshot, or an image's golden snapshot or its boot. */
  | 'Source';

/** Facts of one incarnation that hold until it ends. */
export interface Run {
  readonly incarnation: number;
  readonly startedAt: Date;
  readonly startedFrom: StartedFrom;
  readonly memoryMiB: number;
  readonly v86Build: string;
  readonly class?: VmClass;
  readonly imageParts: ImageParts;
}

/** What the guest agent was last heard to do; None when the image has no agent. */
export type AgentState = 'None' | 'Waiting' | 'Answered' | 'Silent';

/** What is known of a guest that runs or could. */
export interface GuestState {
  readonly agent: AgentState;
  /** Start of the process's work → first answer. */
  readonly startMilliseconds?: number;
}

/** What one VM is doing on this node. Each phase carries only what exists in it. */
export type MachineState =
  /** No process, and nothing under way. */
  | { readonly phase: 'Absent' }
  /** Fetching what the start needs. */
  | { readonly phase: 'Preparing'; readonly since: Date }
  /** What the start needs could not be had. */
  | {
      readonly phase: 'Unprepared';
      readonly reason: string;
      readonly message: string;
      readonly permanent: boolean;
      readonly retryAt: Date;
    }
  /** Everything lies on this node; no process yet, no incarnation yet. */
  | {
      readonly phase: 'Prepared';
      readonly origin: StartOrigin;
      readonly startedFrom: StartedFrom;
      readonly memoryMiB: number;
      readonly v86Build: string;
      readonly class?: VmClass;
      readonly imageParts: ImageParts;
    }
  | { readonly phase: 'Starting'; readonly run: Run; readonly since: Date }
  | { readonly phase: 'Running'; readonly run: Run; readonly guest: GuestState }
  | { readonly phase: 'Paused'; readonly run: Run; readonly guest: GuestState }
  /** The guest's kernel gave up; the process is kept for its screen. */
  | { readonly phase: 'Panicked'; readonly run: Run; readonly message: string; readonly at: Date }
  | { readonly phase: 'Stopping'; readonly run: Run; readonly since: Date; readonly graceMs: number }
  | { readonly phase: 'Suspending'; readonly run: Run; readonly since: Date }
  /** Written out whole because nobody uses it; once it is kept, its process has nothing left to do. */
  | { readonly phase: 'Hibernating'; readonly run: Run; readonly since: Date; readonly guest: GuestState; readonly isKept: boolean }
  /** The process is gone. */
  | { readonly phase: 'Ended'; readonly termination: VmTermination; readonly failure?: VmProcessFailure };

export type MachinePhase = MachineState['phase'];
/** The phases in which a process exists. */
export type LiveMachine = Extract<MachineState, { readonly run: Run }>;

export const isLive = (machine: MachineState): machine is LiveMachine => 'run' in machine;

/** A panic ends the incarnation at once, however long the process is kept for its screen. */
export function panicTermination({ run, message, at }: Extract<MachineState, { phase: 'Panicked' }>): VmTermination {
  return { reason: 'GuestPanicked', message, incarnation: run.incarnation, finishedAt: toKubeTime(at) };
}

export const ABSENT: MachineState = { phase: 'Absent' };
