import {
  findCondition,
  type Node,
  type VirtualMachine,
  type VirtualMachineImage,
  type VirtualMachineSnapshot,
} from '@corral/contracts';

/** Shape carries the meaning alone; colour only helps. The disc means "running and answering", and nothing else. */
export type StatusShape = 'Disc' | 'Ring' | 'Arc' | 'Triangle' | 'Bars' | 'Crescent' | 'Square' | 'Diamond' | 'Dashed';
export type StatusTone = 'Good' | 'Attention' | 'Motion' | 'Asleep' | 'Off' | 'Bad' | 'Unknown';

export interface DisplayStatus<Says extends string = string> {
  readonly says: Says;
  readonly shape: StatusShape;
  readonly tone: StatusTone;
  /** Why, in the API's own words; empty when there is nothing to explain. */
  readonly reason: string;
  /** Whether a person should look: such rows sort first. */
  readonly needsAttention: boolean;
  /** For Unknown: when its node was last heard. */
  readonly lastSeen?: string;
  /** While backing off: when the next start is due. */
  readonly dueAt?: string;
}

export type MachineSays =
  | 'Running'
  | 'NotReady'
  | 'Pending'
  | 'Starting'
  | 'Pausing'
  | 'Resuming'
  | 'Stopping'
  | 'Terminating'
  | 'Paused'
  | 'Hibernated'
  | 'Stopped'
  | 'Failed'
  | 'Unknown';
export type NodeSays = 'Ready' | 'Cordoned' | 'NotReady' | 'Unknown';
export type SnapshotSays = 'Verified' | 'Taking' | 'Uploading' | 'Failed' | 'Terminating';
export type ImageSays = 'Ready' | 'Baking' | 'Fetching' | 'Failed' | 'Terminating';

/** A start that takes longer than this needs a look: a cold boot takes 8 s. */
const STARTING_DEADLINE_MS = 60_000;
/** A machine that found no room for this long is no longer just waiting its turn. */
const PENDING_DEADLINE_MS = 10_000;

/**
 * What a machine's state is called and drawn as. Precedence: deleting, node silent, Failed, unschedulable, in motion
 * (spec differs from status), power state, not ready, Running. Never from phase alone.
 * `node` is the node it is bound to, or undefined when that is not known here: then silence cannot be told.
 */
export function displayStatus(vm: VirtualMachine, node: Node | undefined, now: Date): DisplayStatus<MachineSays> {
  const { spec, status, metadata } = vm;
  const phase = status?.phase ?? 'Pending';
  const wanted = spec?.powerState ?? 'Running';
  const ready = findCondition(status?.conditions, 'Ready');
  const scheduled = findCondition(status?.conditions, 'Scheduled');
  const waitedMs = now.getTime() - Date.parse(metadata.creationTimestamp);

  if (metadata.deletionTimestamp !== undefined) return moving('Terminating', '');

  const nodeReady = findCondition(node?.status?.conditions, 'Ready');
  if (nodeReady?.status === 'Unknown') {
    return {
      says: 'Unknown',
      shape: 'Dashed',
      tone: 'Unknown',
      reason: '',
      needsAttention: true,
      lastSeen: heartbeatOf(node),
    };
  }

  const panicked = findCondition(status?.conditions, 'GuestPanicked');
  if (phase === 'Failed' || (panicked?.status === 'True' && wanted !== 'Stopped')) {
    const reason =
      panicked?.status === 'True' ? panicked.reason : (status?.lastTermination?.reason ?? ready?.reason ?? '');
    const message =
      panicked?.status === 'True' ? panicked.message : (status?.lastTermination?.message ?? ready?.message ?? '');
    return {
      says: 'Failed',
      shape: 'Diamond',
      tone: 'Bad',
      reason: explain(reason, message),
      needsAttention: true,
      ...(status?.nextStartTime === undefined ? {} : { dueAt: status.nextStartTime }),
    };
  }

  // One that sleeps needs no node.
  if (scheduled?.status === 'False' && wanted !== 'Stopped' && phase !== 'Hibernated') {
    return moving('Pending', scheduled.message || scheduled.reason, waitedMs > PENDING_DEADLINE_MS);
  }

  switch (wanted) {
    case 'Stopped':
      if (phase === 'Stopped' || (status?.incarnation ?? 0) === 0) return still('Stopped', 'Square', 'Off', '');
      return moving('Stopping', '');
    case 'Paused':
      if (phase === 'Paused') return still('Paused', 'Bars', 'Attention', '');
      if (phase === 'Hibernated') return still('Hibernated', 'Crescent', 'Asleep', '');
      if (phase === 'Running') return moving('Pausing', '');
      break;
    case 'Running':
      if (phase === 'Hibernated') return still('Hibernated', 'Crescent', 'Asleep', '');
      if (phase === 'Paused') return moving('Resuming', '');
      if (phase === 'Stopped') return stoppedAlthoughWanted(vm);
      break;
    default:
      return wanted satisfies never;
  }

  if (phase === 'Terminating' || phase === 'Stopping') return moving(phase, '');
  if (phase === 'Pending' || phase === 'Scheduled') {
    return moving('Pending', explain(ready?.reason ?? '', ready?.message ?? ''), waitedMs > STARTING_DEADLINE_MS);
  }
  if (phase !== 'Running') {
    const since = Date.parse(status?.startedAt ?? ready?.lastTransitionTime ?? metadata.creationTimestamp);
    return {
      ...moving(
        'Starting',
        explain(ready?.reason ?? '', ready?.message ?? ''),
        now.getTime() - since > STARTING_DEADLINE_MS,
      ),
      ...(status?.nextStartTime ? { dueAt: status.nextStartTime } : {}),
    };
  }
  if (ready?.status !== 'True') {
    return {
      says: 'NotReady',
      shape: 'Ring',
      tone: 'Attention',
      reason: explain(ready?.reason ?? '', ready?.message ?? ''),
      needsAttention: true,
    };
  }
  return still('Running', 'Disc', 'Good', '');
}

