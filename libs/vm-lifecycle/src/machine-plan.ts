import { assertNever } from '@corral/base';
import { type VirtualMachine, type VirtualMachineStatus } from '@corral/contracts';
import { fallAsleep, hibernationDueAt } from './hibernation.ts';
import { isLive, type LiveMachine, type MachineState, type StartOrigin } from './machine-state.ts';
import { desiredState, isGivenUp, nextStart, originOf, type World } from './restart.ts';
import { deriveStatus, isSameStatus } from './vm-status.ts';

/** Held by the node from the first claim until the process and its folder are gone. */
export const MACHINE_FINALIZER = 'corral.dev/machine';

/** How long a guest that was asked to shut down may take. */
export const STOP_GRACE_MS = 30_000;
/** How much longer than its grace a stop may take before the process is killed. */
export const STOP_MARGIN_MS = 5_000;
/** How long a restore or the emulator's start may take; booting the guest is not part of it. */
export const START_DEADLINE_MS = 60_000;
/** A preparation shorter than this is not worth telling. */
export const QUIET_PREPARATION_MS = 500;
/** One that falls asleep as fast as this is told of once: as asleep. */
export const QUIET_HIBERNATION_MS = 2_000;
/** A restored guest whose agent answers this soon after the start is told of once: as Ready. */
export const QUIET_RESTORE_MS = 1_000;

export type MachineAction =
  /** Put the finalizer on. */
  | { readonly type: 'Claim' }
  /** Fetch what the start needs. */
  | { readonly type: 'Prepare'; readonly origin: StartOrigin }
  /** Raise the incarnation by compare-and-set, then start a process for it. */
  | { readonly type: 'Start'; readonly incarnation: number }
  | { readonly type: 'Pause' }
  | { readonly type: 'Resume' }
  /** Ask the guest to shut down, stop for good after graceMs; also drops a preparation. */
  | { readonly type: 'Stop'; readonly graceMs: number }
  /** End the process without asking it. */
  | { readonly type: 'Kill' }
  | { readonly type: 'Suspend' }
  /** Write it out whole and end its process; with `ifIdle`, unless somebody needs it now. */
  | { readonly type: 'Hibernate'; readonly requestedAt: string; readonly ifIdle: boolean }
  | { readonly type: 'DiscardSuspended' }
  /** Write this status by compare-and-set. */
  | { readonly type: 'Report'; readonly status: VirtualMachineStatus }
  /** Remove the machine's folder, then the finalizer. */
  | { readonly type: 'Release' }
  /** Remove the machine's folder and everything known of it. */
  | { readonly type: 'Forget' }
  | { readonly type: 'WaitUntil'; readonly at: Date }
  | { readonly type: 'Nothing' };

const NOTHING: MachineAction = { type: 'Nothing' };
const STOP_NOW: MachineAction = { type: 'Stop', graceMs: 0 };
const KILL: MachineAction = { type: 'Kill' };

/** The next step that brings the machine closer to what its object says; Nothing when they agree. */
export function planMachine(world: World): MachineAction {
  const { vm, machine } = world;
  if (!vm) return isLive(machine) ? endForeign(machine) : isUnderWay(machine) ? STOP_NOW : { type: 'Forget' };
  if (isLive(machine) && isGivenUp(vm, machine.run.incarnation)) return endForeign(machine);

  const deleted = vm.metadata.deletionTimestamp !== undefined;
  const claimed = vm.metadata.finalizers?.includes(MACHINE_FINALIZER) ?? false;
  if (deleted && !isLive(machine))
    return isUnderWay(machine) ? STOP_NOW : claimed ? { type: 'Release' } : { type: 'Forget' };
  if (!deleted && !claimed) return { type: 'Claim' };

  const action = isLive(machine) ? planLive(world, vm, machine) : planAbsent(world, vm);
  if (action.type !== 'Nothing' && action.type !== 'WaitUntil') return action;
  // While a preparation is young the previous status stands, so that a start from the cache costs no write.
  if (machine.phase === 'Preparing' && action.type === 'WaitUntil') return action;
  const status = deriveStatus({ ...world, vm });
  if (isSameStatus(vm.status, status)) return action;
  // A write under way would only delay the one that somebody waits for.
  const tellAt = quietUntil(machine);
  return action.type === 'Nothing' && tellAt && world.now < tellAt ? { type: 'WaitUntil', at: tellAt } : { type: 'Report', status };
}

const isUnderWay = ({ phase }: MachineState): boolean =>
  phase === 'Preparing' || phase === 'Prepared' || phase === 'Unprepared';

/** While a restored guest's agent has yet to answer, or a machine falls asleep: when that is told at the latest. */
function quietUntil(machine: MachineState): Date | undefined {
  if (machine.phase === 'Hibernating') return new Date(machine.since.getTime() + QUIET_HIBERNATION_MS);
  const isAwaited = machine.phase === 'Running' && machine.guest.agent === 'Waiting' && machine.run.startedFrom.type !== 'Boot';
  return isAwaited ? new Date(machine.run.startedAt.getTime() + QUIET_RESTORE_MS) : undefined;
}

