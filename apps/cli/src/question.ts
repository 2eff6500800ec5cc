import { createInterface } from 'node:readline/promises';
import type { Invocation } from './invocation.ts';

/** One letter of `choices`, the first of which is what Enter means; undefined where there is no terminal to ask on, or it was left. */
export async function ask<Choice extends string>(question: string, choices: readonly [Choice, ...Choice[]], { stdin, stderr, signal }: Pick<Invocation, 'stdin' | 'stderr' | 'signal'>): Promise<Choice | undefined> {
  if (stdin.isTTY !== true) return undefined;
  const lines = createInterface({ input: stdin, output: stderr });
  try {
    for (;;) {
      const typed = (await lines.question(question, { signal })).trim().toLowerCase();
      const choice = typed === '' ? choices[0] : choices.find((letter) => typed.startsWith(letter));
      if (choice !== undefined) return choice;
    }
  } catch {
    return undefined;
  } finally {
    lines.close();
  }
}
