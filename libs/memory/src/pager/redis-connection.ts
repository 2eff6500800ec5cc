import type { Libc } from '../host/libc.ts';
import { EAGAIN } from '../host/libc.ts';
import { MemoryBlock } from '../host/memory-block.ts';
import type { Breaker } from './breaker.ts';
import {
  CLOSE_ON_EXEC, EINPROGRESS, IPPROTO_TCP, MSG_NOSIGNAL, NON_BLOCKING, POLLERR, POLLHUP, POLLIN, POLLOUT, SO_ERROR, SOCK_STREAM, SOL_SOCKET, TCP_NODELAY,
  type PagerCalls,
} from './pager-calls.ts';
import { socketAddress, type RedisAddress } from './redis-address.ts';
import { RespReader, RespViolation, RespWriter, type RespReply } from './resp.ts';

const BUFFER_BYTES = 256 * 1024;
const EXTRA_BYTES = 4096;
const AF_UNIX = 1;

/** Called with the reply, or with nothing when the connection was lost before it came. */
type Waiter = (reply: RespReply | undefined) => void;

/**
 * One connection to a Redis server that never blocks: whoever owns it polls its descriptor and calls `serve`. No event
 * loop: the thread it lives in answers page faults. A reply that came late is never taken for another's: a connection on
 * which somebody gave up waiting is closed.
 */
export class RedisConnection {
  readonly #libc: Libc;
  readonly #calls: PagerCalls;
  readonly #address: RedisAddress;
  readonly #breaker: Breaker;
  readonly #block: MemoryBlock;
  readonly #writer: RespWriter;
  readonly #reader: RespReader;
  readonly #sendBase: number;
  readonly #sendView: Uint8Array;
  #waiters: Waiter[] = [];
  #phase: 'Closed' | 'Connecting' | 'Ready' = 'Closed';
  #fd = -1;
  readonly #onConnecting: () => void;

  constructor(libc: Libc, calls: PagerCalls, address: RedisAddress, breaker: Breaker, onConnecting: () => void) {
    this.#onConnecting = onConnecting;
    this.#libc = libc;
    this.#calls = calls;
    this.#address = address;
    this.#breaker = breaker;
    this.#block = MemoryBlock.anonymous(libc, 2 * BUFFER_BYTES + EXTRA_BYTES);
    this.#reader = new RespReader(new Uint8Array(this.#block.buffer, 0, BUFFER_BYTES));
    this.#sendView = new Uint8Array(this.#block.buffer, BUFFER_BYTES, BUFFER_BYTES);
    this.#writer = new RespWriter(this.#sendView);
    this.#sendBase = this.#block.address;
  }

  /** -1 while there is none. */
  get fd(): number {
    return this.#fd;
  }

