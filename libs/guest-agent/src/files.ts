import { decodeCredit, encodeCredit, ReceiveWindow, SendWindow } from './credit.ts';
import { AgentLost, GuestError } from './errno.ts';
import { FrameFlag, GuestFrame, HostFrame, MAX_HOST_PAYLOAD_BYTES, type Frame } from './frame.ts';
import { replyOf, type AgentSession } from './session.ts';

const READ_WINDOW_BYTES = 524_288;
const STAT_BYTES = 44;
const STATS_AT_ONCE = 16;
/** A listing is one answer in memory; larger folders are for a command. */
const MAX_NAMES = 50_000;
const MAX_NAME_BYTES = 8 * 1024 * 1024;
const EPROTO = 71;
const EOVERFLOW = 75;

const StatFlag = { NoFollow: 1 } as const;
const WriteFlag = { Truncate: 1 } as const;

/** stat(2), as far as callers need it. */
export interface GuestFileStat {
  readonly sizeBytes: number;
  readonly modifiedAt: Date;
  /** Type and permission bits, as st_mode has them. */
  readonly mode: number;
}

export interface GuestDirectoryEntry {
  readonly name: string;
  readonly stat: GuestFileStat;
}

interface FileRequest {
  readonly path: string;
  readonly creditBytes?: number;
  readonly mode?: number;
  readonly flags?: number;
}

/**
 * Files in the guest, as root sees them. Every failure of the guest is its errno, as GuestError. What may last long ends
 * with a signal: it rejects with the signal's reason, and the guest is told to let go.
 */
export class GuestFiles {
  readonly #session: AgentSession;

  constructor(session: AgentSession) {
    this.#session = session;
  }

  /** What a path names; a symbolic link is followed unless told not to. */
  async stat(path: string, { follow = true } = {}): Promise<GuestFileStat> {
    const flags = follow ? 0 : StatFlag.NoFollow;
    return decodeStat(await this.#session.request(HostFrame.Stat, encodeRequest({ path, flags })));
  }

  /** The entries of a directory, without `.` and `..`, by name. What vanishes meanwhile is left out. */
  async list(path: string, signal: AbortSignal): Promise<GuestDirectoryEntry[]> {
    const names = await this.#names(path, signal);
    const entries: GuestDirectoryEntry[] = [];
    for (let from = 0; from < names.length; from += STATS_AT_ONCE) {
      signal.throwIfAborted();
      const found = await Promise.all(
        names.slice(from, from + STATS_AT_ONCE).map(async (name) => {
          const stat = await this.stat(`${path.replace(/\/$/, '')}/${name}`, { follow: false }).catch(goneIsNothing);
          return stat && { name, stat };
        }),
      );
      entries.push(...found.filter((entry) => entry !== undefined));
    }
    return entries;
  }

  /** Removes a file, a link or an empty directory. */
  async remove(path: string): Promise<void> {
    await this.#session.request(HostFrame.Remove, encodeRequest({ path }));
  }

  /** Opens a file. The body asks the guest for more as it is read; leaving it early closes the file. */
  read(path: string, signal: AbortSignal): Promise<{ readonly stat: GuestFileStat; readonly body: AsyncGenerator<Uint8Array> }> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const chunks = new ChunkQueue();
      const end = (failure?: Error): void => {
        ignoreSignal();
        this.#session.close(channel);
        if (failure) reject(failure);
        chunks.end(failure);
      };
      const channel = this.#session.open({ onFrame: (frame) => this.#onReadFrame(frame, { chunks, window, end, opened: (stat) => resolve({ stat, body }) }), onLost: end });
      const window = new ReceiveWindow(READ_WINDOW_BYTES, (bytes) =>
        this.#session.send(HostFrame.Credit, channel, encodeCredit(bytes)),
      );
      const abandon = (failure?: Error): void => {
        this.#session.send(HostFrame.Close, channel, new Uint8Array(0));
        end(failure);
      };
      const ignoreSignal = onAbort(signal, abandon);
      const body = chunks.read(window, abandon);
      this.#session.send(HostFrame.Read, channel, encodeRequest({ path, creditBytes: READ_WINDOW_BYTES }));
    });
  }

  /** Replaces a file's content, as fast as the guest takes it; a failing source leaves what was written so far. */
  async write(path: string, mode: number, source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const window = new SendWindow(0);
    const done = Promise.withResolvers<undefined>();
    done.promise.catch(() => undefined);
    const fail = (error: Error): void => {
      window.fail(error);
      done.reject(error);
    };
    const channel = this.#session.open({
      onFrame: (frame) => {
        if (frame.type === GuestFrame.Credit) return window.add(decodeCredit(frame.payload));
        const reply = replyOf(frame);
        if (!reply) return;
        this.#session.close(channel);
        if (reply.errno === 0) done.resolve(undefined);
        else fail(new GuestError(reply.errno));
      },
      onLost: fail,
    });
    const ignoreSignal = onAbort(signal, fail);
    try {
      this.#session.send(HostFrame.Write, channel, encodeRequest({ path, mode, flags: WriteFlag.Truncate }));
      for await (const chunk of source) {
        for (let from = 0; from < chunk.length; ) {
          const count = await window.take(Math.min(chunk.length - from, MAX_HOST_PAYLOAD_BYTES));
          this.#session.send(HostFrame.Data, channel, chunk.subarray(from, from + count));
          from += count;
        }
      }
      // Even an empty file is closed only once the guest has opened it.
      this.#session.send(HostFrame.Data, channel, new Uint8Array(0), FrameFlag.End);
      await done.promise;
    } catch (error) {
      this.#session.send(HostFrame.Close, channel, new Uint8Array(0));
      this.#session.close(channel);
      throw error;
    } finally {
      ignoreSignal();
    }
  }

  #onReadFrame(frame: Frame, { chunks, window, end, opened }: FileReading): void {
    const reply = replyOf(frame);
    if (frame.type === GuestFrame.Out && frame.payload.length === 0) return;
    // The payload is part of all that came with it, which must not be kept.
    if (frame.type === GuestFrame.Out && window.accepts(frame.payload.length)) chunks.push(frame.payload.slice());
    else if (reply?.errno === 0 && reply.rest.length >= STAT_BYTES) opened(decodeStat(reply.rest));
    else if (reply && reply.errno !== 0) end(new GuestError(reply.errno));
    else if (frame.type === GuestFrame.End) end(decodeErrno(frame.payload) === 0 ? undefined : new GuestError(decodeErrno(frame.payload)));
    else {
      this.#session.send(HostFrame.Close, frame.channel, new Uint8Array(0));
      end(new GuestError(EPROTO));
    }
  }

  #names(path: string, signal: AbortSignal): Promise<string[]> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const names: string[] = [];
      let bytes = 0;
      const end = (failure?: Error): void => {
        ignoreSignal();
        this.#session.close(channel);
        if (failure) reject(failure);
        else resolve(names.sort());
      };
      const channel = this.#session.open({
        onFrame: (frame) => {
          const reply = replyOf(frame);
          if (reply) return end(reply.errno === 0 ? undefined : new GuestError(reply.errno));
          if (frame.type !== GuestFrame.Out) return;
          names.push(...decodeNames(frame.payload));
          bytes += frame.payload.length;
          if (names.length > MAX_NAMES || bytes > MAX_NAME_BYTES) abandon(new GuestError(EOVERFLOW));
        },
        onLost: end,
      });
      const abandon = (failure: Error): void => {
        this.#session.send(HostFrame.Close, channel, new Uint8Array(0));
        end(failure);
      };
      const ignoreSignal = onAbort(signal, abandon);
      this.#session.send(HostFrame.List, channel, encodeRequest({ path }));
    });
  }
}

