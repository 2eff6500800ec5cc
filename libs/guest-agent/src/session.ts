import { AgentLost, GuestError } from './errno.ts';
import { encodeFreshness, type Freshness } from './freshness.ts';
import { encodeFrame, FrameDecoder, FrameFlag, GuestFrame, HostFrame, MAX_HOST_PAYLOAD_BYTES, type Frame } from './frame.ts';
import type { Timers } from './timers.ts';

/** The agent serves 64 channels at once; some stay free for probes and short requests. */
const MAX_CHANNELS = 56;
const HELLO_AGAIN_AFTER_MS = [50, 100, 200, 400, 800, 1600];
const PROBE_EVERY_MS = 10_000;
const SILENT_AFTER_MS = 30_000;
const REQUEST_DEADLINE_MS = 30_000;

export interface SessionPort {
  /** Sends one message to the guest, in order. */
  write(message: Uint8Array): void;
  /** Bytes the guest has not taken yet. */
  readonly waitingBytes: number;
}

export interface SessionEvents {
  /** The agent answered a HELLO, or a probe after a silence. */
  readonly onAnswered: () => void;
  readonly onSilent: () => void;
}

export interface SessionOptions {
  readonly port: SessionPort;
  readonly timers: Timers;
  readonly randomBytes: (count: number) => Uint8Array;
  /** What the guest is told at every HELLO: read anew each time, for the clock in it. */
  readonly freshness: () => Freshness;
  readonly events: SessionEvents;
}

/** What belongs to one request: frames of its channel, until it is closed. */
export interface ChannelHandler {
  onFrame(frame: Frame): void;
  onLost(error: AgentLost): void;
}

/** Too many requests are under way in this guest. */
export class AgentBusy extends Error {
  override readonly name = 'AgentBusy';
}

/**
 * The host's side of the conversation with one guest agent. A session begins with a HELLO that carries a number of its
 * own; its low 16 bits, the epoch, mark every frame, so that frames of an earlier host or of before a restore are
 * dropped. Bytes in by `receive`, bytes out by the port; nothing here knows how either travels.
 */
export class AgentSession {
  readonly #options: SessionOptions;
  readonly #decoder = new FrameDecoder();
  readonly #channels = new Map<number, ChannelHandler>();
  #session: Uint8Array = new Uint8Array(8);
  #epoch = 0;
  #nextChannel = 1;
  #connected = false;
  #silent = false;
  #suspended = false;
  #heard = false;
  #silentForMs = 0;
  #cancelTimer: (() => void) | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  /** Whether the agent has answered this session and is not silent. */
  get available(): boolean {
    return this.#connected && !this.#silent;
  }

  /** Greets the agent, again and again until it answers. An agent that starts later greets first. */
  connect(): void {
    this.#abandon('the conversation with the guest agent began anew');
    this.#connected = false;
    this.#suspended = false;
    this.#session = this.#options.randomBytes(8);
    // Epoch 0 is the agent's own, before any session.
    this.#epoch = (this.#session[0] ?? 0) | ((this.#session[1] ?? 0) << 8) || 1;
    this.#hello(0);
  }

  /** Stops probing, as while the guest is paused. */
  suspend(): void {
    this.#suspended = true;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  /** Takes up probing, and tells the guest what time it is. */
  resume(): void {
    this.#silentForMs = 0;
    const wasSuspended = this.#suspended;
    this.#suspended = false;
    if (!this.#connected) {
      // The greeting that waits tells the time from before.
      if (wasSuspended && this.#options.port.waitingBytes > 0) this.#greet();
      return this.#hello(0);
    }
    this.request(HostFrame.Fresh, encodeFreshness({ epochMilliseconds: this.#options.freshness().epochMilliseconds })).catch(
      () => undefined,
    );
    this.#probeLater();
  }

  /** Ends the conversation: every request under way fails for this reason. `connect` begins another. */
  dispose(why: string): void {
    this.suspend();
    this.#connected = false;
    this.#abandon(why);
  }

  receive(bytes: Uint8Array): void {
    for (const frame of this.#decoder.push(bytes)) this.#onFrame(frame);
  }

  /** One request that is answered by one Reply. Resolves with what follows the errno; rejects with GuestError. */
  request(type: number, payload: Uint8Array, deadlineMs = REQUEST_DEADLINE_MS): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const channel = this.open({
        onFrame: (frame) => {
          const answer = replyOf(frame);
          if (!answer) return;
          finish();
          if (answer.errno === 0) resolve(answer.rest);
          else reject(new GuestError(answer.errno));
        },
        onLost: (error) => {
          finish();
          reject(error);
        },
      });
      const cancel = this.#options.timers.after(deadlineMs, () => {
        finish();
        this.send(HostFrame.Close, channel, new Uint8Array(0));
        reject(new AgentLost(`the guest agent did not answer within ${deadlineMs / 1000} s`));
      });
      const finish = (): void => {
        cancel();
        this.close(channel);
      };
      this.send(type, channel, payload);
    });
  }

