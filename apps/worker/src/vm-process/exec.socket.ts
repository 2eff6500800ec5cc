import { Problem } from '@corral/contracts/for-vm-process';
import { AgentLost, type Execution } from '@corral/guest-agent';
import type { WebSocket } from 'ws';
import { startExecution, startFailure } from './exec.run.ts';
import { toProblem } from './respond.ts';
import { keepAlive, sendFully } from './socket.ts';
import type { Vm } from './vm.ts';

/** The remote command subprotocols of Kubernetes, the preferred one first; v5 adds the closing of one channel. */
export const EXEC_SUBPROTOCOLS = ['v5.channel.k8s.io', 'v4.channel.k8s.io'] as const;
/** First byte of every message. Source: k8s.io/apimachinery/pkg/util/remotecommand/constants.go. */
const Channel = { Stdin: 0, Stdout: 1, Stderr: 2, Error: 3, Resize: 4, Close: 255 } as const;
/** Typed-ahead input kept for a command that does not read. */
const MAX_WAITING_INPUT_BYTES = 128 * 1024;
const DEFAULT_TERMINAL = { rows: 24, columns: 80 };
const NORMAL_CLOSURE = 1000;

export interface ExecSocketRequest {
  readonly command: readonly string[];
  readonly stdin: boolean;
  /** Output that is not wanted is read and dropped. */
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

const STREAM_FLAGS = ['stdin', 'stdout', 'stderr', 'tty'] as const;

/** Parses the query of `GET /exec`. Who names no stream gets both outputs; who names any gets what was named, as in Kubernetes. Throws a Problem. */
export function parseExecQuery(query: URLSearchParams): ExecSocketRequest {
  const command = query.getAll('command');
  if (command.length === 0) throw new Problem('request.malformed', 'you must specify at least 1 command parameter');
  const env = query.getAll('env').map((pair) => {
    const equals = pair.indexOf('=');
    if (equals < 1) throw new Problem('request.malformed', `env must be NAME=value: ${pair}`);
    return [pair.slice(0, equals), pair.slice(equals + 1)] as const;
  });
  const flag = (name: string): boolean => ['true', '1'].includes(query.get(name) ?? '');
  const namesNone = STREAM_FLAGS.every((name) => !query.has(name));
  const [stdout, stderr] = [namesNone || flag('stdout'), namesNone || flag('stderr')];
  return { command, stdin: flag('stdin'), stdout, stderr, tty: flag('tty'), cwd: query.get('cwd') ?? '', env: Object.fromEntries(env) };
}

/** Carries one command over a WebSocket until it ends or the socket goes away, which kills it. */
export function serveExecSocket(vm: Vm, socket: WebSocket, request: ExecSocketRequest): void {
  const stopKeepAlive = keepAlive(socket);
  runOverSocket(vm, socket, request)
    .catch((error: unknown) => failureStatus(toProblem(error)))
    .then(async (status) => {
      await sendFully(socket, message(Channel.Error, Buffer.from(JSON.stringify(status))));
      socket.close(NORMAL_CLOSURE);
    })
    .catch(() => socket.terminate())
    .finally(stopKeepAlive);
}

async function runOverSocket(vm: Vm, socket: WebSocket, request: ExecSocketRequest): Promise<object> {
  const agent = vm.agent();
  const show = async (stream: 'stdout' | 'stderr', bytes: Uint8Array): Promise<void> => {
    if (request[stream]) await sendFully(socket, message(stream === 'stdout' ? Channel.Stdout : Channel.Stderr, bytes));
  };
  const execution = startExecution(agent.session, {
    command: request.command,
    env: request.env,
    cwd: request.cwd,
    timeoutMs: 0,
    stdin: request.stdin,
    ...(request.tty ? { terminal: DEFAULT_TERMINAL } : {}),
    // More is asked of the guest only when this viewer has taken what there is.
    onOutput: show,
  });
  carryInput(socket, execution, request.stdin);
  socket.once('close', () => execution.kill());
  try {
    await execution.started;
  } catch (error) {
    const failure = await startFailure(agent.files, request, error);
    await show(request.tty ? 'stdout' : 'stderr', Buffer.from(failure.message));
    return exitStatus(failure.exitCode);
  }
  return exitStatus((await execution.exited).exitCode);
}

function carryInput(socket: WebSocket, execution: Execution, stdin: boolean): void {
  let waitingBytes = 0;
  let writing: Promise<void> = Promise.resolve();
  const write = (bytes: Uint8Array): void => {
    waitingBytes += bytes.length;
    if (waitingBytes > MAX_WAITING_INPUT_BYTES) socket.pause();
    writing = writing
      .then(() => execution.write(bytes))
      .then(() => {
        waitingBytes -= bytes.length;
        if (socket.isPaused && waitingBytes <= MAX_WAITING_INPUT_BYTES) socket.resume();
      });
  };
  socket.on('message', (data: Buffer) => {
    const content = data.subarray(1);
    switch (data[0]) {
      case Channel.Stdin:
        if (stdin) write(content);
        break;
      case Channel.Resize:
        resize(execution, content);
        break;
      case Channel.Close:
        if (content[0] === Channel.Stdin) void writing.then(() => execution.endStdin());
        break;
      default:
      // Kubernetes ignores what it does not know.
    }
  });
}

function resize(execution: Execution, content: Buffer): void {
  try {
    const { Width: columns, Height: rows } = JSON.parse(content.toString('utf8')) as { Width?: unknown; Height?: unknown };
    if (isCells(columns) && isCells(rows)) execution.resize({ rows, columns });
  } catch {
    // A size that cannot be read changes nothing, as in Kubernetes.
  }
}

function isCells(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= 0xffff;
}

function message(channel: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([Uint8Array.of(channel), bytes]);
}

/** How kubectl learns the exit code. Source: k8s.io/apimachinery/pkg/util/remotecommand, NonZeroExitCodeReason. */
function exitStatus(exitCode: number): object {
  if (exitCode === 0) return { metadata: {}, status: 'Success' };
  return {
    metadata: {},
    status: 'Failure',
    reason: 'NonZeroExitCode',
    message: `command terminated with exit code ${exitCode}`,
    details: { causes: [{ reason: 'ExitCode', message: String(exitCode) }] },
  };
}

function failureStatus(error: unknown): object {
  const message = error instanceof Problem || error instanceof AgentLost ? error.message : 'Internal error; the node’s log has the cause';
  if (!(error instanceof Problem)) console.error('exec:', error);
  return { metadata: {}, status: 'Failure', reason: 'InternalError', message, code: 500 };
}
