import { setTimeout as delay } from 'node:timers/promises';

export interface UntilOptions {
  readonly timeoutMs: number;
  /** What is waited for, for the message when it does not come. */
  readonly what: string;
  readonly everyMs?: number;
}

/** Resolves with the condition's first truthy answer; rejects when time is over, naming what did not happen. */
export async function until<T>(condition: () => T | Promise<T>, { timeoutMs, what, everyMs = 20 }: UntilOptions): Promise<NonNullable<T>> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const answer = await condition();
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`${what} did not happen within ${timeoutMs} ms`);
    await delay(everyMs);
  }
}
