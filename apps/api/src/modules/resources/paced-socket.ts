import type { WebSocket } from 'ws';

/** Beyond this many unread bytes whoever sends has to wait. */
const HIGH_WATER_BYTES = 256 * 1024;
/** A client that takes nothing for this long is cut off; it comes back and resumes. */
const STALLED_MS = 30_000;

/** A WebSocket that takes no more than its client reads, whatever there is to say: ws itself keeps everything in memory. */
export class PacedSocket {
  #draining: Promise<void> | undefined;

  constructor(
    private readonly socket: WebSocket,
    private readonly stalledMs = STALLED_MS,
  ) {}

  /** Resolves when more may be said: at once, when the client has read enough, or when it is gone. Never rejects. */
  send(message: object): Promise<void> {
    const flushed = new Promise<void>((resolve) => this.socket.send(JSON.stringify(message), () => resolve()));
    if (this.socket.bufferedAmount > HIGH_WATER_BYTES) this.#draining ??= this.#drain(flushed);
    return this.#draining ?? Promise.resolve();
  }

  async #drain(flushed: Promise<void>): Promise<void> {
    const cutOff = setTimeout(() => this.socket.terminate(), this.stalledMs);
    // Nor may a client ask for more than it reads.
    this.socket.pause();
    await flushed;
    clearTimeout(cutOff);
    this.#draining = undefined;
    this.socket.resume();
  }
}
