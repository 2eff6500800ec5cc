import type { PagingCounts } from './memory-figures.ts';

/** What was counted by then, as it was told. */
export interface PagingSample {
  readonly atMs: number;
  readonly counts: PagingCounts;
}

/** Over how long rates are taken, where so much was heard. */
export const RATE_WINDOW_MS = 30_000;

const NAMES = ['faults', 'swapIns', 'swapOuts'] as const;

const isSame = (a: PagingCounts, b: PagingCounts): boolean => NAMES.every((name) => a[name] === b[name]);

/** What is known once more was told. Machines that come or go make another sum, and so another beginning. */
export function withSample(samples: readonly PagingSample[], sample: PagingSample): readonly PagingSample[] {
  const last = samples.at(-1);
  if (!last || NAMES.some((name) => sample.counts[name] < last.counts[name])) return [sample];
  if (isSame(last.counts, sample.counts)) return samples;
  // One from before the window stays, to count from.
  const from = samples.findLastIndex(({ atMs }) => atMs <= sample.atMs - RATE_WINDOW_MS);
  return [...samples.slice(Math.max(0, from)), sample];
}

/**
 * How many a second, on average since the beginning of the window; undefined before something was told twice. Machines tell when it
 * is worth it, so with each second of silence the rates fall.
 */
export function ratesOf(samples: readonly PagingSample[], nowMs: number): PagingCounts | undefined {
  const last = samples.at(-1);
  const first = samples.findLast(({ atMs }) => atMs <= nowMs - RATE_WINDOW_MS && atMs < (last?.atMs ?? 0)) ?? samples[0];
  if (!first || !last || first === last) return undefined;
  const seconds = Math.max(1, (nowMs - first.atMs) / 1000);
  const rate = (name: (typeof NAMES)[number]): number => (last.counts[name] - first.counts[name]) / seconds;
  return { faults: rate('faults'), swapIns: rate('swapIns'), swapOuts: rate('swapOuts') };
}
