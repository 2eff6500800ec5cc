import { DEFAULT_SCHEDULER, isSchedulerName } from '@corral/contracts';
import * as filters from './filters.ts';
import type { FilterPlugin } from './filters.ts';
import * as scores from './scores.ts';
import type { ScorePlugin } from './scores.ts';

/** What counts when a machine is placed. */
export interface Profile {
  /** In the order their rejections are told: a node is counted under the first that rejects it. */
  readonly filters: readonly FilterPlugin[];
  readonly scores: readonly { readonly plugin: ScorePlugin; readonly weight: number }[];
}

const FILTERS = [
  filters.nodeReady,
  filters.unschedulable,
  filters.taints,
  filters.nodeSelector,
  filters.nodeAffinity,
  filters.v86Build,
  filters.swapping,
  filters.topologySpread,
  filters.machineCount,
  filters.memoryFit,
];
const PREFERENCES = [
  { plugin: scores.taintPreference, weight: 4 },
  { plugin: scores.affinityPreference, weight: 2 },
  { plugin: scores.spreadPreference, weight: 2 },
  // A fork elsewhere costs an upload, a download and memory of its own.
  { plugin: scores.forkLocality, weight: 2 },
  // What is at hand weighs less than room, so that one warm node does not fill up first.
  { plugin: scores.locality, weight: 0.25 },
];

/** Machines go where the most memory is left. */
export const SPREAD: Profile = { filters: FILTERS, scores: [...PREFERENCES, { plugin: scores.leastAllocated, weight: 1 }] };

/** Machines go where the least memory is left, so that nodes stay empty and can be taken away. */
export const BIN_PACK: Profile = { filters: FILTERS, scores: [...PREFERENCES, { plugin: scores.mostAllocated, weight: 1 }] };

export const PROFILES = { Spread: SPREAD, BinPack: BIN_PACK } as const;
export type ProfileName = keyof typeof PROFILES;

/** The profile of a machine's spec.schedulerName; undefined when somebody else's scheduler is meant. */
export function profileOf(schedulerName: string | undefined, usual: ProfileName): Profile | undefined {
  const name = schedulerName ?? DEFAULT_SCHEDULER;
  if (!isSchedulerName(name)) return undefined;
  return name === DEFAULT_SCHEDULER ? PROFILES[usual] : name === 'bin-pack-scheduler' ? BIN_PACK : SPREAD;
}
