import { assertNever } from '@corral/base';
import { BASE_LOST_EXIT_CODE, SWAP_LOST_EXIT_CODE, toKubeTime, type VmProcessFailure, type VmTermination } from '@corral/contracts';
import {
  ABSENT,
  isLive,
  type LiveMachine,
  type MachinePhase,
  type MachineState,
  panicTermination,
  type Run,
} from './machine-state.ts';

export type MachineEvent =
  | { readonly type: 'PrepareRequested'; readonly at: Date }
  | ({ readonly type: 'PreparationFailed' } & Omit<Extract<MachineState, { phase: 'Unprepared' }>, 'phase'>)
  | ({ readonly type: 'PreparationSucceeded' } & Omit<Extract<MachineState, { phase: 'Prepared' }>, 'phase'>)
  /** What the machine was to go on from cannot be had any more, and nobody waits for it any longer. */
  | { readonly type: 'StateLost'; readonly lost: LostState; readonly incarnation: number; readonly message: string; readonly at: Date }
  | { readonly type: 'StartRequested'; readonly run: Run; readonly at: Date }
  /** The guest runs. */
  | { readonly type: 'Started'; readonly at: Date }
  | { readonly type: 'AgentAnswered'; readonly at: Date }
  | { readonly type: 'AgentSilent' }
  | { readonly type: 'PauseCompleted' }
  | { readonly type: 'ResumeCompleted' }
  | { readonly type: 'GuestPanicked'; readonly message: string; readonly at: Date }
  | { readonly type: 'StopRequested'; readonly graceMs: number; readonly at: Date }
  | { readonly type: 'SuspendRequested'; readonly at: Date }
  | { readonly type: 'HibernateRequested'; readonly at: Date }
  /** It is on the node's disk, whole. */
  | { readonly type: 'HibernateCompleted' }
  /** It could not be kept, and runs on. */
  | { readonly type: 'HibernateFailed' }
  | ({ readonly type: 'Exited'; readonly at: Date } & ProcessExit);

/** What a machine was written out as on its node; or the snapshot that its status said it goes on from. */
export type LostState = Pick<VmTermination, 'snapshot'> & { readonly reason: Extract<VmTermination['reason'], 'SuspendedStateLost' | 'ContinuationLost'> };

/** All that is known of a process's end. */
export interface ProcessExit {
  /** What the process itself gave as the reason. */
  readonly ended?: { readonly reason: VmTermination['reason']; readonly message: string };
  /** Why it refused to start. */
  readonly failure?: { readonly reason: VmProcessFailure; readonly message: string };
  readonly exitCode?: number;
  readonly signal?: string;
}

/** The events each phase accepts. Read top to bottom, this is the lifecycle. */
export const ACCEPTED = {
  Absent: ['PrepareRequested'],
  Preparing: ['PreparationFailed', 'PreparationSucceeded', 'StateLost', 'StopRequested'],
  Unprepared: ['PrepareRequested', 'StopRequested'],
  Prepared: ['StartRequested', 'StopRequested'],
  Starting: ['Started', 'AgentAnswered', 'GuestPanicked', 'StopRequested', 'Exited'],
  Running: [
    'AgentAnswered',
    'AgentSilent',
    'PauseCompleted',
    'GuestPanicked',
    'StopRequested',
    'SuspendRequested',
    'HibernateRequested',
    'Exited',
  ],
  Paused: [
    'AgentAnswered',
    'AgentSilent',
    'ResumeCompleted',
    'GuestPanicked',
    'StopRequested',
    'SuspendRequested',
    'HibernateRequested',
    'Exited',
  ],
  Panicked: ['Exited'],
  Stopping: ['StopRequested', 'Exited'],
  Suspending: ['StopRequested', 'Exited'],
  Hibernating: ['HibernateCompleted', 'HibernateFailed', 'StopRequested', 'Exited'],
  Ended: ['PrepareRequested'],
} as const satisfies Record<MachinePhase, readonly MachineEvent['type'][]>;

export const MACHINE_PHASES = Object.keys(ACCEPTED) as readonly MachinePhase[];

export class IllegalTransition extends Error {
  override readonly name = 'IllegalTransition';
  constructor(from: MachinePhase, event: MachineEvent['type']) {
    super(`${event} is not accepted while ${from}`);
  }
}

export const accepts = (machine: MachineState, type: MachineEvent['type']): boolean =>
  (ACCEPTED[machine.phase] as readonly MachineEvent['type'][]).includes(type);

/** The state after an event, the very same when it tells nothing new; throws IllegalTransition for what the table leaves out. */
export function transition(machine: MachineState, event: MachineEvent): MachineState {
  if (!accepts(machine, event.type)) throw new IllegalTransition(machine.phase, event.type);
  switch (event.type) {
    case 'PrepareRequested':
      return { phase: 'Preparing', since: event.at };
    case 'PreparationFailed': {
      const { reason, message, permanent, retryAt } = event;
      return { phase: 'Unprepared', reason, message, permanent, retryAt };
    }
    case 'PreparationSucceeded': {
      const { type: _type, ...prepared } = event;
      return { phase: 'Prepared', ...prepared };
    }
    case 'StateLost':
      return { phase: 'Ended', termination: { ...event.lost, message: event.message, incarnation: event.incarnation, finishedAt: toKubeTime(event.at) } };
    case 'StartRequested':
      return { phase: 'Starting', run: event.run, since: event.at };
    case 'StopRequested':
      return isLive(machine)
        ? { phase: 'Stopping', run: machine.run, since: event.at, graceMs: event.graceMs }
        : ABSENT;
    default:
      return isLive(machine) ? transitionOfLive(machine, event) : machine;
  }
}

