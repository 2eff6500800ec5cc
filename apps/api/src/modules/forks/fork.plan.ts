import { SNAPSHOT_DEADLINE_MS, type VirtualMachine, type VirtualMachineSnapshot } from '@corral/contracts';

export interface MomentObservation {
  /** A snapshot that is there to be forked from. */
  readonly moment: VirtualMachineSnapshot;
  /** The machines that name it. */
  readonly forks: readonly VirtualMachine[];
  /** So long a moment waits for the machines of its request to be created, and for nobody after that. */
  readonly gatheringMs: number;
  /** Whether a pool asked for it that is about to make more machines. */
  readonly isFilling: boolean;
  readonly now: Date;
}

export type MomentStep =
  | { readonly type: 'Nothing' }
  /** A machine on another node waits for it. */
  | { readonly type: 'Upload' }
  /** Nobody needs it any more, or it took too long. */
  | { readonly type: 'Delete'; readonly why: string }
  | { readonly type: 'Wait'; readonly delayMs: number };

/** What becomes of the moment of a live fork. */
export function planMoment({ moment, forks, gatheringMs, isFilling, now }: MomentObservation): MomentStep {
  const { metadata, spec, status } = moment;
  if (metadata.deletionTimestamp !== undefined || !spec?.fork) return { type: 'Nothing' };
  const ageMs = now.getTime() - Date.parse(metadata.creationTimestamp);
  const waiting = forks.filter((fork) => !hasBegun(fork));
  const isWanted = waiting.length > 0 || (isFilling && status?.completedAt === undefined);
  if (!isWanted && ageMs >= gatheringMs) return { type: 'Delete', why: 'every fork of it runs, or is gone' };
  if (ageMs >= SNAPSHOT_DEADLINE_MS) return { type: 'Delete', why: `${waiting.length} forks had not begun within ${SNAPSHOT_DEADLINE_MS / 60_000} minutes` };
  const isNeededElsewhere = waiting.some((fork) => fork.spec?.nodeName !== undefined && fork.spec.nodeName !== spec.nodeName);
  if (isNeededElsewhere && !spec.fork.upload) return { type: 'Upload' };
  // That a pool is filled is seen at the next look.
  if (waiting.length === 0 && ageMs >= gatheringMs) return { type: 'Wait', delayMs: gatheringMs };
  return { type: 'Wait', delayMs: Math.max(1, (waiting.length === 0 ? gatheringMs : SNAPSHOT_DEADLINE_MS) - ageMs) };
}

/** Whether it has a state of its own by now, and needs the moment no more. */
export function hasBegun({ metadata, status }: VirtualMachine): boolean {
  if (metadata.deletionTimestamp !== undefined) return true;
  const { incarnation = 0, phase, lastTermination } = status ?? {};
  const hasNeverRun = lastTermination?.reason === 'StartFailed' && status?.startMilliseconds === undefined;
  return incarnation > 0 && phase !== 'Starting' && !hasNeverRun;
}
