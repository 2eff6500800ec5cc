import { send } from '../api/request.ts';
import { retryDelayMs } from './reflector.ts';

/** One message of `/live`, from the server. Watch messages carry the id of the watch they answer. */
interface LiveMessage {
  readonly id?: number;
  readonly type: string;
  readonly object?: unknown;
  readonly now?: string;
}

export interface LiveWatch {
  /** Collection path with its query. */
  readonly path: string;
  /** The version to begin after, asked anew each time the connection comes back. */
  cursor(): string;
  received(message: { readonly type: string; readonly object: unknown }): void;
}

export type Connection =
  | { readonly state: 'Connecting' }
  | { readonly state: 'Live' }
  | { readonly state: 'Offline'; readonly since: Date; readonly retryAt: Date };

/** The server pings every 15 s: two missed and the connection is dead, even if TCP has not noticed. */
const SILENCE_MS = 40_000;

/**
 * The one WebSocket of a tab: carries every watch, multiplexed. It connects at the first watch, comes back by itself,
 * and takes up each watch where its reader stands; so readers never notice more than silence.
 */
export class LiveSocket {
  readonly #watches = new Map<number, LiveWatch>();
  readonly #listeners = new Set<() => void>();
  #socket: WebSocket | undefined;
  #nextId = 1;
  #failures = 0;
  #silence: ReturnType<typeof setTimeout> | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #connection: Connection = { state: 'Connecting' };
  #clockOffsetMs = 0;

  /** Stops at the returned function. */
  watch(watch: LiveWatch): () => void {
    const id = this.#nextId++;
    this.#watches.set(id, watch);
    if (this.#socket?.readyState === WebSocket.OPEN) this.#ask(id, watch);
    else this.#connect();
    return () => {
      if (this.#watches.delete(id) && this.#socket?.readyState === WebSocket.OPEN)
        this.#socket.send(JSON.stringify({ id, type: 'stop' }));
    };
  }

  /** Tries at once instead of when the back-off is over. */
  reconnect(): void {
    if (this.#connection.state === 'Offline') this.#connect();
  }

  /** Ends the connection and every watch, as at sign-out. */
  close(): void {
    this.#watches.clear();
    clearTimeout(this.#retry);
    this.#drop();
    this.#setConnection({ state: 'Connecting' });
  }

  get connection(): Connection {
    return this.#connection;
  }

  /** Server time minus this browser's. */
  get clockOffsetMs(): number {
    return this.#clockOffsetMs;
  }

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  #connect(): void {
    clearTimeout(this.#retry);
    if (this.#socket) return;
    const socket = new WebSocket(new URL('/live', location.href.replace(/^http/, 'ws')));
    this.#socket = socket;
    let isHeard = false;
    socket.onopen = () => {
      this.#heard();
      for (const [id, watch] of this.#watches) this.#ask(id, watch);
    };
    socket.onmessage = ({ data }) => {
      isHeard = true;
      this.#failures = 0;
      this.#heard();
      // Not at open: something between that takes sockets and drops them again is not the server.
      if (this.#connection.state !== 'Live') this.#setConnection({ state: 'Live' });
      if (typeof data === 'string') this.#receive(JSON.parse(data) as LiveMessage);
    };
    socket.onclose = () => {
      // A browser does not say why a handshake was refused. If it was for want of a session, this request's 401 says so.
      if (!isHeard) void send('/auth/session').catch(() => undefined);
      this.#closed(socket);
    };
  }

  #ask(id: number, watch: LiveWatch): void {
    this.#socket?.send(JSON.stringify({ id, type: 'watch', path: watch.path, resourceVersion: watch.cursor() }));
  }

  #receive(message: LiveMessage): void {
    if (message.type === 'ping') {
      if (message.now !== undefined) this.#clockOffsetMs = Date.parse(message.now) - Date.now();
      return;
    }
    const watch = message.id === undefined ? undefined : this.#watches.get(message.id);
    if (message.id === undefined || !watch) return;
    // The server is done with this id; the reader asks again with another if it wants to.
    if (message.type === 'ERROR' || message.type === 'CLOSED') this.#watches.delete(message.id);
    watch.received({ type: message.type, object: message.object });
  }

  #heard(): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => {
      const socket = this.#socket;
      this.#drop();
      if (socket) this.#closed(socket);
    }, SILENCE_MS);
  }

  #drop(): void {
    clearTimeout(this.#silence);
    const socket = this.#socket;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
    this.#socket = undefined;
  }

  #closed(socket: WebSocket): void {
    if (this.#socket && this.#socket !== socket) return;
    clearTimeout(this.#silence);
    this.#socket = undefined;
    if (this.#watches.size === 0) return;
    this.#failures += 1;
    const ms = retryDelayMs(this.#failures, Math.random(), 0);
    const since = this.#connection.state === 'Offline' ? this.#connection.since : new Date();
    this.#setConnection({ state: 'Offline', since, retryAt: new Date(Date.now() + ms) });
    this.#retry = setTimeout(() => this.#connect(), ms);
  }

  #setConnection(connection: Connection): void {
    this.#connection = connection;
    this.#listeners.forEach((listener) => listener());
  }
}
