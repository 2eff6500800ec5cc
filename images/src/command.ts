import { spawn } from 'node:child_process';
import { Problem } from '@corral/contracts';

export interface CommandOptions {
  readonly cwd?: string;
  /** The whole environment; by default this process's own, with its proxy settings and the like. */
  readonly env?: NodeJS.ProcessEnv;
  readonly timeoutMs?: number;
  /** Called for each complete line of standard output. */
  readonly onLine?: (line: string) => void;
  readonly input?: Uint8Array;
}

const OUTPUT_LIMIT_BYTES = 512 * 2 ** 20;
const SHOWN_ERROR_BYTES = 2000;

/**
 * Runs a program to its end and answers with its standard output. The child dies with this process, even on SIGKILL
 * (`setpriv --pdeathsig`, util-linux). A failure is a Problem that shows the end of what the program said.
 */
export function run(command: string, args: readonly string[], options: CommandOptions = {}): Promise<Buffer> {
  const { cwd, env, timeoutMs = 15 * 60_000, onLine, input } = options;
  return new Promise((resolve, reject) => {
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', 'env', 'LC_ALL=C', command, ...args], {
      ...(cwd === undefined ? {} : { cwd }),
      ...(env === undefined ? {} : { env }),
      stdio: [input ? 'pipe' : 'ignore', 'pipe', 'pipe'],
    });
    const output: Buffer[] = [];
    let outputBytes = 0;
    let tail = Buffer.alloc(0);
    let partialLine = '';
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
    const keepTail = (chunk: Buffer) => {
      tail = Buffer.concat([tail, chunk]).subarray(-SHOWN_ERROR_BYTES);
    };
    child.stdout?.on('data', (chunk: Buffer) => {
      outputBytes += chunk.length;
      if (outputBytes > OUTPUT_LIMIT_BYTES) child.kill('SIGKILL');
      if (!onLine) output.push(chunk);
      else {
        keepTail(chunk);
        const lines = (partialLine + chunk.toString()).split('\n');
        partialLine = lines.pop() ?? '';
        lines.forEach(onLine);
      }
    });
    child.stderr?.on('data', keepTail);
    child.once('error', (cause) => {
      clearTimeout(timer);
      reject(new Problem('dependency.unavailable', `cannot run setpriv; install the package util-linux`, { cause }));
    });
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      if (code === 0) return resolve(Buffer.concat(output));
      const end = code === null ? `was killed by ${signal ?? 'a signal'}` : `failed with exit code ${code}`;
      reject(
        new Problem(
          'dependency.unavailable',
          `${command} ${args.slice(0, 3).join(' ')} … ${end}:\n${tail.toString().trim()}`,
        ),
      );
    });
    if (input) child.stdin?.end(input);
  });
}
