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
const LOOK_EVERY_MS = 500;

/** The node agent said that the base cannot be had, or is gone, or says nothing. */
export class BaseLost extends Error {
  override readonly name = 'BaseLost';
}

export interface BaseConnectionOptions {
  readonly libc: Libc;
  readonly calls: PagerCalls;
  readonly path: string;
  /** How long the agent may say nothing while somebody waits. */
  readonly deadlineMs: number;
  /** Called now and then while it waits. */
  readonly alive: () => void;
}

/** The pager's side of a connection to the node agent (base-pager.protocol.ts). Blocks: its thread has nothing else to do meanwhile. */
export class BaseConnection implements Pollable {
  readonly fd: number;
  readonly events = POLLIN;
  readonly #options: BaseConnectionOptions;
  readonly #block: MemoryBlock;
  readonly #poll: PollSet;
  readonly #view: DataView;
  readonly #held: Uint32Array;
  readonly #there: Uint32Array;
  #rest = 0;
  #isWhole = false;

  /** Throws MappingFailed where nobody answers, and BaseLost. */
  constructor(options: BaseConnectionOptions) {
    const { libc, calls, path } = options;
    this.#options = options;
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
    const numbers = this.#readBeginning();
    const words = numbers[0] ?? 0;
    this.#held = Uint32Array.from(numbers.slice(1, 1 + words));
    this.#there = Uint32Array.from(numbers.slice(1 + words, 1 + 2 * words));
    this.#note(numbers.slice(1 + 2 * words));
  }

  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** One bit per page. */
  get held(): Uint32Array {
    return this.#held;
  }

  /** Whether the base has the page, now or later, and it is not simply zero. */
  has(page: number): boolean {
    return bitOf(this.#held, page);
  }

  /** Whether the base has the page now. */
  isThere(page: number): boolean {
    return this.#isWhole ? this.has(page) : bitOf(this.#there, page);
  }

  /** Returns when the page is there. Throws BaseLost. */
  fetch(page: number): void {
    this.#view.setUint32(RECEIVED_BYTES, page, true);
    const { calls } = this.#options;
    if (calls.send(this.fd, this.#block.address + RECEIVED_BYTES, 4, MSG_NOSIGNAL) !== 4) throw new BaseLost('the node agent is gone');
    while (!this.isThere(page)) this.#note(this.#numbers());
  }

  /** Reads what has come; to be called when there is something. Throws BaseLost. */
  serve(): void {
    if (!this.#isWhole) this.#note(this.#numbers());
  }

  close(): void {
    this.#options.calls.close(this.fd);
    this.#poll.free();
    this.#block.free();
  }

  #note(numbers: readonly number[]): void {
    for (const page of numbers) {
      if (page === BASE_IS_WHOLE) this.#isWhole = true;
      else if (page >>> 5 < this.#there.length) this.#there[page >>> 5] = (this.#there[page >>> 5] ?? 0) | (1 << (page & 31));
    }
  }

  /** How many words a set of pages has, both sets, and perhaps more. */
  #readBeginning(): number[] {
    const numbers: number[] = [];
    do {
      numbers.push(...this.#numbers());
      if ((numbers[0] ?? 0) > MAX_WORDS) throw new MappingFailed('the node agent speaks of more pages than a machine has');
    } while (numbers.length < 1 + 2 * (numbers[0] ?? 0));
    return numbers;
  }

  /** The next that are said. Throws BaseLost. */
  #numbers(): number[] {
    const { libc, alive, deadlineMs } = this.#options;
    this.#poll.set([this]);
    // Counted by looks, not by the clock: a process that was stopped meanwhile has not waited.
    for (let silentMs = 0; ; silentMs += LOOK_EVERY_MS) {
      alive();
      this.#poll.poll(LOOK_EVERY_MS);
      if (this.#poll.happened(this) !== 0) break;
      if (silentMs >= deadlineMs) throw new BaseLost(`the node agent has said nothing for ${deadlineMs} ms`);
    }
    const received = libc.read(this.fd, this.#block.address + this.#rest, RECEIVED_BYTES - this.#rest);
    if (received <= 0) throw new BaseLost('the node agent says that the base cannot be had');
    const bytes = this.#rest + received;
    const numbers = Array.from({ length: bytes >>> 2 }, (_, at) => this.#view.getUint32(at * 4, true));
    this.#rest = bytes & 3;
    libc.copy(this.#block.address, this.#block.address + bytes - this.#rest, this.#rest);
    return numbers;
  }
}

const bitOf = (words: Uint32Array, page: number): boolean => ((words[page >>> 5] ?? 0) & (1 << (page & 31))) !== 0;
