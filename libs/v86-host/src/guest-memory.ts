import type { V86Cpu } from './v86.internals.ts';

export const PAGE_BYTES = 4096;
/** The BIOS area, the only part of a fresh machine's RAM that is not zero. */
const FIRMWARE_BYTES = 1024 * 1024;
const ZERO_PAGE = Buffer.alloc(PAGE_BYTES);

/** Copied pages, in ascending order: `bytes` holds page `numbers[i]` at `i * PAGE_BYTES`. */
export interface CopiedPages {
  readonly numbers: Uint32Array;
  readonly bytes: Uint8Array;
}

/** Guest RAM, as 4 KiB pages. */
export class GuestMemory {
  readonly #cpu: V86Cpu;

  constructor(cpu: V86Cpu) {
    this.#cpu = cpu;
  }

  get sizeBytes(): number {
    return this.#cpu.memory_size[0] ?? 0;
  }

  /** Copies every page that is not all zero. Call while the guest is paused. */
  copyNonZeroPages(): CopiedPages {
    const memory = this.#view();
    const pages = this.sizeBytes / PAGE_BYTES;
    const numbers: number[] = [];
    for (let page = 0; page < pages; page += 1) {
      // memcmp beats any loop in JavaScript.
      if (ZERO_PAGE.compare(memory, page * PAGE_BYTES, (page + 1) * PAGE_BYTES) !== 0) numbers.push(page);
    }
    const bytes = new Uint8Array(numbers.length * PAGE_BYTES);
    numbers.forEach((page, position) => {
      bytes.set(memory.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES), position * PAGE_BYTES);
    });
    return { numbers: Uint32Array.from(numbers), bytes };
  }

  /** Makes a machine that never ran all zero, so that pages a snapshot does not mention are. */
  clear(): void {
    this.#view().fill(0, 0, FIRMWARE_BYTES);
  }

  /** The place of some pages. Use it at once: any call into the machine may move its memory. */
  place(number: number, count: number): Uint8Array {
    if ((number + count) * PAGE_BYTES > this.sizeBytes) throw new RangeError(`the machine has no page ${number + count - 1}`);
    return this.#view().subarray(number * PAGE_BYTES, (number + count) * PAGE_BYTES);
  }

  /** All of it, under the same rule. */
  whole(): Uint8Array {
    return this.#view();
  }

  /** What v86 holds beside the guest's RAM, and behind it: screen memory and code. Under the same rule. */
  behind(): Uint8Array {
    return new Uint8Array(this.#cpu.wasm_memory.buffer, this.#cpu.mem8.byteOffset + this.sizeBytes);
  }

  /** A fresh view each time: growth of the WebAssembly memory detaches old ones, and v86's own is a Proxy. */
  #view(): Uint8Array {
    return new Uint8Array(this.#cpu.wasm_memory.buffer, this.#cpu.mem8.byteOffset, this.sizeBytes);
  }
}
