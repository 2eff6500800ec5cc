import { setTimeout as delay } from 'node:timers/promises';
import { Deadline } from './deadline.ts';

export interface UntilOptions {
  /** On a host that does nothing else: see Deadline. */
  readonly timeoutMs: number;
  /** What is waited for, for the message when it does not come. */
  readonly what: string;
  readonly everyMs?: number;
}

/** Resolves with the condition's first truthy answer; rejects when time is over, naming what did not happen. */
export async function until<T>(condition: () => T | Promise<T>, { timeoutMs, what, everyMs = 20 }: UntilOptions): Promise<NonNullable<T>> {
  const deadline = new Deadline(timeoutMs);
  for (;;) {
    const answer = await condition();
    if (answer) return answer;
    if (deadline.isOver) throw new Error(`${what} did not happen within ${deadline.waitedMs} ms`);
    await delay(everyMs);
  }
}