/** It ended by itself: backing off before the next start, just told to start, or staying down by its restart policy. */
function stoppedAlthoughWanted({ status, metadata }: VirtualMachine): DisplayStatus<MachineSays> {
  if (status?.nextStartTime !== undefined) {
    return { ...moving('Starting', status.lastTermination?.reason ?? ''), dueAt: status.nextStartTime };
  }
  if ((status?.observedGeneration ?? 0) < metadata.generation) return moving('Starting', '');
  return still('Stopped', 'Square', 'Off', status?.lastTermination?.reason ?? '');
}

export function nodeStatus(node: Node): DisplayStatus<NodeSays> {
  const ready = findCondition(node.status?.conditions, 'Ready');
  if (ready === undefined || ready.status === 'Unknown') {
    return {
      says: 'Unknown',
      shape: 'Dashed',
      tone: 'Unknown',
      reason: ready?.reason ?? '',
      needsAttention: true,
      lastSeen: heartbeatOf(node),
    };
  }
  if (ready.status === 'False') {
    return {
      says: 'NotReady',
      shape: 'Ring',
      tone: 'Attention',
      reason: explain(ready.reason, ready.message),
      needsAttention: true,
    };
  }
  return node.spec?.unschedulable ? still('Cordoned', 'Bars', 'Attention', '') : still('Ready', 'Disc', 'Good', '');
}

export function snapshotStatus(snapshot: VirtualMachineSnapshot): DisplayStatus<SnapshotSays> {
  const ready = findCondition(snapshot.status?.conditions, 'Ready');
  if (snapshot.metadata.deletionTimestamp !== undefined) return moving('Terminating', '');
  if (ready?.status === 'True') return still('Verified', 'Disc', 'Good', '');
  if (ready?.status === 'False' && snapshot.status?.completedAt !== undefined) {
    return {
      says: 'Failed',
      shape: 'Diamond',
      tone: 'Bad',
      reason: explain(ready?.reason ?? '', ready?.message ?? ''),
      needsAttention: true,
    };
  }
  return snapshot.status?.totalBytes === undefined ? moving('Taking', ready?.reason ?? '') : moving('Uploading', '');
}

export function imageStatus(image: VirtualMachineImage): DisplayStatus<ImageSays> {
  const ready = findCondition(image.status?.conditions, 'Ready');
  const fetched = findCondition(image.status?.conditions, 'Fetched');
  const baked = findCondition(image.status?.conditions, 'Baked');
  if (image.metadata.deletionTimestamp !== undefined) return moving('Terminating', '');
  const failure = [fetched, baked].find(
    (condition) => condition?.status === 'False' && !IMAGE_PROGRESS.has(condition.reason),
  );
  if (failure)
    return {
      says: 'Failed',
      shape: 'Diamond',
      tone: 'Bad',
      reason: explain(failure.reason, failure.message),
      needsAttention: true,
    };
  if (fetched?.status !== 'True') return moving('Fetching', explain(fetched?.reason ?? '', fetched?.message ?? ''));
  if (baked !== undefined && baked.status !== 'True' && image.spec?.guestAgent)
    return moving('Baking', explain(baked.reason, baked.message));
  if (ready?.status === 'True') return still('Ready', 'Disc', 'Good', '');
  return moving('Fetching', explain(ready?.reason ?? '', ready?.message ?? ''));
}

/** Reasons that say "not yet" rather than "no". */
const IMAGE_PROGRESS = new Set(['Fetching', 'Baking']);

function moving<Says extends string>(says: Says, reason: string, overdue = false): DisplayStatus<Says> {
  return overdue
    ? { says, shape: 'Triangle', tone: 'Attention', reason, needsAttention: true }
    : { says, shape: 'Arc', tone: 'Motion', reason, needsAttention: false };
}

function still<Says extends string>(
  says: Says,
  shape: StatusShape,
  tone: StatusTone,
  reason: string,
): DisplayStatus<Says> {
  return { says, shape, tone, reason, needsAttention: false };
}

/** The reason, and what the API adds to it for people. */
function explain(reason: string, message: string): string {
  if (message === '') return reason;
  return reason === '' ? message : `${reason}: ${message}`;
}

function heartbeatOf(node: Node | undefined): string {
  const ready = node?.status?.conditions?.find(({ type }) => type === 'Ready');
  return ready?.lastHeartbeatTime ?? ready?.lastTransitionTime ?? node?.metadata.creationTimestamp ?? '';
}
