import { findCondition, type ConditionUpdate, type VirtualMachine, type VirtualMachinePool } from '@corral/contracts';
import { countsOf, type PoolCounts } from './pool-counts.ts';
import { isClaimOf, isMadeFromTemplate, isMemberOf, isReady, isWarm } from './pool-members.ts';
import type { PoolOrigin } from './pool-origin.ts';

/** Machines of one pool that start at once: a pool that fills must leave its nodes to those who work. */
export const MAX_STARTING = 4;
/** So long a machine that failed is left to be looked at, and its place is not tried anew. */
export const FAILED_KEPT_MS = 30_000;

export interface PoolObservation {
  readonly pool: VirtualMachinePool;
  /** Every machine of the pool's namespace, read after the pool was. */
  readonly machines: readonly VirtualMachine[];
  /** Why the API did not take the last machine of this pool. */
  readonly refusal: string | undefined;
  /** What its next machine can go on from. */
  readonly origin: PoolOrigin;
  readonly now: Date;
}

/** Of a pool of forks: whether the machine they come from can be forked now. */
export const SOURCE_RUNNING = 'SourceRunning';

export interface PoolPlan {
  readonly counts: PoolCounts;
  readonly conditions: readonly ConditionUpdate[];
  /** How many machines to make. */
  readonly create: number;
  /** Whether a moment of its source is to be kept first, for them to go on from. */
  readonly isMomentWanted: boolean;
  readonly remove: readonly { readonly machine: VirtualMachine; readonly why: string }[];
  /** Claimed by their labels: they are nobody's from now on. */
  readonly release: readonly VirtualMachine[];
  /** When to look again though nothing has changed. */
  readonly recheckMs: number | undefined;
}

/** What brings the pool closer to as many warm machines as it is to have. */
export function planPool({ pool, machines, refusal, origin, now }: PoolObservation): PoolPlan {
  const { warm: wanted = 0, maximum = 0 } = pool.spec ?? {};
  const own = machines.filter((vm) => isMemberOf(pool, vm) || isClaimOf(pool, vm));
  const warm = own.filter((vm) => isWarm(pool, vm));
  const release = own.filter((vm) => isMemberOf(pool, vm) && !isWarm(pool, vm) && vm.metadata.deletionTimestamp === undefined);
  const current = warm.filter((vm) => isMadeFromTemplate(pool, vm));
  const ready = current.filter(isReady);
  const failed = current.filter(hasFailed);
  const counts: PoolCounts = {
    warm: warm.length,
    ready: ready.length,
    claimed: own.filter((vm) => isClaimOf(pool, vm)).length + release.length,
    machines: own.length,
    coldFallbacks: countsOf(pool.status).coldFallbacks,
  };

  const target = Math.min(wanted, Math.max(0, maximum - (own.length - warm.length)));
  const expired = failed.filter((vm) => now.getTime() - failedAt(vm) >= FAILED_KEPT_MS);
  const surplus = surplusOf(current.filter((vm) => !expired.includes(vm)), target);
  const remove = [
    ...warm.filter((vm) => !isMadeFromTemplate(pool, vm)).map((machine) => ({ machine, why: 'it was made from an earlier template' })),
    ...expired.map((machine) => ({ machine, why: 'it failed' })),
    ...surplus.map((machine) => ({ machine, why: `${target} are to be warm` })),
  ];
  const starting = warm.length - ready.length - failed.length;
  const isOver = pool.metadata.deletionTimestamp !== undefined;
  const wish = isOver ? 0 : Math.max(0, Math.min(target - warm.length, maximum - own.length, MAX_STARTING - starting));
  const kept = failed.filter((vm) => !expired.includes(vm)).map((vm) => FAILED_KEPT_MS - (now.getTime() - failedAt(vm)));
  return {
    counts,
    conditions: conditionsOf({ wanted, target, ready: ready.length, claimed: own.length - warm.length, maximum, failed: failed[0], refusal, origin }),
    create: origin.type === 'Template' || origin.type === 'Moment' ? wish : 0,
    isMomentWanted: origin.type === 'Source' && wish > 0,
    remove: isOver ? [] : remove,
    release: isOver ? [] : release,
    recheckMs: kept.length === 0 ? undefined : Math.max(1, Math.min(...kept)),
  };
}

/** The youngest go first, and before them those that are not there yet. */
function surplusOf(machines: readonly VirtualMachine[], target: number): readonly VirtualMachine[] {
  const rank = (vm: VirtualMachine): string => `${isReady(vm) ? '0' : '1'}${vm.metadata.creationTimestamp}${vm.metadata.name}`;
  return machines.toSorted((a, b) => (rank(a) < rank(b) ? -1 : 1)).slice(target);
}

/** For good, as far as its node is concerned. */
const hasFailed = ({ status }: VirtualMachine): boolean => (status?.phase === 'Failed' || status?.phase === 'Stopped') && status.nextStartTime === undefined;

const failedAt = ({ metadata, status }: VirtualMachine): number =>
  Date.parse(findCondition(status?.conditions, 'Ready')?.lastTransitionTime ?? metadata.creationTimestamp);

interface Standing {
  readonly wanted: number;
  readonly target: number;
  readonly ready: number;
  readonly claimed: number;
  readonly maximum: number;
  readonly failed: VirtualMachine | undefined;
  readonly refusal: string | undefined;
  readonly origin: PoolOrigin;
}

function conditionsOf({ wanted, target, ready, claimed, maximum, failed, refusal, origin }: Standing): ConditionUpdate[] {
  const isCapped = target < wanted;
  const capped: ConditionUpdate = isCapped
    ? { type: 'AtMaximum', status: 'True', reason: 'MaximumReached', message: `${claimed} of at most ${maximum} machines are claimed: ${target} are kept warm, not ${wanted}.` }
    : { type: 'AtMaximum', status: 'False', reason: 'BelowMaximum' };
  const others = [capped, ...sourceCondition(origin)];
  const notReady = (reason: string, message: string): ConditionUpdate[] => [{ type: 'Ready', status: 'False', reason, message }, ...others];
  if (ready >= target && (target > 0 || wanted === 0)) return [{ type: 'Ready', status: 'True', reason: 'Warm', message: `${ready} of ${wanted} machines are warm.` }, ...others];
  if (target > 0 && origin.type === 'Unavailable') return notReady(origin.reason, origin.message);
  if (refusal !== undefined) return notReady('MachinesRefused', refusal);
  if (failed) {
    const why = findCondition(failed.status?.conditions, 'Ready');
    return notReady('MachinesFail', `Machine "${failed.metadata.name}" failed${why ? `: ${why.reason}: ${why.message}` : ''}.`);
  }
  if (target === 0) return notReady('MaximumReached', `All ${maximum} machines are claimed.`);
  return notReady('Filling', `${ready} of ${target} machines are warm.`);
}

/** Said also while enough machines wait: the next claim's place stays empty. */
function sourceCondition(origin: PoolOrigin): readonly ConditionUpdate[] {
  if (origin.type === 'Template') return [];
  const { type } = origin;
  return [type === 'Unavailable' ? { type: SOURCE_RUNNING, status: 'False', reason: origin.reason, message: origin.message } : { type: SOURCE_RUNNING, status: 'True', reason: 'Running' }];
}
