import { retryDelayMs } from '../../live/reflector.ts';
import { EXEC_PROTOCOL, readFrame, resizeFrame, stdinFrame } from './exec-channels.ts';

export type TerminalKind = 'serial' | 'shell';
export type LinkState =
  | { readonly state: 'Connecting' }
  | { readonly state: 'Connected'; readonly silent: boolean }
  | { readonly state: 'Reconnecting'; readonly retryAt: number }
  | { readonly state: 'Ended'; readonly message: string };

export interface TerminalSink {
  /** A new connection brings everything again: what is shown goes. */
  reset(): void;
  write(bytes: Uint8Array): void;
  changed(state: LinkState): void;
}

const REPLAY_BYTES = 65_536;
/** A shell refused this often is refused for good. */
const MAX_SHELL_FAILURES = 3;

/** Carries a terminal's bytes. Serial comes back by itself with its replay; a shell that ended stays ended. */
export class TerminalLink {
  readonly #kind: TerminalKind;
  readonly #url: URL;
  readonly #sink: TerminalSink;
  #socket: WebSocket | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;
  #size = { columns: 80, rows: 24 };
  #closed = false;

  constructor(kind: TerminalKind, path: string, sink: TerminalSink) {
    this.#kind = kind;
    this.#sink = sink;
    this.#url = new URL(path, location.href.replace(/^http/, 'ws'));
    const query =
      kind === 'serial'
        ? [['replay', String(REPLAY_BYTES)]]
        : [
            ['command', 'sh'],
            ['command', '-l'],
            ['env', 'TERM=xterm-256color'],
            ['stdin', 'true'],
            ['stdout', 'true'],
            ['tty', 'true'],
          ];
    for (const [key = '', value = ''] of query) this.#url.searchParams.append(key, value);
    this.#connect();
  }

  send(text: string): void {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#socket.send(this.#kind === 'serial' ? new TextEncoder().encode(text) : stdinFrame(text));
  }

  resize(columns: number, rows: number): void {
    this.#size = { columns, rows };
    if (this.#kind === 'shell' && this.#socket?.readyState === WebSocket.OPEN)
      this.#socket.send(resizeFrame(columns, rows));
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#socket?.close();
  }

  #connect(): void {
    this.#sink.changed({ state: 'Connecting' });
    const socket = this.#kind === 'shell' ? new WebSocket(this.#url, EXEC_PROTOCOL) : new WebSocket(this.#url);
    socket.binaryType = 'arraybuffer';
    this.#socket = socket;
    let opened = false;
    let silent = true;
    let ended: string | undefined;
    socket.onopen = () => {
      opened = true;
      this.#failures = 0;
      this.#sink.reset();
      this.#sink.changed({ state: 'Connected', silent: true });
      this.resize(this.#size.columns, this.#size.rows);
    };
    socket.onmessage = ({ data }: MessageEvent<unknown>) => {
      const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : new Uint8Array(data as ArrayBuffer);
      if (silent && bytes.length > 0) {
        silent = false;
        this.#sink.changed({ state: 'Connected', silent });
      }
      if (this.#kind === 'serial') return this.#sink.write(bytes);
      const message = readFrame(bytes);
      if (message.type === 'Output') this.#sink.write(message.bytes);
      if (message.type === 'Ended') ended = message.message;
    };
    socket.onclose = ({ reason }) => {
      if (this.#closed) return;
      this.#failures += 1;
      if (this.#kind === 'shell' && (ended !== undefined || opened || this.#failures >= MAX_SHELL_FAILURES)) {
        this.#sink.changed({ state: 'Ended', message: ended ?? reason });
        return;
      }
      const ms = retryDelayMs(this.#failures, Math.random(), 0);
      this.#sink.changed({ state: 'Reconnecting', retryAt: Date.now() + ms });
      this.#retry = setTimeout(() => this.#connect(), ms);
    };
  }
}
