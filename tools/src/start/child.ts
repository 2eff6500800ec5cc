import { spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';
import { leash, openLog } from '@corral/embedded';

/** A program of ours that runs until it is told to stop. */
export interface Running {
  /** Resolves when it has ended, whoever ended it, to how: `exit code 1`, `SIGKILL`. */
  readonly ended: Promise<string>;
  /** Asks it to stop; resolves when it is gone. */
  stop(): Promise<void>;
  /** Ends it at once. */
  kill(): void;
}

export interface ChildOptions {
  /** Arguments of Node, the script first. */
  readonly args: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly logFile: string;
  readonly stopTimeoutMs: number;
}

/**
 * Starts one of our programs, logging to a file. It holds a pipe from us and stops at the pipe's end, so it dies with us
 * however we die. It has its own process group, because a Ctrl-C in the terminal is for us alone.
 */
export function startChild({ args, environment, cwd, logFile, stopTimeoutMs }: ChildOptions): Running {
  const log = openLog(logFile);
  const child = spawn(process.execPath, args, {
    cwd,
    env: { ...environment, CORRAL_EXIT_ON_STDIN_EOF: '1' },
    stdio: ['pipe', log, log],
    detached: true,
  });
  closeSync(log);
  child.stdin?.on('error', () => undefined);
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  const kill = (): void => void child.kill('SIGKILL');
  return {
    ended,
    kill,
    async stop() {
      const force = setTimeout(kill, stopTimeoutMs);
      child.stdin?.end();
      child.kill('SIGTERM');
      await ended;
      clearTimeout(force);
    },
  };
}

/** Runs a program of ours to its end. `onLine` hears its standard output; the end of its standard error is answered. */
export async function runChild(
  { args, environment, cwd }: Pick<ChildOptions, 'args' | 'environment' | 'cwd'>,
  onLine: (line: string) => void,
  signal: AbortSignal,
): Promise<{ readonly exitCode: number; readonly errors: string }> {
  const [program = '', ...rest] = leash([process.execPath, ...args], 'SIGKILL');
  const child = spawn(program, rest, { cwd, env: environment, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
  const abort = (): void => void child.kill('SIGTERM');
  signal.addEventListener('abort', abort, { once: true });
  child.stdin?.on('error', () => undefined);
  let errors = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-8_192);
  });
  const decoder = new StringDecoder('utf8');
  let partial = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    const lines = (partial + decoder.write(chunk)).split('\n');
    partial = lines.pop() ?? '';
    lines.forEach(onLine);
  });
  const exitCode = await new Promise<number>((resolve) => {
    child.once('error', () => resolve(-1));
    child.once('close', (code) => resolve(code ?? -1));
  });
  signal.removeEventListener('abort', abort);
  return { exitCode, errors: errors.trim() };
}
