import type { Screen } from './screen.ts';
import { openSession, type GlobalOptions, type Session } from './session.ts';
import type { Terminal } from './terminal.ts';

/** What a command works with: the caller's terminal, the API of their choice, and how the program ends. */
export interface Invocation extends Terminal {
  readonly environment: NodeJS.ProcessEnv;
  readonly screen: Screen;
  /** Aborts at Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
  session(): Promise<Session>;
  /** The result, for programs: nothing else goes to stdout. */
  print(text: string): void;
  exitWith(code: number): void;
}

export function sessionOf(options: () => GlobalOptions, environment: NodeJS.ProcessEnv): () => Promise<Session> {
  let opened: Promise<Session> | undefined;
  return () => (opened ??= openSession(options(), environment));
}
