import { CHECKPOINT_LABEL, findCondition, isSnapshotOver, type CheckpointPolicy, type VirtualMachine, type VirtualMachineSnapshot } from '@corral/contracts';
import { lastSnapshot } from '../nodes/recovery.plan.ts';

/** A machine that rests now and works a moment later is not checkpointed at each of its rests. */
export const MIN_IDLE_INTERVAL_MS = 30_000;
/** Machines that came to rest together are not checkpointed together. */
const IDLE_SPREAD_MS = 10_000;

export interface CheckpointObservation {
  readonly vm: VirtualMachine;
  /** Every snapshot of this machine there is, asked for by whomever. */
  readonly snapshots: readonly VirtualMachineSnapshot[];
  /** When the next may be tried after one that failed; undefined when the last one did not. */
  readonly retryAt: Date | undefined;
  /** From 0 to 1, always the same for the machine: its place among many that would all do it at once. */
  readonly spread: number;
  readonly now: Date;
}

export interface CheckpointPlan {
  /** Its name, when one is to be taken now. */
  readonly take: string | undefined;
  readonly remove: readonly VirtualMachineSnapshot[];
  /** Look again then; undefined when a change will call. */
  readonly lookAgainAt: Date | undefined;
}

/** What a machine's policy asks for now. Without a policy nothing is taken, and nothing that was taken is removed. */
export function planCheckpoints(observation: CheckpointObservation): CheckpointPlan {
  const policy = observation.vm.spec?.checkpointPolicy;
  if (!policy || observation.vm.metadata.deletionTimestamp !== undefined) return { take: undefined, remove: [], lookAgainAt: undefined };
  const dueAt = nextCheckpointAt(observation, policy);
  const isDue = dueAt !== undefined && dueAt <= observation.now;
  const { remove, nextExpiry } = retention(observation, policy);
  return { take: isDue ? nameOf(observation) : undefined, remove, lookAgainAt: earliest(isDue ? undefined : dueAt, nextExpiry) };
}

export const isCheckpoint = ({ metadata }: Pick<VirtualMachineSnapshot, 'metadata'>): boolean => metadata.labels?.[CHECKPOINT_LABEL] === 'true';
/** Deleted together with the machine; and of no other machine of its name. */
const isOwned = ({ metadata }: VirtualMachineSnapshot, vm: VirtualMachine): boolean => metadata.ownerReferences?.some(({ uid }) => uid === vm.metadata.uid) ?? false;
const isReady = ({ status }: VirtualMachineSnapshot): boolean => findCondition(status?.conditions, 'Ready')?.status === 'True';
const takenAt = ({ metadata }: VirtualMachineSnapshot): Date => new Date(metadata.creationTimestamp);
const after = (date: Date, ms: number): Date => new Date(date.getTime() + ms);
const earliest = (...dates: readonly (Date | undefined)[]): Date | undefined =>
  dates.reduce((first, next) => (!first ? next : !next || first <= next ? first : next), undefined);
const latest = (...dates: readonly (Date | undefined)[]): Date | undefined =>
  dates.reduce((last, next) => (!last ? next : !next || last >= next ? last : next), undefined);

/** Undefined while none can be taken, or nothing has changed since the last: a change of either calls. */
function nextCheckpointAt({ vm, snapshots, retryAt, spread }: CheckpointObservation, { everySeconds, onIdle }: CheckpointPolicy): Date | undefined {
  const { startedAt, incarnation, idleSince } = stateOf(vm) ?? {};
  if (startedAt === undefined || snapshots.some((snapshot) => !isSnapshotOver(snapshot))) return undefined;
  // A snapshot that somebody asked for holds just as much as a checkpoint would.
  const last = latest(...snapshots.filter((snapshot) => isReady(snapshot) && snapshot.status?.incarnation === incarnation).map(takenAt));
  // What has been at rest since before the last one has nothing new to keep.
  if (last && idleSince && idleSince <= last) return undefined;

  const everyMs = everySeconds === undefined ? undefined : everySeconds * 1000;
  const byTime = everyMs === undefined ? undefined : last ? after(last, everyMs) : after(startedAt, (everyMs * (1 + spread)) / 2);
  const byRest = onIdle && idleSince ? latest(after(idleSince, spread * IDLE_SPREAD_MS), last && after(last, MIN_IDLE_INTERVAL_MS)) : undefined;
  const dueAt = earliest(byTime, byRest);
  return dueAt && latest(dueAt, retryAt);
}

