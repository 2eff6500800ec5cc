import type { ExecRequest, ExecResult } from '@corral/contracts';
import { MAX_EXEC_OUTPUT_BYTES, Problem } from '@corral/contracts/for-vm-process';
import { AgentLost, Execution, GuestError, type AgentSession, type ExecExit, type GuestFiles } from '@corral/guest-agent';

/** How a shell says that it could not run a command: execve(2) failed, or there is no such file. */
const NOT_FOUND = 127;
const NOT_EXECUTABLE = 126;
/** The agent kills a command at its timeout; an agent that says nothing this long after it is not trusted to have. */
const TIMEOUT_GRACE_MS = 5000;
const KILLED = 128 + 9;

interface GuestAgent {
  readonly session: AgentSession;
  readonly files: GuestFiles;
}

/** Runs one command to its end. Aborting kills it. A command that could not be started is a result, as in a shell. */
export async function runCommand(agent: GuestAgent, request: ExecRequest, signal: AbortSignal): Promise<ExecResult> {
  const begun = performance.now();
  const stdout = new CappedOutput();
  const stderr = new CappedOutput();
  const timeoutMs = Math.ceil(request.timeoutSeconds * 1000);
  const stdin = Buffer.from(request.stdin);
  const execution = startExecution(agent.session, {
    command: request.command,
    env: request.env,
    cwd: request.cwd,
    timeoutMs,
    stdin: stdin.length > 0,
    onOutput: (stream, bytes) => (stream === 'stdout' ? stdout : stderr).append(bytes),
  });
  const kill = (): void => execution.kill();
  signal.addEventListener('abort', kill, { once: true });
  const deadline = setTimeout(kill, timeoutMs + TIMEOUT_GRACE_MS);
  try {
    const exit = await ended(agent, execution, request, stdin, stderr);
    return {
      exitCode: exit.exitCode,
      stdout: stdout.text(),
      stderr: stderr.text(),
      durationMilliseconds: Math.round(performance.now() - begun),
      timedOut: exit.timedOut,
      stdoutTruncated: stdout.truncated,
      stderrTruncated: stderr.truncated,
    };
  } catch (error) {
    // The clock decides, not the agent: a guest too busy to answer has run out of time as well.
    if (!(error instanceof AgentLost) || signal.aborted || performance.now() - begun < timeoutMs) throw error;
    return {
      exitCode: KILLED,
      stdout: stdout.text(),
      stderr: stderr.text(),
      durationMilliseconds: Math.round(performance.now() - begun),
      timedOut: true,
      stdoutTruncated: stdout.truncated,
      stderrTruncated: stderr.truncated,
    };
  } finally {
    clearTimeout(deadline);
    signal.removeEventListener('abort', kill);
  }
}

/** Like `new Execution`, with a refused argument list as a Problem. */
export function startExecution(session: AgentSession, options: ConstructorParameters<typeof Execution>[1]): Execution {
  try {
    return new Execution(session, options);
  } catch (error) {
    if (error instanceof GuestError) throw new Problem('guest.command-refused', `the command cannot be run: ${error.message}`, { cause: error });
    throw error;
  }
}

/**
 * What a shell would say about a command the guest could not start: text for stderr and an exit code. Throws a Problem
 * where it was not the command's fault.
 */
export async function startFailure(
  files: GuestFiles,
  { command, cwd }: { readonly command: readonly string[]; readonly cwd: string },
  error: unknown,
): Promise<{ readonly exitCode: number; readonly message: string }> {
  if (!(error instanceof GuestError)) throw error;
  if (cwd !== '') {
    await files.stat(cwd).catch((cause: unknown) => {
      if (!(cause instanceof GuestError)) throw cause;
      throw new Problem('guest.command-refused', `the working directory ${cwd} cannot be used: ${cause.message}`, { cause });
    });
  }
  const message = `${command[0] ?? ''}: ${error.message}\n`;
  switch (error.code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return { exitCode: NOT_FOUND, message };
    case 'EACCES':
    case 'ENOEXEC':
    case 'EISDIR':
    case 'EPERM':
      return { exitCode: NOT_EXECUTABLE, message };
    default:
      throw new Problem('guest.command-refused', `the command cannot be run: ${error.message}`, { cause: error });
  }
}

async function ended(
  agent: GuestAgent,
  execution: Execution,
  request: ExecRequest,
  stdin: Uint8Array,
  stderr: CappedOutput,
): Promise<ExecExit> {
  try {
    await execution.started;
  } catch (error) {
    const failure = await startFailure(agent.files, request, error);
    stderr.append(Buffer.from(failure.message));
    return { exitCode: failure.exitCode, timedOut: false };
  }
  if (stdin.length > 0) {
    // A command may end without reading all of it.
    void execution.write(stdin).then(() => execution.endStdin());
  }
  return execution.exited;
}

/** Keeps the beginning; counts on the rest being read all the same, so that the command goes on. */
class CappedOutput {
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;
  #truncated = false;

  get truncated(): boolean {
    return this.#truncated;
  }

  append(bytes: Uint8Array): void {
    const kept = bytes.subarray(0, MAX_EXEC_OUTPUT_BYTES - this.#bytes);
    this.#truncated ||= kept.length < bytes.length;
    if (kept.length === 0) return;
    // A copy: a view would keep the whole of the guest's message alive.
    this.#chunks.push(kept.slice());
    this.#bytes += kept.length;
  }

  /** As UTF-8; a character cut by the cap is left out. */
  text(): string {
    return new TextDecoder().decode(Buffer.concat(this.#chunks), { stream: this.#truncated });
  }
}
