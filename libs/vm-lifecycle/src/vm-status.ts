import { assertNever } from '@corral/base';
import {
  type ConditionUpdate,
  findCondition,
  toKubeTime,
  type VirtualMachine,
  type VirtualMachineStatus,
  type VmPhase,
  withCondition,
} from '@corral/contracts';
import { HIBERNATED, hibernatedCondition, hibernationOf, toldIdleSince } from './hibernation.ts';
import { isLive, type GuestState } from './machine-state.ts';
import { desiredState, isFailure, isLeaving, nextStart, terminationOf, type World } from './restart.ts';

/** A change of resident bytes smaller than this share is not worth a write that every watch hears. */
const RESIDENT_CHANGE = 0.1;

/** The status this node has to report for its VM. Equal worlds at different times give equal statuses, so that quiet VMs cause no writes. */
export function deriveStatus(world: World & { readonly vm: VirtualMachine }): VirtualMachineStatus {
  const { vm, machine, now, nodeName } = world;
  const previous = vm.status ?? {};
  const { generation } = vm.metadata;
  let conditions = previous.conditions;
  for (const update of conditionsOf(world)) conditions = withCondition(conditions, update, now, generation);

  const kept = keptOf(world, previous);
  const termination = terminationOf(world);
  const start = nextStart(world);
  return {
    ...kept,
    ...(isLive(machine) ? runStatus(world) : {}),
    ...toldHibernation(world),
    ...toldIdleSince(world),
    phase: phaseOf(world),
    nodeName,
    observedGeneration: generation,
    ...(conditions ? { conditions } : {}),
    ...(termination ? { lastTermination: termination } : {}),
    ...(termination && start.type === 'At' ? { nextStartTime: toKubeTime(ceilToSecond(start.at)) } : {}),
  };
}

/** What of the previous status still holds: nothing of an incarnation that a new one has followed. */
function keptOf({ machine }: World, previous: VirtualMachineStatus): VirtualMachineStatus {
  const { nextStartTime: _next, hibernation: _hibernation, idleSince: _idle, continueFrom, ...rest } = previous;
  // Restored once, it has a state of its own again; until then the next try needs to know.
  const isConsumed = isLive(machine) && machine.phase !== 'Starting' && machine.run.incarnation > (continueFrom?.incarnation ?? 0);
  const kept = { ...rest, ...(continueFrom && !isConsumed ? { continueFrom } : {}) };
  if (!isLive(machine) || previous.incarnation === machine.run.incarnation) return kept;
  const { startMilliseconds: _start, residentBytes: _resident, memory: _memory, move: _move, lineage: _lineage, ...lasting } = kept;
  return lasting;
}

function toldHibernation(world: World): Pick<VirtualMachineStatus, 'hibernation'> {
  const hibernation = hibernationOf(world);
  return hibernation ? { hibernation } : {};
}

/** Whether writing `next` over `previous` would change anything. */
export function isSameStatus(previous: VirtualMachineStatus | undefined, next: VirtualMachineStatus): boolean {
  return canonical(previous ?? {}) === canonical(next);
}

/** What of a status belongs to the incarnation that lives. */
function runStatus({ vm, machine, residentBytes, memory, lineage }: World): Partial<VirtualMachineStatus> {
  if (!vm || !isLive(machine)) return {};
  const { run } = machine;
  const previous = vm.status ?? {};
  const isNew = previous.incarnation !== run.incarnation;
  const startMilliseconds = 'guest' in machine ? machine.guest.startMilliseconds : undefined;
  const counted =
    isNew &&
    previous.lastTermination !== undefined &&
    previous.lastTermination.reason !== 'Stopped' &&
    previous.lastTermination.reason !== 'Moved' &&
    previous.lastTermination.reason !== 'RolledBack' &&
    previous.lastTermination.reason !== 'Hibernated' &&
    run.startedFrom.type !== 'Suspended';
  const fresh: VirtualMachineStatus = {
    incarnation: run.incarnation,
    startedFrom: run.startedFrom,
    imageParts: run.imageParts,
    startedAt: toKubeTime(run.startedAt),
    memoryMiB: run.memoryMiB,
    v86Build: run.v86Build,
    ...(run.class === undefined ? {} : { class: run.class }),
    restartCount: (previous.restartCount ?? 0) + (counted ? 1 : 0),
  };
  const resident = worthReporting(isNew ? undefined : previous.residentBytes, residentBytes);
  return {
    ...fresh,
    ...(lineage ? { lineage } : {}),
    ...(startMilliseconds === undefined ? {} : { startMilliseconds }),
    ...(resident === undefined ? {} : { residentBytes: resident }),
    ...(memory === undefined ? {} : { memory }),
  };
}

/** The sampled number when it moved enough to matter, else the one already told. */
export function worthReporting(previous: number | undefined, sampled: number | undefined): number | undefined {
  if (previous === undefined || sampled === undefined) return sampled ?? previous;
  return Math.abs(sampled - previous) > previous * RESIDENT_CHANGE ? sampled : previous;
}

