import { decodeCredit, encodeCredit, ReceiveWindow, SendWindow } from './credit.ts';
import { AgentLost, GuestError } from './errno.ts';
import { FrameFlag, GuestFrame, HostFrame, MAX_HOST_PAYLOAD_BYTES, type Frame } from './frame.ts';
import { replyOf, type AgentSession } from './session.ts';

/** What the agent buffers for a child before it wants to be asked. */
const STDIN_WINDOW_BYTES = 65_536;
const OUTPUT_WINDOW_BYTES = 262_144;
const MAX_REQUEST_BYTES = 128 * 1024;
const MAX_STRINGS = 900;
const E2BIG = 7;
const EINVAL = 22;
const EPROTO = 71;

const ExecFlag = { Pty: 1, Stdin: 2 } as const;

export interface TerminalSize {
  readonly rows: number;
  readonly columns: number;
}

export interface ExecOptions {
  readonly command: readonly string[];
  /** On top of the agent's PATH, HOME, TERM and LANG. */
  readonly env: Readonly<Record<string, string>>;
  /** Empty for root's home. */
  readonly cwd: string;
  /** The agent kills the whole process group after this; 0 for never. */
  readonly timeoutMs: number;
  /** Without it the command reads from /dev/null. */
  readonly stdin: boolean;
  /** With it the command runs on a terminal, and stderr comes with stdout. */
  readonly terminal?: TerminalSize;
  /** More output is asked of the guest when the promise resolves. */
  readonly onOutput: (stream: 'stdout' | 'stderr', bytes: Uint8Array) => void | Promise<void>;
}

export interface ExecExit {
  /** 128 + signal when a signal ended it. */
  readonly exitCode: number;
  readonly timedOut: boolean;
}

/** One command in the guest, from start to exit. */
export class Execution {
  /** Resolves when it runs; rejects with GuestError when the guest could not start it. */
  readonly started: Promise<void>;
  /** Resolves when it has ended and all of its output was consumed. */
  readonly exited: Promise<ExecExit>;
  readonly #session: AgentSession;
  readonly #channel: number;
  readonly #stdin = new SendWindow(STDIN_WINDOW_BYTES);
  readonly #output: ReceiveWindow;
  readonly #onOutput: ExecOptions['onOutput'];
  /** Output still being consumed; exit is told after it. */
  #consuming: Promise<void> = Promise.resolve();
  #ended = false;
  #settleStarted: { resolve(): void; reject(error: Error): void };
  #settleExited: { resolve(exit: ExecExit): void; reject(error: Error): void };

  constructor(session: AgentSession, options: ExecOptions) {
    const started = Promise.withResolvers<undefined>();
    const exited = Promise.withResolvers<ExecExit>();
    this.started = started.promise;
    this.exited = exited.promise;
    this.#settleStarted = { resolve: () => started.resolve(undefined), reject: started.reject };
    this.#settleExited = exited;
    // A caller may await only one of the two.
    this.started.catch(() => undefined);
    this.exited.catch(() => undefined);
    this.#session = session;
    this.#onOutput = options.onOutput;
    const request = encodeRequest(options);
    this.#channel = session.open({ onFrame: (frame) => this.#onFrame(frame), onLost: (error) => this.#fail(error) });
    this.#output = new ReceiveWindow(OUTPUT_WINDOW_BYTES, (bytes) => {
      if (!this.#ended) session.send(HostFrame.Credit, this.#channel, encodeCredit(bytes));
    });
    session.send(HostFrame.Exec, this.#channel, request);
  }

