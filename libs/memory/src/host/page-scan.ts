import { closeSync, openSync } from 'node:fs';
import { readWrite } from './ioctl-number.ts';
import { FAILED, type Libc } from './libc.ts';
import { MappingFailed } from './mapping-failed.ts';
import { MemoryBlock } from './memory-block.ts';

/** Source for every number here: include/uapi/linux/fs.h, Documentation/admin-guide/mm/pagemap.rst. Linux 6.7. */
const PAGEMAP_SCAN = readWrite(0x66, 16, 96);
const ARGUMENT_BYTES = 96;
const REGION_BYTES = 24;
const REGIONS = 16_384;
const SCRATCH_BYTES = 4096 + REGIONS * REGION_BYTES;
const WRITE_PROTECT_MATCHING = 1;
const CHECK_ASYNC = 2;

/** What is known of a page. */
export const PageCategory = {
  /** The range is registered for asynchronous write-protection. */
  WriteProtectable: 1,
  /** Written to since it was protected last. Also of a page that is not there and has never been protected. */
  Written: 2,
  /** Of a file or shared memory. Not a private copy of one. */
  File: 4,
  Present: 8,
  /** Swapped out by the host; also said of a missing page that is protected. */
  Swapped: 16,
  /** The host's one page of zeros. */
  Zero: 32,
  Huge: 64,
} as const;

export interface PageQuery {
  /** Categories a page has to have. */
  readonly all: number;
  /** Categories a page may not have. */
  readonly none?: number;
  /** Categories of which a page has to have one. */
  readonly any?: number;
  /** Protect what is found, in the same step: nothing is written unnoticed between finding and protecting. */
  readonly protect?: boolean;
}

/** Asks the kernel about the pages of this process. Throws MappingFailed where it cannot. */
export class PageScan {
  readonly #libc: Libc;
  readonly #fd: number;
  readonly #scratch: MemoryBlock;
  readonly #words: BigUint64Array;
  readonly #regions: BigUint64Array;

  constructor(libc: Libc) {
    this.#libc = libc;
    this.#fd = openSync('/proc/self/pagemap', 'r');
    this.#scratch = MemoryBlock.anonymous(libc, SCRATCH_BYTES);
    this.#words = new BigUint64Array(this.#scratch.buffer, 0, ARGUMENT_BYTES / 8);
    this.#regions = new BigUint64Array(this.#scratch.buffer, 4096, (REGIONS * REGION_BYTES) / 8);
  }

  /** Calls `found` with every run of pages between two addresses that the query fits, each page once, in ascending order: start, and end (exclusive). */
  scan(start: number, end: number, { all, none = 0, any = 0, protect = false }: PageQuery, found: (start: number, end: number) => void): void {
    let told = start;
    for (let at = start; at < end; ) {
      const fields = [
        ARGUMENT_BYTES, protect ? WRITE_PROTECT_MATCHING | CHECK_ASYNC : 0, at, end, 0, this.#scratch.address + 4096, REGIONS, 0,
        // A category that is inverted is asked for by its absence. All are asked back: the kernel looks only at what is asked for.
        none, all | none, any, all | none | any,
      ];
      fields.forEach((field, position) => {
        this.#words[position] = BigInt(field);
      });
      const count = this.#libc.ioctl(this.#fd, PAGEMAP_SCAN, this.#scratch.address);
      if (count === FAILED) throw new MappingFailed(`looking at pages failed with errno ${this.#libc.errno()}`);
      for (let region = 0; region < count; region += 1) {
        const [from, to] = [Number(this.#regions[region * 3] ?? 0n), Number(this.#regions[region * 3 + 1] ?? 0n)];
        if (to <= told) continue;
        found(Math.max(from, told), to);
        told = to;
      }
      // A kernel that went to the end after a pause of its own says where it paused, and would tell of the rest again.
      at = count < REGIONS ? end : Number(this.#words[4] ?? 0n);
    }
  }

  close(): void {
    closeSync(this.#fd);
    this.#scratch.free();
  }
}
