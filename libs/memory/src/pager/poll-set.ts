import { MappingFailed } from '../host/mapping-failed.ts';
import { MemoryBlock } from '../host/memory-block.ts';
import type { Libc } from '../host/libc.ts';

const ENTRY_BYTES = 8;
const EINTR = 4;

/** What can be waited for: a descriptor and the events of interest. A descriptor of -1 is not waited for. */
export interface Pollable {
  readonly fd: number;
  readonly events: number;
}

/** Waits for several descriptors at once. Source: poll(2). */
export class PollSet {
  readonly #libc: Libc;
  readonly #block: MemoryBlock;
  readonly #view: DataView;
  #members: readonly Pollable[] = [];

  constructor(libc: Libc, most: number) {
    this.#libc = libc;
    this.#block = MemoryBlock.anonymous(libc, Math.ceil((most * ENTRY_BYTES) / 4096) * 4096);
    this.#view = new DataView(this.#block.buffer);
  }

  set(members: readonly Pollable[]): void {
    this.#members = members;
    members.forEach(({ fd, events }, at) => {
      this.#view.setInt32(at * ENTRY_BYTES, fd, true);
      this.#view.setInt16(at * ENTRY_BYTES + 4, events, true);
      this.#view.setInt16(at * ENTRY_BYTES + 6, 0, true);
    });
  }

  /** Returns when something happened, or after so many milliseconds. */
  poll(timeoutMs: number): void {
    if (this.#libc.poll(this.#block.address, this.#members.length, timeoutMs) >= 0 || this.#libc.errno() === EINTR) return;
    throw new MappingFailed(`poll failed with errno ${this.#libc.errno()}`);
  }

  happened(member: Pollable): number {
    const at = this.#members.indexOf(member);
    return at < 0 ? 0 : this.#view.getInt16(at * ENTRY_BYTES + 6, true);
  }

  free(): void {
    this.#block.free();
  }
}