  /** Writes to stdin; resolves when the next write may be made. Bytes after the command's end are dropped. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let from = 0; from < bytes.length && !this.#ended; ) {
      const count = await this.#stdin.take(Math.min(bytes.length - from, MAX_HOST_PAYLOAD_BYTES)).catch(() => 0);
      if (this.#ended) return;
      this.#session.send(HostFrame.Data, this.#channel, bytes.subarray(from, from + count));
      from += count;
    }
  }

  /** Ends stdin: the command reads end-of-file. */
  endStdin(): void {
    if (!this.#ended) this.#session.send(HostFrame.Data, this.#channel, new Uint8Array(0), FrameFlag.End);
  }

  resize({ rows, columns }: TerminalSize): void {
    if (this.#ended) return;
    const payload = new Uint8Array(4);
    const view = new DataView(payload.buffer);
    view.setUint16(0, rows, true);
    view.setUint16(2, columns, true);
    this.#session.send(HostFrame.Resize, this.#channel, payload);
  }

  /** Kills the command and its group, and forgets it. */
  kill(): void {
    if (this.#ended) return;
    this.#session.send(HostFrame.Close, this.#channel, new Uint8Array(0));
    this.#fail(new AgentLost('the command was abandoned'));
  }

  #onFrame(frame: Frame): void {
    switch (frame.type) {
      case GuestFrame.Started:
        return this.#settleStarted.resolve();
      case GuestFrame.Out:
        return this.#consume('stdout', frame.payload);
      case GuestFrame.Err:
        return this.#consume('stderr', frame.payload);
      case GuestFrame.Credit:
        return this.#stdin.add(decodeCredit(frame.payload));
      case GuestFrame.Exit:
        return this.#exit(frame);
      default: {
        const reply = replyOf(frame);
        if (reply) this.#fail(new GuestError(reply.errno));
      }
    }
  }

  #consume(stream: 'stdout' | 'stderr', payload: Uint8Array): void {
    if (payload.length === 0) return;
    // The payload is part of all that came with it, which must not be kept.
    const bytes = payload.slice();
    if (!this.#output.accepts(bytes.length)) {
      this.#session.send(HostFrame.Close, this.#channel, new Uint8Array(0));
      return this.#fail(new GuestError(EPROTO));
    }
    this.#consuming = this.#consuming.then(async () => {
      await this.#onOutput(stream, bytes);
      this.#output.consumed(bytes.length);
    });
    this.#consuming.catch(() => this.kill());
  }

  #exit({ flags, payload }: Frame): void {
    if (payload.length < 8) return;
    const view = new DataView(payload.buffer, payload.byteOffset);
    const signal = view.getInt32(4, true);
    const exitCode = signal === 0 ? view.getInt32(0, true) : 128 + signal;
    this.#end(new AgentLost('the command has ended'));
    this.#consuming.then(
      () => this.#settleExited.resolve({ exitCode, timedOut: (flags & FrameFlag.End) !== 0 }),
      (error: unknown) => this.#settleExited.reject(error instanceof Error ? error : new Error(String(error))),
    );
  }

  #fail(error: Error): void {
    this.#end(error);
    this.#settleStarted.reject(error);
    this.#settleExited.reject(error);
  }

  #end(error: Error): void {
    this.#ended = true;
    this.#session.close(this.#channel);
    this.#stdin.fail(error);
  }
}

/** u32 credit, uid, gid, timeoutMs · u16 rows, columns, flags, argc, envc, 0 · cwd, arguments, environment, each with NUL. */
function encodeRequest({ command, env, cwd, timeoutMs, stdin, terminal }: ExecOptions): Uint8Array {
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const strings = [cwd, ...command, ...variables];
  if (strings.some((string) => string.includes('\0'))) throw new GuestError(EINVAL);
  const tail = new TextEncoder().encode(strings.map((string) => `${string}\0`).join(''));
  if (strings.length > MAX_STRINGS || tail.length > MAX_REQUEST_BYTES) throw new GuestError(E2BIG);
  const request = new Uint8Array(28 + tail.length);
  const view = new DataView(request.buffer);
  view.setUint32(0, OUTPUT_WINDOW_BYTES, true);
  view.setUint32(12, timeoutMs, true);
  view.setUint16(16, terminal?.rows ?? 0, true);
  view.setUint16(18, terminal?.columns ?? 0, true);
  view.setUint16(20, (terminal ? ExecFlag.Pty : 0) | (stdin ? ExecFlag.Stdin : 0), true);
  view.setUint16(22, command.length, true);
  view.setUint16(24, variables.length, true);
  request.set(tail, 28);
  return request;
}
