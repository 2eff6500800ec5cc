import { createRequire } from 'node:module';
import type koffiModule from 'koffi';
import { PAGE_BYTES } from '../machine-pages.ts';

/** Fast strategies have negative levels: 5 µs a page in, 2 out, half its size. Level 1 takes twice as long for a fifth less. */
const LEVEL = -3;
/** A page that is not at least an eighth smaller is kept as it is: unpacking it would gain nothing. */
const WORTHWHILE_BYTES = PAGE_BYTES - PAGE_BYTES / 8;

/**
 * Packs single pages by address, with one context that is used again and again: 74 KiB, and nothing is allocated per page.
 * It is the zstd and the CRC-32 that Node itself brings and exports, so there is nothing to install and no second copy. Not to be used by two
 * threads at once. Source: zstd.h, zlib.h.
 */
export class PageCodec {
  readonly #compressor: number;
  readonly #decompressor: number;
  readonly #compress: (context: number, to: number, room: number, from: number, length: number, level: number) => number;
  readonly #decompress: (context: number, to: number, room: number, from: number, length: number) => number;
  readonly #crc: (start: number, from: number, length: number) => number;
  readonly #free: () => void;

  /** Throws where this Node does not export its zstd. */
  constructor() {
    const koffi = createRequire(import.meta.url)('koffi') as typeof koffiModule;
    const node = koffi.load(null);
    this.#compress = node.func('size_t ZSTD_compressCCtx(intptr_t context, intptr_t to, size_t room, intptr_t from, size_t length, int level)') as never;
    this.#decompress = node.func('size_t ZSTD_decompressDCtx(intptr_t context, intptr_t to, size_t room, intptr_t from, size_t length)') as never;
    this.#crc = node.func('unsigned long crc32(unsigned long start, intptr_t from, unsigned int length)') as never;
    this.#compressor = Number(node.func('intptr_t ZSTD_createCCtx()')());
    this.#decompressor = Number(node.func('intptr_t ZSTD_createDCtx()')());
    const [freeCompressor, freeDecompressor] = [node.func('size_t ZSTD_freeCCtx(intptr_t context)'), node.func('size_t ZSTD_freeDCtx(intptr_t context)')];
    this.#free = () => {
      freeCompressor(this.#compressor);
      freeDecompressor(this.#decompressor);
    };
    if (this.#compressor === 0 || this.#decompressor === 0) throw new Error('zstd has no memory for its context');
  }

  /** Packs the page at `from` into `to`, which has room for a page. Answers the length; PAGE_BYTES, and nothing written, where it does not pay. */
  pack(from: number, to: number): number {
    const length = Number(this.#compress(this.#compressor, to, WORTHWHILE_BYTES, from, PAGE_BYTES, LEVEL));
    // An error is a number beyond anything there was room for.
    return length <= WORTHWHILE_BYTES ? length : PAGE_BYTES;
  }

  /** Unpacks what `pack` made; false where that is not a whole page. A page that was kept as it is must not be given. */
  unpack(from: number, length: number, to: number): boolean {
    return Number(this.#decompress(this.#decompressor, to, PAGE_BYTES, from, length)) === PAGE_BYTES;
  }

  /** CRC-32 of the page at this address. */
  checksum(address: number): number {
    return Number(this.#crc(0, address, PAGE_BYTES));
  }

  free(): void {
    this.#free();
  }
}
