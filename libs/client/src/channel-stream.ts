import { Problem } from '@corral/contracts';
import type { WebSocket } from 'ws';
import { z } from 'zod';

/** Channels of `v5.channel.k8s.io`. Source: k8s.io/apimachinery/pkg/util/remotecommand. */
const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
const ERROR = 3;
const RESIZE = 4;
const CLOSE = 0xff;

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** Where a command's output goes, as it comes. */
export interface CommandOutput {
  stdout(bytes: Uint8Array): void;
  stderr(bytes: Uint8Array): void;
}

const Outcome = z.object({
  status: z.enum(['Success', 'Failure']),
  reason: z.string().optional(),
  message: z.string().optional(),
  details: z.object({ causes: z.array(z.object({ reason: z.string().optional(), message: z.string().optional() })).optional() }).optional(),
});

/** Bytes waiting in this process before whoever feeds a command is asked to wait. */
const HIGH_WATER_BYTES = 256 * 1024;

/** A command running in a guest: its streams over one WebSocket, and how it ended. */
export class ChannelStream {
  readonly #socket: WebSocket;
  readonly #ended = Promise.withResolvers<number>();

  constructor(socket: WebSocket, output: CommandOutput) {
    this.#socket = socket;
    socket.on('message', (data: Buffer) => {
      const bytes = data.subarray(1);
      switch (data[0]) {
        case STDOUT:
          return output.stdout(bytes);
        case STDERR:
          return output.stderr(bytes);
        case ERROR:
          return this.#settle(bytes);
        default:
          return undefined;
      }
    });
    socket.on('error', (cause) => this.#ended.reject(new Problem('dependency.unavailable', 'The connection to the machine broke', { cause })));
    socket.on('close', () => this.#ended.reject(new Problem('dependency.unavailable', 'The connection to the machine ended before its command did')));
    // Whoever only writes must not be killed by a rejection nobody waits for.
    this.#ended.promise.catch(() => undefined);
  }

  /** The command's exit code; rejects when it could not run, or the connection broke. */
  get exitCode(): Promise<number> {
    return this.#ended.promise;
  }

  /** Resolves when more may be written. */
  async write(bytes: Uint8Array): Promise<void> {
    this.#send(STDIN, bytes);
    while (this.#socket.bufferedAmount > HIGH_WATER_BYTES && this.#socket.readyState === this.#socket.OPEN) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  endInput(): void {
    this.#send(CLOSE, Uint8Array.of(STDIN));
  }

  resize({ columns, rows }: TerminalSize): void {
    this.#send(RESIZE, Buffer.from(JSON.stringify({ Width: columns, Height: rows })));
  }

  close(): void {
    this.#socket.close();
  }

  #send(channel: number, bytes: Uint8Array): void {
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.send(Buffer.concat([Uint8Array.of(channel), bytes]));
  }

  #settle(bytes: Uint8Array): void {
    const parsed = Outcome.safeParse(parseJson(bytes));
    if (!parsed.success) return this.#ended.reject(new Problem('internal', 'The machine said how the command ended in a form this client does not know'));
    const { status, reason, message, details } = parsed.data;
    if (status === 'Success') return this.#ended.resolve(0);
    const code = details?.causes?.find((cause) => cause.reason === 'ExitCode')?.message;
    if (reason === 'NonZeroExitCode' && code !== undefined) return this.#ended.resolve(Number(code));
    return this.#ended.reject(new Problem('guest.command-refused', message ?? 'The command could not be run'));
  }
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return undefined;
  }
}
