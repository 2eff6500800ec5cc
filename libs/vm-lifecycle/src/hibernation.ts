import { poolOwnerOf, toKubeTime, type ConditionUpdate, type VirtualMachine, type VirtualMachineStatus, type VmHibernation } from '@corral/contracts';
import { isLive } from './machine-state.ts';
import type { World } from './restart.ts';

/** True while the machine sleeps; False, with the reason, when it last woke up or could not fall asleep. */
export const HIBERNATED = 'Hibernated';

/** What could not be kept once is tried again no sooner, when nobody asks. */
export const HIBERNATION_RETRY_MS = 5 * 60_000;

/** Why a machine did not fall asleep although it was to. */
export interface HibernationRefusal {
  /** Of the hibernation that came to nothing. */
  readonly requestedAt: string;
  /** Somebody needed it; or its memory could not be kept. */
  readonly reason: 'Busy' | 'Failed';
  readonly message: string;
  readonly at: Date;
}

/** Whether it is to sleep now. A move comes first: it needs the machine there. */
export const isToSleep = ({ status }: VirtualMachine): boolean => status?.hibernation !== undefined && status.hibernation.wakeRequestedAt === undefined;

/** Whether its memory lies on a disk and nothing of it in a node's memory. */
export const isAsleep = ({ status }: VirtualMachine): boolean => status?.phase === 'Hibernated';

/** Whether it was written out, is being, or wakes up: whoever needs it can have it, a little later. */
export const isDormant = ({ metadata, status }: VirtualMachine): boolean => status?.hibernation !== undefined && metadata.deletionTimestamp === undefined;

/** When a machine that nobody uses is due to hibernate; undefined when it is not. */
export function hibernationDueAt({ vm, machine, idleSince, hibernationRefusal: refusal, nodeStopping }: World): Date | undefined {
  const afterSeconds = vm?.spec?.idlePolicy?.hibernateAfterSeconds ?? 0;
  if (!vm || afterSeconds === 0 || idleSince === undefined || nodeStopping || vm.status?.hibernation || vm.status?.move) return undefined;
  // What waits in a pool is of use by being there.
  if (vm.metadata.deletionTimestamp !== undefined || vm.spec?.powerState !== 'Running' || poolOwnerOf(vm)) return undefined;
  // One that does not answer is not idle: something is wrong with it, and somebody will want to see what.
  if (machine.phase !== 'Running' || machine.guest.agent === 'Waiting' || machine.guest.agent === 'Silent') return undefined;
  const dueAt = idleSince.getTime() + afterSeconds * 1000;
  return new Date(refusal?.reason === 'Failed' ? Math.max(dueAt, refusal.at.getTime() + HIBERNATION_RETRY_MS) : dueAt);
}

/** What is written down before a machine falls asleep by itself, so that whoever needs it meanwhile can call it off. */
export const fallAsleep = (incarnation: number, now: Date): VmHibernation => ({ reason: 'Idle', requestedAt: toKubeTime(now), incarnation });

/** The hibernation as this node sees it; undefined once there is none any more. */
export function hibernationOf({ vm, machine, suspended, hibernationRefusal: refusal, now }: World): VmHibernation | undefined {
  const hibernation = vm?.status?.hibernation;
  if (!vm || !hibernation || refusal?.requestedAt === hibernation.requestedAt) return undefined;
  const { incarnation, wakeRequestedAt } = hibernation;
  if (isLive(machine)) {
    if (machine.phase === 'Starting' || machine.phase === 'Hibernating') return hibernation;
    // It runs again; or it was called off before it had begun.
    return machine.run.incarnation > incarnation || wakeRequestedAt !== undefined ? undefined : hibernation;
  }
  if (vm.spec?.powerState === 'Stopped') return undefined;
  if (!suspended) return wakeRequestedAt === undefined && !vm.status?.continueFrom ? undefined : hibernation;
  return { ...hibernation, since: hibernation.since ?? toKubeTime(now) };
}

/** What there is to say of a machine that sleeps, slept, or could not; undefined when it never was to. */
export function hibernatedCondition(world: World, told: ConditionUpdate | undefined): ConditionUpdate | undefined {
  const { vm, hibernationRefusal: refusal } = world;
  const before = vm?.status?.hibernation;
  const hibernation = hibernationOf(world);
  if (!before) return told;
  if (!hibernation) {
    if (refusal?.reason === 'Failed' && refusal.requestedAt === before.requestedAt) return { type: HIBERNATED, status: 'False', reason: 'HibernationFailed', message: refusal.message };
    return told && { type: HIBERNATED, status: 'False', reason: 'Awake', message: '' };
  }
  if (hibernation.wakeRequestedAt !== undefined) return told && { type: HIBERNATED, status: 'False', reason: 'Waking', message: 'Somebody needs it' };
  if (isLive(world.machine) || !world.suspended) return told;
  return { type: HIBERNATED, status: 'True', reason: hibernation.reason, message: hibernation.reason === 'Idle' ? 'Nobody used it; it wakes up when somebody does' : 'It was asked to; it wakes up when somebody uses it' };
}

/** Since when nobody uses it, where something depends on that. */
export function toldIdleSince({ vm, machine, idleSince }: World): Pick<VirtualMachineStatus, 'idleSince'> {
  const isOfUse = (vm?.spec?.idlePolicy?.hibernateAfterSeconds ?? 0) > 0 || vm?.spec?.checkpointPolicy !== undefined;
  return isOfUse && idleSince !== undefined && machine.phase === 'Running' ? { idleSince: toKubeTime(idleSince) } : {};
}