function phaseOf(world: World & { readonly vm: VirtualMachine }): VmPhase {
  const { vm, machine } = world;
  if (vm.metadata.deletionTimestamp !== undefined) return 'Terminating';
  switch (machine.phase) {
    case 'Preparing':
    case 'Prepared':
    case 'Starting':
      return 'Starting';
    case 'Unprepared':
      return machine.permanent ? 'Failed' : 'Starting';
    case 'Running':
    case 'Hibernating':
      return 'Running';
    case 'Paused':
      return 'Paused';
    case 'Panicked':
      return 'Failed';
    case 'Stopping':
    case 'Suspending':
      return 'Stopping';
    case 'Absent':
    case 'Ended': {
      if (isKeptAsleep(world)) return 'Hibernated';
      const termination = terminationOf(world);
      if (!termination) return desiredState(vm) === 'Stopped' ? 'Stopped' : 'Scheduled';
      return isFailure(termination) && !world.suspended && desiredState(vm) !== 'Stopped' ? 'Failed' : 'Stopped';
    }
    default:
      return assertNever(machine, 'machine state');
  }
}

/** Written out whole, on this node, and to stay so. */
const isKeptAsleep = (world: World & { readonly vm: VirtualMachine }): boolean => world.suspended && desiredState(world.vm) === 'Hibernated' && hibernationOf(world) !== undefined;

function conditionsOf(world: World & { readonly vm: VirtualMachine }): ConditionUpdate[] {
  const { vm, machine, nodeName } = world;
  const updates: ConditionUpdate[] = [readyOf(world)];
  if (findCondition(vm.status?.conditions, 'Scheduled')?.status !== 'True') {
    updates.push({ type: 'Scheduled', status: 'True', reason: 'Bound', message: `Bound to ${nodeName}` });
  }
  const hibernated = hibernatedCondition(world, findCondition(vm.status?.conditions, HIBERNATED));
  if (hibernated) updates.push(hibernated);
  const panicked = findCondition(vm.status?.conditions, 'GuestPanicked');
  if (machine.phase === 'Panicked')
    updates.push({ type: 'GuestPanicked', status: 'True', reason: 'KernelPanic', message: machine.message });
  else if (panicked?.status === 'True' && isLive(machine) && machine.run.incarnation !== vm.status?.incarnation) {
    updates.push({ type: 'GuestPanicked', status: 'False', reason: 'StartedAgain' });
  } else if (panicked) updates.push(panicked);
  return updates;
}

function readyOf(world: World & { readonly vm: VirtualMachine }): ConditionUpdate {
  const { vm, machine } = world;
  const notReady = (reason: string, message = ''): ConditionUpdate => ({
    type: 'Ready',
    status: 'False',
    reason,
    message,
  });
  switch (machine.phase) {
    case 'Preparing':
    case 'Prepared':
      return notReady('Preparing', 'Fetching what the start needs');
    case 'Unprepared':
      return notReady(machine.reason, machine.message);
    case 'Starting':
      return notReady('Starting');
    case 'Running':
      return readyOfGuest(machine.guest);
    case 'Paused':
      return isLeaving(vm)
        ? notReady('Moving', 'The machine stands still while it leaves for another node')
        : notReady('Paused', 'The machine stands still');
    case 'Panicked':
      return notReady('GuestPanicked', machine.message);
    case 'Stopping':
      return notReady('Stopping');
    case 'Suspending':
      return notReady('Suspending', 'The node agent stops; the machine continues when it is back');
    case 'Hibernating':
      return notReady('Hibernating', 'Nobody uses it; its memory is written out');
    case 'Absent':
    case 'Ended': {
      if (desiredState(vm) === 'Stopped') return notReady('Stopped');
      if (isKeptAsleep(world)) return notReady('Hibernated', 'It sleeps, and wakes up when somebody uses it');
      if (world.suspended) return notReady('Suspended', 'Continues when the node agent is back');
      const termination = terminationOf(world);
      if (!termination) return notReady('NotStarted');
      const failure = machine.phase === 'Ended' ? machine.failure : undefined;
      const waiting = nextStart(world).type === 'At';
      return notReady(
        failure ?? (waiting ? 'BackOff' : termination.reason),
        `${termination.reason}: ${termination.message}`,
      );
    }
    default:
      return assertNever(machine, 'machine state');
  }
}

function readyOfGuest({ agent }: GuestState): ConditionUpdate {
  switch (agent) {
    case 'None':
      return {
        type: 'Ready',
        status: 'True',
        reason: 'GuestRunning',
        message: 'The image has no guest agent; the emulator runs',
      };
    case 'Answered':
      return { type: 'Ready', status: 'True', reason: 'AgentAnswered' };
    case 'Waiting':
      return {
        type: 'Ready',
        status: 'False',
        reason: 'WaitingForAgent',
        message: 'The guest runs; its agent has not answered yet',
      };
    case 'Silent':
      return {
        type: 'Ready',
        status: 'False',
        reason: 'AgentSilent',
        message: 'The guest agent has stopped answering',
      };
    default:
      return assertNever(agent, 'agent state');
  }
}

/** Times are told in whole seconds: rounding up keeps a promised start from coming early. */
const ceilToSecond = (date: Date): Date => new Date(Math.ceil(date.getTime() / 1000) * 1000);

function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