  /** What to poll for. */
  get events(): number {
    return POLLIN | (this.#phase === 'Connecting' || this.#writer.waiting.byteLength > 0 ? POLLOUT : 0);
  }

  /** Commands that have not been answered. */
  get unanswered(): number {
    return this.#waiters.length;
  }

  /** Whether commands can be sent; begins to connect where that is due. */
  ensure(nowMs: number): boolean {
    if (this.#phase !== 'Closed') return true;
    if (!this.#breaker.allows(nowMs)) return false;
    this.#open(nowMs);
    return (this.#phase as string) !== 'Closed';
  }

  /** Sends a command; false where there is no connection or no room. */
  send(words: readonly (string | Uint8Array)[], onReply: Waiter): boolean {
    if (this.#phase === 'Closed' || !this.#writer.write(words)) return false;
    this.#waiters.push(onReply);
    return true;
  }

  /** Writes and reads what is possible now. `happened` is what poll said. */
  serve(happened: number, nowMs: number): void {
    if (this.#phase === 'Closed') return;
    if (this.#phase === 'Connecting') {
      if ((happened & (POLLOUT | POLLERR | POLLHUP)) === 0) return;
      if (this.#socketError() !== 0) return this.fail(nowMs);
      this.#phase = 'Ready';
    }
    this.#flush(nowMs);
    if (happened & (POLLIN | POLLERR | POLLHUP)) this.#receive(nowMs);
  }

  /** Writes what waits, without waiting for the next poll. */
  flush(nowMs: number): void {
    if (this.#phase === 'Ready') this.#flush(nowMs);
  }

  /** Closes because of a failure: nobody connects again before the breaker allows it. */
  fail(nowMs: number): void {
    this.#breaker.failed(nowMs);
    this.close();
  }

  close(): void {
    if (this.#fd >= 0) this.#calls.close(this.#fd);
    this.#fd = -1;
    this.#phase = 'Closed';
    this.#writer.clear();
    this.#reader.clear();
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter(undefined);
  }

  #open(nowMs: number): void {
    const { family, bytes } = socketAddress(this.#address);
    this.#fd = this.#calls.socket(family, SOCK_STREAM | NON_BLOCKING | CLOSE_ON_EXEC, 0);
    if (this.#fd < 0) return this.fail(nowMs);
    const scratch = 2 * BUFFER_BYTES;
    if (family !== AF_UNIX) {
      new DataView(this.#block.buffer).setInt32(scratch, 1, true);
      this.#calls.setsockopt(this.#fd, IPPROTO_TCP, TCP_NODELAY, this.#block.address + scratch, 4);
    }
    new Uint8Array(this.#block.buffer, scratch, bytes.byteLength).set(bytes);
    const connected = this.#calls.connect(this.#fd, this.#block.address + scratch, bytes.byteLength);
    if (connected !== 0 && this.#calls.errno() !== EINPROGRESS) return this.fail(nowMs);
    this.#phase = connected === 0 ? 'Ready' : 'Connecting';
    this.#onConnecting();
    this.#introduce(nowMs);
  }

  #introduce(nowMs: number): void {
    const { username, password, database } = this.#address;
    const expectOk: Waiter = (reply) => {
      if (reply && reply.type !== 'Simple') this.fail(nowMs);
    };
    if (password !== undefined) this.send(['AUTH', ...(username === undefined ? [] : [username]), password], expectOk);
    if (database !== 0) this.send(['SELECT', String(database)], expectOk);
  }

  #flush(nowMs: number): void {
    for (;;) {
      const waiting = this.#writer.waiting;
      if (waiting.byteLength === 0) return;
      const sent = this.#calls.send(this.#fd, this.#sendBase + waiting.byteOffset, waiting.byteLength, MSG_NOSIGNAL);
      if (sent < 0) return this.#calls.errno() === EAGAIN ? undefined : this.fail(nowMs);
      this.#writer.taken(sent);
    }
  }

  #receive(nowMs: number): void {
    try {
      while (this.#fd >= 0) {
        const { offset, length } = this.#reader.room();
        const received = this.#calls.recv(this.#fd, this.#block.address + offset, length, 0);
        if (received < 0 && this.#calls.errno() === EAGAIN) return;
        if (received <= 0) return this.fail(nowMs);
        this.#reader.put(received);
        for (let reply = this.#reader.next(); reply; reply = this.#reader.next()) {
          const waiter = this.#waiters.shift();
          if (!waiter) return this.fail(nowMs);
          waiter(reply);
          if (this.#fd < 0) return;
        }
      }
    } catch (error) {
      if (!(error instanceof RespViolation)) throw error;
      this.fail(nowMs);
    }
  }

  #socketError(): number {
    const scratch = 2 * BUFFER_BYTES;
    const view = new DataView(this.#block.buffer, scratch, 8);
    view.setInt32(4, 4, true);
    if (this.#calls.getsockopt(this.#fd, SOL_SOCKET, SO_ERROR, this.#block.address + scratch, this.#block.address + scratch + 4) !== 0) return this.#calls.errno();
    return view.getInt32(0, true);
  }
}
