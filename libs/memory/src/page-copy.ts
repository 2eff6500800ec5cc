import { MemoryBlock } from './host/memory-block.ts';
import type { Libc } from './host/libc.ts';
import type { GuestRam } from './guest-ram.ts';
import { PAGE_BYTES } from './machine-pages.ts';
import type { Piece } from './pack.ts';
import { PageSet, type PageRun } from './page-set.ts';

/** Copied memory is got in pieces of this size: what a machine holds is rarely known before it was copied. */
const CHUNK_PAGES = 512;
const NO_SLOT = -1;

interface Chunk {
  readonly bytes: Uint8Array;
  /** Undefined where the host's memory cannot be reached. */
  readonly block: MemoryBlock | undefined;
}

/** What a machine's pages held when they were copied, until it is written somewhere. A page that is copied again replaces what was there. */
export class PageCopy {
  readonly #ram: GuestRam;
  readonly #libc: Libc | undefined;
  readonly #slots: Int32Array;
  readonly #chunks: Chunk[] = [];
  #used = 0;

  constructor(ram: GuestRam, libc: Libc | undefined) {
    this.#ram = ram;
    this.#libc = libc;
    this.#slots = new Int32Array(ram.pages).fill(NO_SLOT);
  }

  get count(): number {
    return this.#used;
  }

  /** Copies pages as they are now. */
  take({ start, count }: PageRun): void {
    for (let page = start; page < start + count; ) {
      const known = this.#slots[page] ?? NO_SLOT;
      const slot = known === NO_SLOT ? this.#used : known;
      // As many as lie in a row in the copy too.
      const room = Math.min(start + count - page, CHUNK_PAGES - (slot % CHUNK_PAGES));
      let taken = 1;
      while (taken < room && (this.#slots[page + taken] ?? NO_SLOT) === (known === NO_SLOT ? NO_SLOT : slot + taken)) taken += 1;
      if (known === NO_SLOT) {
        for (let at = 0; at < taken; at += 1) this.#slots[page + at] = slot + at;
        this.#used += taken;
      }
      const chunk = this.#chunk(Math.floor(slot / CHUNK_PAGES));
      const at = (slot % CHUNK_PAGES) * PAGE_BYTES;
      this.#ram.copyRun({ start: page, count: taken }, chunk.bytes.subarray(at, at + taken * PAGE_BYTES));
      page += taken;
    }
  }

  /** Which pages were copied. */
  pages(): PageSet {
    const pages = new PageSet(this.#ram.pages);
    this.#slots.forEach((slot, page) => {
      if (slot !== NO_SLOT) pages.add(page);
    });
    return pages;
  }

  /** Whether what was copied of a page is what the base has. */
  isBaseContent(page: number): boolean {
    const slot = this.#slots[page] ?? NO_SLOT;
    const block = slot === NO_SLOT ? undefined : this.#chunks[Math.floor(slot / CHUNK_PAGES)]?.block;
    return block !== undefined && this.#ram.isBaseContent(page, block.address + (slot % CHUNK_PAGES) * PAGE_BYTES);
  }

  /** Of the pages of a set those that were copied, ascending. The bytes are valid until `free`. */
  *pieces(pages: PageSet): Generator<Piece> {
    for (const number of pages) {
      const slot = this.#slots[number] ?? NO_SLOT;
      const chunk = slot === NO_SLOT ? undefined : this.#chunks[Math.floor(slot / CHUNK_PAGES)];
      const at = (slot % CHUNK_PAGES) * PAGE_BYTES;
      if (chunk) yield { number, bytes: chunk.bytes.subarray(at, at + PAGE_BYTES) };
    }
  }

  /** Gives the memory back: when nobody reads pieces any more. */
  free(): void {
    for (const { block } of this.#chunks.splice(0)) block?.free();
    this.#slots.fill(NO_SLOT);
    this.#used = 0;
  }

  #chunk(number: number): Chunk {
    let chunk = this.#chunks[number];
    if (chunk) return chunk;
    const block = this.#libc && MemoryBlock.anonymous(this.#libc, CHUNK_PAGES * PAGE_BYTES);
    chunk = { bytes: block ? new Uint8Array(block.buffer) : new Uint8Array(CHUNK_PAGES * PAGE_BYTES), block };
    this.#chunks[number] = chunk;
    return chunk;
  }
}