/** What a machine without a process does next. */
function planAbsent(world: World, vm: VirtualMachine): MachineAction {
  const { machine, now, suspended, nodeStopping } = world;
  if (isUnderWay(machine) && (nodeStopping || desiredState(vm) === 'Stopped')) return STOP_NOW;
  if (suspended && desiredState(vm) === 'Stopped') return { type: 'DiscardSuspended' };
  // What was fetched is of another snapshot than the one it was told to go on from meanwhile.
  if (machine.phase === 'Prepared' && isOutdated(vm, machine)) return STOP_NOW;
  if (machine.phase === 'Prepared') return { type: 'Start', incarnation: (vm.status?.incarnation ?? 0) + 1 };
  if (machine.phase === 'Preparing') {
    const tellAt = new Date(machine.since.getTime() + QUIET_PREPARATION_MS);
    return now.getTime() < tellAt.getTime() ? { type: 'WaitUntil', at: tellAt } : NOTHING;
  }
  if (machine.phase === 'Unprepared') {
    // That it starts was decided before; only what it needs was missing.
    return now.getTime() < machine.retryAt.getTime()
      ? { type: 'WaitUntil', at: machine.retryAt }
      : { type: 'Prepare', origin: originOf(world) };
  }

  const start = nextStart(world);
  if (start.type === 'At') return { type: 'WaitUntil', at: start.at };
  if (start.type === 'No') return NOTHING;
  // What ended must be told before the next incarnation covers it.
  const status = deriveStatus({ ...world, vm });
  const unreported = status.lastTermination?.incarnation !== vm.status?.lastTermination?.incarnation;
  return unreported ? { type: 'Report', status } : { type: 'Prepare', origin: start.origin };
}

const isOutdated = ({ status }: VirtualMachine, { startedFrom }: Extract<MachineState, { phase: 'Prepared' }>): boolean =>
  status?.continueFrom?.reason === 'RolledBack' && (startedFrom.type !== 'Snapshot' || startedFrom.name !== status.continueFrom.snapshot);

/** What a machine with a process does next. */
function planLive(world: World, vm: VirtualMachine, machine: LiveMachine): MachineAction {
  const { now, nodeStopping } = world;
  const desired = desiredState(vm);
  const deleted = vm.metadata.deletionTimestamp !== undefined;
  switch (machine.phase) {
    case 'Starting': {
      if (deleted || desired === 'Stopped') return STOP_NOW;
      return waitOrKill(now, machine.since, START_DEADLINE_MS);
    }
    case 'Stopping':
      if (deleted && machine.graceMs > 0) return STOP_NOW;
      return waitOrKill(now, machine.since, machine.graceMs + STOP_MARGIN_MS);
    case 'Suspending':
    case 'Hibernating':
      return deleted ? STOP_NOW : NOTHING;
    case 'Panicked': {
      if (nodeStopping || desired === 'Stopped') return KILL;
      const start = nextStart(world);
      if (start.type === 'At') return { type: 'WaitUntil', at: start.at };
      return start.type === 'Now' && isPanicReported(vm, machine) ? KILL : NOTHING;
    }
    case 'Running':
      if (deleted) return STOP_NOW;
      if (nodeStopping) return { type: 'Suspend' };
      if (desired === 'Stopped') return { type: 'Stop', graceMs: machine.guest.agent === 'None' ? 0 : STOP_GRACE_MS };
      if (desired === 'Hibernated') return planSleep(world, vm);
      return desired === 'Paused' ? { type: 'Pause' } : planIdle(world, vm, machine);
    case 'Paused':
      if (deleted) return STOP_NOW;
      if (nodeStopping) return { type: 'Suspend' };
      if (desired === 'Hibernated') return planSleep(world, vm);
      // A guest that stands still cannot shut down: let it run, then ask it.
      return desired === 'Paused' ? NOTHING : { type: 'Resume' };
    default:
      return assertNever(machine, 'live machine');
  }
}

/** One that could not be kept is told of as running on; whoever asked may ask again. */
function planSleep({ hibernationRefusal }: World, { status }: VirtualMachine): MachineAction {
  const hibernation = status?.hibernation;
  if (!hibernation || hibernationRefusal?.requestedAt === hibernation.requestedAt) return NOTHING;
  return { type: 'Hibernate', requestedAt: hibernation.requestedAt, ifIdle: hibernation.reason === 'Idle' };
}

/** Nobody uses it: once that has lasted, it is written down that it sleeps, and then it does. */
function planIdle(world: World, vm: VirtualMachine, machine: LiveMachine): MachineAction {
  const at = hibernationDueAt(world);
  if (!at) return NOTHING;
  if (world.now.getTime() < at.getTime()) return { type: 'WaitUntil', at };
  return { type: 'Report', status: { ...deriveStatus({ ...world, vm }), hibernation: fallAsleep(machine.run.incarnation, world.now) } };
}

const isPanicReported = ({ status }: VirtualMachine, { run }: LiveMachine): boolean =>
  status?.lastTermination?.incarnation === run.incarnation;

/** What is not ours any more may live elsewhere: it ends without a word to its guest. A start that is still to get its process is called off. */
const endForeign = ({ phase }: LiveMachine): MachineAction => (phase === 'Starting' ? STOP_NOW : KILL);

function waitOrKill(now: Date, since: Date, deadlineMs: number): MachineAction {
  const at = new Date(since.getTime() + deadlineMs);
  return now.getTime() < at.getTime() ? { type: 'WaitUntil', at } : KILL;
}
