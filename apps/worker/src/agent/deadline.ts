import { setTimeout as delay } from 'node:timers/promises';

/** Resolves when the work is done, has failed, or has had its time: for goodbyes, which nobody waits for long. */
export async function within(deadlineMs: number, work: Promise<unknown>): Promise<void> {
  const abort = new AbortController();
  const deadline = delay(deadlineMs, undefined, { signal: abort.signal }).catch(() => undefined);
  await Promise.race([work.catch(() => undefined), deadline]);
  abort.abort();
}

/** Resolves when the condition holds, or when time is over. */
export async function untilOrDeadline(condition: () => boolean, deadlineMs: number): Promise<void> {
  const endsAt = performance.now() + deadlineMs;
  while (!condition() && performance.now() < endsAt) await delay(20);
}
