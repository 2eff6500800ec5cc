import { assertNever } from '@corral/base';
import { SNAPSHOT_DEADLINE_MS, type VirtualMachine, type VirtualMachinePool, type VirtualMachineSnapshot } from '@corral/contracts';
import { forkObstacle } from '../forks/fork-moment.ts';
import { stateOf } from '../forks/moment-taking.ts';

/** So old a moment is joined by nobody else: it goes at SNAPSHOT_DEADLINE_MS, and who joins has to start before. */
export const JOINED_FOR_MS = SNAPSHOT_DEADLINE_MS / 2;

/** What the next machine of a pool can go on from. */
export type PoolOrigin =
  /** What its template names, by itself. */
  | { readonly type: 'Template' }
  /** A moment of the machine that its template names. */
  | { readonly type: 'Moment'; readonly name: string }
  /** That machine, once a moment of it is asked for. */
  | { readonly type: 'Source'; readonly source: VirtualMachine }
  /** Its node is about to keep that moment. */
  | { readonly type: 'Underway' }
  /** Nothing, for now. */
  | { readonly type: 'Unavailable'; readonly reason: 'SourceMissing' | 'SourceNotRunning' | 'ForkFailed'; readonly message: string };

export interface PoolOriginObservation {
  readonly pool: VirtualMachinePool;
  /** The machine that the template names, where it names one and that is there. */
  readonly source: VirtualMachine | undefined;
  /** Moments that this pool asked for. */
  readonly moments: readonly VirtualMachineSnapshot[];
  readonly now: Date;
}

/**
 * Machines of a pool that are made together are of one moment of their source: it stands still once, and they share its pages. What is made after a claim is of a
 * moment that is still there, half a minute's, or of a later one: a pool of a running machine hands out what that is now, and goes no longer than it; whoever
 * wants the same again and again has a pool of a snapshot. Pure.
 */
export function originOf({ pool, source, moments, now }: PoolOriginObservation): PoolOrigin {
  const name = pool.spec?.template.spec.source.virtualMachine;
  if (name === undefined) return { type: 'Template' };
  if (!source) return { type: 'Unavailable', reason: 'SourceMissing', message: `VirtualMachine "${name}", from which the pool’s machines are forked, does not exist.` };
  const obstacle = forkObstacle(source);
  if (obstacle) return { type: 'Unavailable', reason: 'SourceNotRunning', message: `${obstacle.message}.` };
  const moment = moments.filter((one) => isToJoin(one, source, now)).toSorted((a, b) => (a.metadata.creationTimestamp < b.metadata.creationTimestamp ? 1 : -1))[0];
  if (!moment) return { type: 'Source', source };
  const state = stateOf(moment);
  switch (state.type) {
    case 'Held':
      return { type: 'Moment', name: moment.metadata.name };
    case 'Underway':
      return { type: 'Underway' };
    case 'Failed':
      // It stays for a while, so that another is not asked for at once.
      return { type: 'Unavailable', reason: 'ForkFailed', message: `VirtualMachine "${name}" could not be forked: ${state.message}.` };
    default:
      return assertNever(state, 'state of a moment');
  }
}

/** Of this very life of the source: its forks say so, and their node looks. */
function isToJoin({ metadata, spec, status }: VirtualMachineSnapshot, source: VirtualMachine, now: Date): boolean {
  const isOfThisLife = status?.incarnation === undefined || status.incarnation === source.status?.incarnation;
  const isOfSource = spec?.virtualMachine === source.metadata.name && status?.virtualMachineUid === source.metadata.uid && isOfThisLife;
  return isOfSource && metadata.deletionTimestamp === undefined && now.getTime() - Date.parse(metadata.creationTimestamp) < JOINED_FOR_MS;
}