interface CheckpointableState {
  readonly startedAt: Date;
  readonly incarnation: number | undefined;
  /** Since when it has not changed in anything that matters. */
  readonly idleSince: Date | undefined;
}

/** Undefined while the machine has no memory on a node that could be kept, or is about to have another. */
function stateOf({ status }: VirtualMachine): CheckpointableState | undefined {
  const { phase, move, continueFrom, hibernation, startedAt, incarnation, idleSince } = status ?? {};
  if ((phase !== 'Running' && phase !== 'Paused') || move || continueFrom || hibernation || startedAt === undefined) return undefined;
  const ready = findCondition(status?.conditions, 'Ready');
  const restsSince = phase === 'Paused' ? ready?.lastTransitionTime : idleSince;
  return { startedAt: new Date(startedAt), incarnation, idleSince: restsSince === undefined ? undefined : new Date(restsSince) };
}

function retention({ vm, snapshots, now }: CheckpointObservation, { keepLast, keepForSeconds }: CheckpointPolicy): { readonly remove: readonly VirtualMachineSnapshot[]; readonly nextExpiry: Date | undefined } {
  const checkpoints = snapshots
    .filter((snapshot) => isCheckpoint(snapshot) && isOwned(snapshot, vm) && isSnapshotOver(snapshot) && snapshot.metadata.deletionTimestamp === undefined)
    .sort((a, b) => takenAt(b).getTime() - takenAt(a).getTime() || (a.metadata.name < b.metadata.name ? 1 : -1));
  const needed = neededBy(vm, snapshots);
  const ready = checkpoints.filter(isReady);
  const expiryOf = (snapshot: VirtualMachineSnapshot): Date | undefined => (keepForSeconds === undefined ? undefined : after(takenAt(snapshot), keepForSeconds * 1000));
  const removable = ready.filter(({ metadata }, index) => index > 0 && !needed.has(metadata.name));
  const isTooMany = new Set(ready.slice(keepLast));
  const isExpired = (snapshot: VirtualMachineSnapshot): boolean => (expiryOf(snapshot) ?? now) < now;
  // The last failure says why there is no newer one; those before it say nothing any more.
  const failed = checkpoints.filter((snapshot) => !isReady(snapshot) && snapshot !== checkpoints[0]);
  return {
    remove: [...removable.filter((snapshot) => isTooMany.has(snapshot) || isExpired(snapshot)), ...failed],
    nextExpiry: earliest(...removable.filter((snapshot) => !isTooMany.has(snapshot) && !isExpired(snapshot)).map(expiryOf)),
  };
}

/** What the machine would be restarted from, or is being: never removed, however many or old. */
function neededBy(vm: VirtualMachine, snapshots: readonly VirtualMachineSnapshot[]): ReadonlySet<string> {
  const names = [lastSnapshot(vm, snapshots)?.metadata.name, vm.status?.continueFrom?.snapshot, vm.spec?.source.snapshot, vm.status?.lastRollback?.snapshot, vm.status?.move?.snapshot];
  return new Set(names.filter((name) => name !== undefined));
}

/** As long as names of snapshots may be. */
const MAX_NAME = 253;
/** The same for two processes that decide at once: the second finds it taken. */
function nameOf({ vm, now }: CheckpointObservation): string {
  const suffix = `-checkpoint-${Math.floor(now.getTime() / 1000).toString(36)}`;
  return `${vm.metadata.name.slice(0, MAX_NAME - suffix.length)}${suffix}`;
}
