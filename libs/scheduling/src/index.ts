/**
 * Where a machine goes: filter and score plugins over one view of the cluster, whose place it may take, and whose turn it is.
 * Pure; binding is the caller's. docs/scheduling.md says the same to users.
 */
export * from './machine.ts';
export * from './request.ts';
export * from './cluster.ts';
export * from './cluster-event.ts';
export * from './profiles.ts';
export * from './schedule.ts';
export * from './preemption.ts';
export * from './scheduling-queue.ts';
export { isTolerated, tolerates } from './taints.ts';
export type { FilterPlugin, NodeFilter } from './filters.ts';
export type { NodeScore, ScorePlugin } from './scores.ts';
