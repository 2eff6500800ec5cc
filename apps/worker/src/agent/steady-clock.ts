import { uptime } from 'node:os';

/** A moment on clocks that only go forward. */
export interface Moment {
  readonly monotonicMs: number;
  readonly uptimeMs: number;
}

/**
 * Time that nobody can set back, and that passes while this process is stopped (CLOCK_MONOTONIC) and while its host sleeps
 * (the kernel's uptime). Source: clock_gettime(2), proc_uptime(5).
 */
export interface SteadyClock {
  now(): Moment;
}

export const systemSteadyClock: SteadyClock = {
  now: () => ({ monotonicMs: performance.now(), uptimeMs: uptime() * 1000 }),
};

/** The longer of what the two say, so that no right outlives its term because one of them stood still. */
export const elapsedMs = (since: Moment, now: Moment): number => Math.max(now.monotonicMs - since.monotonicMs, now.uptimeMs - since.uptimeMs);