  /** Whether the agent answers in time, asked right now. */
  ping(deadlineMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const finish = (answered: boolean): void => {
        cancel();
        this.close(channel);
        resolve(answered);
      };
      const channel = this.open({ onFrame: () => finish(true), onLost: () => finish(false) }, Number.POSITIVE_INFINITY);
      const cancel = this.#options.timers.after(deadlineMs, () => finish(false));
      this.send(HostFrame.Ping, channel, new Uint8Array(0));
    });
  }

  /** A new channel; its frames go to the handler. */
  open(handler: ChannelHandler, limit = MAX_CHANNELS): number {
    if (!this.#connected) throw new AgentLost('the guest agent has not answered yet');
    if (this.#channels.size >= limit) throw new AgentBusy(`${MAX_CHANNELS} requests are under way in this machine already`);
    const channel = this.#nextChannel;
    this.#nextChannel = (this.#nextChannel % 0x7fff_ffff) + 1;
    this.#channels.set(channel, handler);
    return channel;
  }

  close(channel: number): void {
    this.#channels.delete(channel);
  }

  /** Sends one message, cut into frames where it does not fit one; the agent puts frames marked More together. */
  send(type: number, channel: number, payload: Uint8Array, flags = 0): void {
    let from = 0;
    do {
      const part = payload.subarray(from, from + MAX_HOST_PAYLOAD_BYTES);
      from += part.length;
      const more = from < payload.length ? FrameFlag.More : 0;
      this.#options.port.write(encodeFrame({ type, flags: flags | more, epoch: this.#epoch, channel, payload: part }));
    } while (from < payload.length);
  }

  #hello(attempt: number): void {
    // A guest that takes nothing gets one greeting, not a heap of them, however often it says that it is up.
    if (this.#options.port.waitingBytes === 0) this.#greet();
    const afterMs = HELLO_AGAIN_AFTER_MS[attempt] ?? HELLO_AGAIN_AFTER_MS.at(-1) ?? 0;
    this.#timer(afterMs, () => this.#hello(attempt + 1));
  }

  #greet(): void {
    const flags = new Uint8Array(4);
    this.send(HostFrame.Hello, 0, Uint8Array.of(...this.#session, ...flags, ...encodeFreshness(this.#options.freshness())));
  }

  #onFrame(frame: Frame): void {
    if (frame.type === GuestFrame.Hello) return this.#onHello(frame);
    if (!this.#connected || frame.epoch !== this.#epoch) return;
    this.#hear();
    this.#channels.get(frame.channel)?.onFrame(frame);
  }

  #onHello({ flags, payload }: Frame): void {
    // An agent that says "I am up" has just started: whatever ran under the one before is gone.
    if (flags & FrameFlag.End) return this.connect();
    const answersUs = payload.length >= 8 && this.#session.every((byte, index) => payload[index] === byte);
    if (!answersUs || this.#connected) return;
    this.#connected = true;
    this.#silent = false;
    this.#silentForMs = 0;
    this.#probeLater();
    this.#options.events.onAnswered();
  }

  #probeLater(): void {
    this.#heard = false;
    this.#timer(PROBE_EVERY_MS, () => {
      this.#silentForMs = this.#heard ? 0 : this.#silentForMs + PROBE_EVERY_MS;
      if (this.#silentForMs > SILENT_AFTER_MS && !this.#silent) {
        this.#silent = true;
        // Should it come back, it must not go on with what nobody waits for any more.
        for (const channel of this.#channels.keys()) this.send(HostFrame.Close, channel, new Uint8Array(0));
        this.#abandon('the guest agent has fallen silent');
        this.#options.events.onSilent();
      }
      const tooMuchWaits = this.#options.port.waitingBytes > 0 && this.#silent;
      if (!tooMuchWaits) void this.ping(SILENT_AFTER_MS);
      this.#probeLater();
    });
  }

  #hear(): void {
    this.#heard = true;
    this.#silentForMs = 0;
    if (!this.#silent) return;
    this.#silent = false;
    this.#options.events.onAnswered();
  }

  #timer(milliseconds: number, call: () => void): void {
    this.#cancelTimer?.();
    this.#cancelTimer = this.#options.timers.after(milliseconds, call);
  }

  #abandon(why: string): void {
    const handlers = [...this.#channels.values()];
    this.#channels.clear();
    for (const handler of handlers) handler.onLost(new AgentLost(why));
  }
}

/** The errno and the rest of a Reply; undefined for other frames. */
export function replyOf({ type, payload }: Frame): { readonly errno: number; readonly rest: Uint8Array } | undefined {
  if (type !== GuestFrame.Reply || payload.length < 4) return undefined;
  return { errno: new DataView(payload.buffer, payload.byteOffset).getInt32(0, true), rest: payload.subarray(4) };
}
