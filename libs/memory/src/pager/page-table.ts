/** Where a page's content is. */
export const PageState = {
  /** In the guest's RAM, or as the base has it. */
  Resident: 0,
  /** Known to be all zero: kept nowhere. */
  Zero: 1,
  /** Out of the guest's RAM, still as it was: a touch gives it a second chance. */
  Staged: 2,
  /** Compressed, in this process. */
  Packed: 3,
  /** Only where its backing says. */
  Swapped: 4,
} as const;
export type PageState = (typeof PageState)[keyof typeof PageState];

/** Where a copy of a page's present generation is kept outside of this process. */
export const Backing = { Durable: 1, Redis: 2 } as const;

const WORD_BYTES = 4;
const WORD_COLUMNS = 5;
const BYTES_PER_PAGE = WORD_COLUMNS * WORD_BYTES + 2 + 1 + 1;

/**
 * What is known of each page of a machine, in memory that the machine's thread and the pager's share. Who may write what:
 * the machine's thread takes pages out (Resident to Staged or Swapped) and says which were written to; everything else is
 * the pager's. Neither waits for the other: a page that is out changes only through the pager, and the pager changes what
 * is mapped only while the machine's thread waits for a page.
 */
export class PageTable {
  readonly pages: number;
  readonly shared: SharedArrayBuffer;
  readonly state: Uint8Array;
  /** Bits of Backing, for the present generation. */
  readonly backing: Uint8Array;
  /** Of the packed form. PAGE_BYTES: it is not compressed. */
  readonly length: Uint16Array;
  /** The harvest in which it was last seen written to, or the one after which it came back. */
  readonly age: Uint32Array;
  /** One higher each time its content may have changed while it was resident. */
  readonly generation: Uint32Array;
  /** CRC-32 of the uncompressed page, from when it is packed on. */
  readonly checksum: Uint32Array;
  /** Where it is staged. Never where it is packed: who reads it meanwhile must not take one for the other. */
  readonly slot: Uint32Array;
  /** Where it is packed. */
  readonly place: Uint32Array;

  constructor(pages: number, shared: SharedArrayBuffer = new SharedArrayBuffer(roundedUp(pages) * BYTES_PER_PAGE)) {
    this.pages = pages;
    this.shared = shared;
    const room = roundedUp(pages);
    let at = 0;
    const take = (bytes: number): number => {
      const start = at;
      at += room * bytes;
      return start;
    };
    this.age = new Uint32Array(shared, take(WORD_BYTES), pages);
    this.generation = new Uint32Array(shared, take(WORD_BYTES), pages);
    this.checksum = new Uint32Array(shared, take(WORD_BYTES), pages);
    this.slot = new Uint32Array(shared, take(WORD_BYTES), pages);
    this.place = new Uint32Array(shared, take(WORD_BYTES), pages);
    this.length = new Uint16Array(shared, take(2), pages);
    this.state = new Uint8Array(shared, take(1), pages);
    this.backing = new Uint8Array(shared, take(1), pages);
  }

  stateOf(page: number): PageState {
    return Atomics.load(this.state, page) as PageState;
  }

  /** Written last: whoever sees the state sees what belongs to it. */
  move(page: number, state: PageState): void {
    Atomics.store(this.state, page, state);
  }

  /** Its copies elsewhere are of another generation from now on. */
  written(page: number, epoch: number): void {
    this.age[page] = epoch;
    if (this.backing[page] === 0) return;
    this.backing[page] = 0;
  }
}

/** So that every column begins where its words do. */
const roundedUp = (pages: number): number => Math.ceil(pages / 8) * 8;
