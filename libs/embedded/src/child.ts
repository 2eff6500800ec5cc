import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync } from 'node:fs';
import { extname } from 'node:path';
import { logTail, openLog } from './log-file.ts';
import { findProgram } from './program.ts';

const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 10_000;

/** An embedded server did not come up. The message says which and ends with the last lines of its log. */
export class StartFailure extends Error {
  override readonly name = 'StartFailure';
}

export interface LeashOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly logFile: string;
  /** What it is told when its parent is gone. */
  readonly deathSignal: 'SIGINT' | 'SIGTERM' | 'SIGKILL';
  /** Runs the command under another identity; goes outside of everything that watches the parent. */
  readonly wrapper?: readonly string[];
}

/**
 * Starts a foreign program that cannot outlive this process. With util-linux the kernel sees to it
 * (prctl(2), PR_SET_PDEATHSIG); elsewhere a shell in between waits for the end of a pipe from us.
 */
export function spawnLeashed(command: readonly string[], options: LeashOptions): ChildProcess {
  const [program = '', ...args] = [...(options.wrapper ?? []), ...leash(command, options.deathSignal)];
  const log = openLog(options.logFile);
  try {
    return spawn(program, args, {
      cwd: options.cwd,
      env: options.env,
      stdio: ['pipe', log, log],
      // Its own group, so that a Ctrl-C in the terminal reaches the parent alone, which then stops things in order.
      detached: true,
    });
  } finally {
    closeSync(log);
  }
}

/** The command line that runs another one which is told `signal` when we are gone. It needs a pipe from us on its stdin. */
export function leash(command: readonly string[], signal: LeashOptions['deathSignal']): readonly string[] {
  const name = signal.slice('SIG'.length);
  const setpriv = findProgram('setpriv');
  if (setpriv) return [setpriv, '--pdeathsig', name, '--', ...command];
  return [
    'sh',
    '-c',
    `exec 3<&0; (cat <&3 >/dev/null; kill -${name} $$) & exec "$@" 3<&- </dev/null`,
    'leash',
    ...command,
  ];
}

/**
 * Starts one of our own servers in its own process: the settings go in as the first line of its stdin, which keeps them
 * out of `ps`, and the end of that pipe is its order to stop (see child-entry.ts). Resolves with
 * its first message.
 */
export async function startEntry(
  entry: string,
  settings: object,
  logFile: string,
): Promise<{ child: ChildProcess; hello: unknown }> {
  const script = new URL(`./${entry}.main${extname(new URL(import.meta.url).pathname)}`, import.meta.url);
  const log = openLog(logFile);
  const child = spawn(
    process.execPath,
    ['--conditions=@corral/source', '--disable-warning=ExperimentalWarning', script.pathname],
    {
      stdio: ['pipe', log, log, 'ipc'],
      detached: true,
    },
  );
  closeSync(log);
  child.stdin?.on('error', () => undefined); // The exit of a child that died early is what is reported.
  child.stdin?.write(`${JSON.stringify(settings)}\n`);
  const deadline = setTimeout(() => child.kill('SIGKILL'), START_TIMEOUT_MS);
  const hello = await new Promise<unknown>((resolve, reject) => {
    child.once('message', resolve);
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      reject(
        new StartFailure(`${entry} ended before it was ready (${signal ?? `exit code ${code}`})\n${logTail(logFile)}`),
      );
    });
  });
  clearTimeout(deadline);
  child.disconnect();
  return { child, hello };
}

/** Ends a child: its pipe and a signal, then, when it does not listen, SIGKILL. Resolves when it is gone. */
export async function stopChild(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const force = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  child.stdin?.end();
  child.kill(signal);
  await gone;
  clearTimeout(force);
}