type LiveEvent = Exclude<
  MachineEvent,
  { type: 'PrepareRequested' | 'PreparationFailed' | 'PreparationSucceeded' | 'StateLost' | 'StartRequested' | 'StopRequested' }
>;

function transitionOfLive(machine: LiveMachine, event: LiveEvent): MachineState {
  const { run } = machine;
  const guest = 'guest' in machine ? machine.guest : undefined;
  switch (event.type) {
    case 'Started': {
      if (run.imageParts.guestAgent) return { phase: 'Running', run, guest: { agent: 'Waiting' } };
      return { phase: 'Running', run, guest: { agent: 'None', startMilliseconds: elapsedMs(machine, event.at) } };
    }
    case 'AgentAnswered': {
      if (guest?.agent === 'Answered') return machine;
      const startMilliseconds = guest?.startMilliseconds ?? elapsedMs(machine, event.at);
      return {
        phase: machine.phase === 'Paused' ? 'Paused' : 'Running',
        run,
        guest: { agent: 'Answered', startMilliseconds },
      };
    }
    case 'AgentSilent':
      if (guest?.agent === 'Silent') return machine;
      return { phase: machine.phase === 'Paused' ? 'Paused' : 'Running', run, guest: { ...guest, agent: 'Silent' } };
    case 'PauseCompleted':
      return { phase: 'Paused', run, guest: guest ?? { agent: 'Waiting' } };
    case 'ResumeCompleted':
      return { phase: 'Running', run, guest: guest ?? { agent: run.imageParts.guestAgent ? 'Answered' : 'None' } };
    case 'GuestPanicked':
      return { phase: 'Panicked', run, message: event.message, at: event.at };
    case 'SuspendRequested':
      return { phase: 'Suspending', run, since: event.at };
    case 'HibernateRequested':
      return { phase: 'Hibernating', run, since: event.at, guest: guest ?? { agent: 'Waiting' }, isKept: false };
    case 'HibernateCompleted':
      return machine.phase === 'Hibernating' ? { ...machine, isKept: true } : machine;
    case 'HibernateFailed':
      return { phase: 'Running', run, guest: guest ?? { agent: 'Waiting' } };
    case 'Exited':
      return endOf(machine, event);
    default:
      return assertNever(event, 'machine event');
  }
}

const isKept = (machine: LiveMachine): boolean => machine.phase === 'Hibernating' && machine.isKept;

const elapsedMs = ({ run }: LiveMachine, at: Date): number => Math.max(0, at.getTime() - run.startedAt.getTime());

function endOf(machine: LiveMachine, event: Extract<MachineEvent, { type: 'Exited' }>): MachineState {
  if (machine.phase === 'Panicked') return { phase: 'Ended', termination: panicTermination(machine) };
  const { ended, failure } = event;
  // How a process ends that has nothing left to do says nothing about its machine.
  const { exitCode, signal } = machine.phase === 'Suspending' || isKept(machine) ? {} : event;
  const termination: VmTermination = {
    ...reasonOf(machine, event),
    ...(exitCode === undefined ? {} : { exitCode }),
    ...(signal === undefined ? {} : { signal }),
    incarnation: machine.run.incarnation,
    finishedAt: toKubeTime(event.at),
  };
  return { phase: 'Ended', termination, ...(failure && !ended ? { failure: failure.reason } : {}) };
}

/** An end we asked for is ours whatever the process says; otherwise the process's own word counts before its exit code. */
function reasonOf(
  machine: Exclude<LiveMachine, { phase: 'Panicked' }>,
  { ended, failure, exitCode, signal }: ProcessExit,
): Pick<VmTermination, 'reason' | 'message'> {
  switch (machine.phase) {
    case 'Stopping':
      return {
        reason: 'Stopped',
        message: machine.graceMs === 0 ? 'Stopped at once' : 'Stopped after the guest was asked to shut down',
      };
    case 'Suspending':
      return { reason: 'NodeStopped', message: 'The node agent stopped and suspended the machine' };
    case 'Hibernating':
    case 'Starting':
    case 'Running':
    case 'Paused':
      if (isKept(machine)) return { reason: 'Hibernated', message: 'Written out whole, to go on from there' };
      if (ended) return ended;
      if (exitCode === SWAP_LOST_EXIT_CODE) return { reason: 'SwapLost', message: 'A page of the machine’s memory that was swapped out could not be had again as it was' };
      if (exitCode === BASE_LOST_EXIT_CODE) return { reason: 'BaseLost', message: 'A page of the memory the machine was started from could not be fetched' };
      if (failure?.reason === 'SnapshotCorrupt' && machine.run.startedFrom.type === 'Suspended') return { reason: 'SuspendedStateLost', message: `What it was written out as is damaged: ${failure.message}` };
      if (failure) return { reason: 'StartFailed', message: `${failure.reason}: ${failure.message}` };
      return {
        reason: machine.phase === 'Starting' ? 'StartFailed' : 'ProcessExited',
        message: exitText(exitCode, signal),
      };
    default:
      return assertNever(machine, 'live machine');
  }
}

const exitText = (exitCode: number | undefined, signal: string | undefined): string =>
  signal === undefined
    ? `The VM process exited with code ${exitCode ?? 'unknown'}`
    : `The VM process was ended by ${signal}`;
