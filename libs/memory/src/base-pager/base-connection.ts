import type { Libc } from '../host/libc.ts';
import { MappingFailed } from '../host/mapping-failed.ts';
import { MemoryBlock } from '../host/memory-block.ts';
import { AF_UNIX, CLOSE_ON_EXEC, MSG_NOSIGNAL, POLLIN, SOCK_STREAM, type PagerCalls } from '../pager/pager-calls.ts';
import { PollSet, type Pollable } from '../pager/poll-set.ts';
import { BASE_IS_WHOLE } from './base-pager.protocol.ts';

const BUFFER_BYTES = 64 * 1024;
/** Behind what is received lies what is sent. */
const RECEIVED_BYTES = BUFFER_BYTES - 8;
const SUN_PATH_BYTES = 108;
/** Of 64 GiB, more than any machine has. */
const MAX_WORDS = 1 << 19;
/** The agent itself gives up long before. */
const ANSWER_DEADLINE_MS = 120_000;

/** The node agent said that the base cannot be had, or is gone. */
export class BaseLost extends Error {
  override readonly name = 'BaseLost';
}

/** The pager's side of a connection to the node agent (apps/worker/src/bases/base-requests.ts). Blocks: its thread has nothing else to do meanwhile. */
export class BaseConnection implements Pollable {
  readonly fd: number;
  readonly events = POLLIN;
  /** One bit per page: whether the base has it, now or later. */
  readonly #held: Uint32Array;
  readonly #libc: Libc;
  readonly #calls: PagerCalls;
  readonly #block: MemoryBlock;
  readonly #poll: PollSet;
  readonly #view: DataView;
  #rest = 0;
  #isWhole = false;

  /** Throws MappingFailed where nobody answers. */
  constructor(libc: Libc, calls: PagerCalls, path: string) {
    this.#libc = libc;
    this.#calls = calls;
    this.#block = MemoryBlock.anonymous(libc, BUFFER_BYTES);
    this.#view = new DataView(this.#block.buffer);
    this.#poll = new PollSet(libc, 1);
    this.fd = calls.socket(AF_UNIX, SOCK_STREAM | CLOSE_ON_EXEC, 0);
    if (this.fd < 0) throw new MappingFailed(`socket failed with errno ${calls.errno()}`);
    const name = Buffer.from(path);
    if (name.length >= SUN_PATH_BYTES) throw new MappingFailed('the path of the agent’s socket is too long');
    const address = new Uint8Array(this.#block.buffer, 0, 2 + SUN_PATH_BYTES);
    address.fill(0);
    this.#view.setUint16(0, AF_UNIX, true);
    address.set(name, 2);
    if (calls.connect(this.fd, this.#block.address, 2 + name.length + 1) !== 0) throw new MappingFailed(`the node agent does not answer for the base (errno ${calls.errno()})`);
    this.#poll.set([this]);
    this.#held = this.#readHeld();
  }

  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Whether the base has the page, and it is not simply zero. */
  has(page: number): boolean {
    return ((this.#held[page >>> 5] ?? 0) & (1 << (page & 31))) !== 0;
  }

  /** Returns when the page is in the base. Throws BaseLost. */
  fetch(page: number): void {
    if (this.#isWhole) return;
    this.#view.setUint32(RECEIVED_BYTES, page, true);
    if (this.#calls.send(this.fd, this.#block.address + RECEIVED_BYTES, 4, MSG_NOSIGNAL) !== 4) throw new BaseLost('the node agent is gone');
    while (!this.#receive().includes(page) && !this.#isWhole);
  }

  /** Reads what has come; to be called when there is something. Throws BaseLost. */
  serve(): void {
    if (!this.#isWhole) this.#receive();
  }

  close(): void {
    this.#calls.close(this.fd);
    this.#poll.free();
    this.#block.free();
  }

  #readHeld(): Uint32Array {
    let words: Uint32Array | undefined;
    let filled = 0;
    for (;;) {
      for (const value of this.#numbers()) {
        if (!words) {
          if (value > MAX_WORDS) throw new MappingFailed('the node agent speaks of more pages than a machine has');
          words = new Uint32Array(value);
        } else if (filled < words.length) words[filled++] = value;
        else if (value === BASE_IS_WHOLE) this.#isWhole = true;
      }
      if (words && filled === words.length) return words;
    }
  }

  /** Waits for the next answers. */
  #receive(): number[] {
    const numbers = this.#numbers();
    if (numbers.includes(BASE_IS_WHOLE)) this.#isWhole = true;
    return numbers;
  }

  #numbers(): number[] {
    const deadlineMs = performance.now() + ANSWER_DEADLINE_MS;
    for (;;) {
      this.#poll.set([this]);
      this.#poll.poll(1_000);
      if (this.#poll.happened(this) !== 0) break;
      if (performance.now() > deadlineMs) throw new BaseLost('the node agent did not answer');
    }
    const received = this.#libc.read(this.fd, this.#block.address + this.#rest, RECEIVED_BYTES - this.#rest);
    if (received <= 0) throw new BaseLost('the node agent says that the base cannot be had');
    const bytes = this.#rest + received;
    const numbers = Array.from({ length: bytes >>> 2 }, (_, at) => this.#view.getUint32(at * 4, true));
    this.#rest = bytes & 3;
    this.#libc.copy(this.#block.address, this.#block.address + bytes - this.#rest, this.#rest);
    return numbers;
  }
}