interface FileReading {
  readonly chunks: ChunkQueue;
  readonly window: ReceiveWindow;
  readonly end: (failure?: Error) => void;
  readonly opened: (stat: GuestFileStat) => void;
}

/** Between frames that arrive and a reader that pulls; bounded by the credit the guest has. */
class ChunkQueue {
  #chunks: Uint8Array[] = [];
  #ended = false;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#wake?.();
  }

  end(failure?: Error): void {
    this.#ended = true;
    this.#failure = failure;
    this.#wake?.();
  }

  async *read(window: ReceiveWindow, abandon: () => void): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        const chunk = this.#chunks.shift();
        if (chunk) {
          yield chunk;
          window.consumed(chunk.length);
        } else if (this.#failure) throw this.#failure;
        else if (this.#ended) return;
        else await this.#more();
      }
    } finally {
      if (!this.#ended) abandon();
    }
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

/** u64 offset, length · u32 credit, mode, 0, flags · path and NUL. */
function encodeRequest({ path, creditBytes = 0, mode = 0, flags = 0 }: FileRequest): Uint8Array {
  if (path.includes('\0')) throw new GuestError(22);
  const tail = new TextEncoder().encode(`${path}\0`);
  const request = new Uint8Array(32 + tail.length);
  const view = new DataView(request.buffer);
  view.setUint32(16, creditBytes, true);
  view.setUint32(20, mode, true);
  view.setUint32(28, flags, true);
  request.set(tail, 32);
  return request;
}

/** u64 size, modified (ns), inode · u32 mode, uid, gid, links, device. */
function decodeStat(bytes: Uint8Array): GuestFileStat {
  if (bytes.length < STAT_BYTES) throw new AgentLost('the guest agent answered with a short stat');
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return {
    sizeBytes: Number(view.getBigUint64(0, true)),
    modifiedAt: new Date(Number(view.getBigUint64(8, true) / 1_000_000n)),
    mode: view.getUint32(24, true),
  };
}

/** Per entry: u8 type, u16 length, name. */
function decodeNames(bytes: Uint8Array): string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const names: string[] = [];
  for (let at = 0; at + 3 <= bytes.length; ) {
    const end = at + 3 + view.getUint16(at + 1, true);
    const name = new TextDecoder().decode(bytes.subarray(at + 3, end));
    if (name !== '.' && name !== '..') names.push(name);
    at = end;
  }
  return names;
}

function decodeErrno(payload: Uint8Array): number {
  return payload.length < 4 ? EPROTO : new DataView(payload.buffer, payload.byteOffset).getInt32(0, true);
}

/** Calls with the reason when the signal is aborted; returns how to stop that. */
function onAbort(signal: AbortSignal, call: (reason: Error) => void): () => void {
  const aborted = (): void => call(signal.reason instanceof Error ? signal.reason : new AgentLost(String(signal.reason)));
  signal.addEventListener('abort', aborted, { once: true });
  return () => signal.removeEventListener('abort', aborted);
}

function goneIsNothing(error: unknown): undefined {
  if (error instanceof GuestError && error.code === 'ENOENT') return undefined;
  throw error;
}
