/** Where a machine goes: filter and score plugins over one immutable view of the nodes. Pure; binding is the caller's. */
export * from './machine.ts';
export * from './schedule.ts';
export type { FilterPlugin } from './filters.ts';
export type { ScorePlugin } from './scores.ts';
export * from './views.ts';
