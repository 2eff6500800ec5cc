/** A run of pages: the first, and how many. */
export interface PageRun {
  readonly start: number;
  readonly count: number;
}

const ALL = 0xffff_ffff;

/** A set of page numbers below a bound, as a bitmap. Numbers at or above the bound throw RangeError. Pure. */
export class PageSet {
  /** Exclusive bound of the numbers it can hold. */
  readonly bound: number;
  readonly #words: Uint32Array;

  constructor(bound: number) {
    this.bound = bound;
    this.#words = new Uint32Array(Math.ceil(bound / 32));
  }

  static of(bound: number, numbers: Iterable<number>): PageSet {
    const set = new PageSet(bound);
    for (const number of numbers) set.add(number);
    return set;
  }

  /** From one bit per page; bits from the bound on do not count. */
  static ofWords(bound: number, words: Uint32Array): PageSet {
    const set = new PageSet(bound);
    set.#words.set(words.subarray(0, set.#words.length));
    if (bound % 32 !== 0 && set.#words.length > 0) set.#words[set.#words.length - 1] = (set.#words.at(-1) ?? 0) & (ALL >>> (32 - (bound % 32)));
    return set;
  }

  clone(): PageSet {
    const copy = new PageSet(this.bound);
    copy.#words.set(this.#words);
    return copy;
  }

  get isEmpty(): boolean {
    return this.#words.every((word) => word === 0);
  }

  get count(): number {
    let count = 0;
    for (const word of this.#words) count += bitsOf(word);
    return count;
  }

  has(page: number): boolean {
    return page >= 0 && page < this.bound && ((this.#words[page >>> 5] ?? 0) & (1 << (page & 31))) !== 0;
  }

  add(page: number): void {
    this.addRun(page, 1);
  }

  delete(page: number): void {
    this.deleteRun(page, 1);
  }

  addRun(start: number, count: number): void {
    this.#eachWord(start, count, (at, mask) => {
      this.#words[at] = (this.#words[at] ?? 0) | mask;
    });
  }

  deleteRun(start: number, count: number): void {
    this.#eachWord(start, count, (at, mask) => {
      this.#words[at] = (this.#words[at] ?? 0) & ~mask;
    });
  }

  clear(): void {
    this.#words.fill(0);
  }

  /** Adds every page of another set of the same bound. */
  union(other: PageSet): void {
    this.#combine(other, (mine, theirs) => mine | theirs);
  }

  /** Removes every page of another set of the same bound. */
  subtract(other: PageSet): void {
    this.#combine(other, (mine, theirs) => mine & ~theirs);
  }

  /** Keeps only pages of another set of the same bound. */
  intersect(other: PageSet): void {
    this.#combine(other, (mine, theirs) => mine & theirs);
  }

  /** Maximal runs, ascending; with `longest`, runs beyond that length are cut. */
  *runs(longest = Infinity): Generator<PageRun> {
    for (let start = this.#next(0, false); start < this.bound; ) {
      const end = Math.min(this.#next(start, true), start + longest);
      yield { start, count: end - start };
      start = this.#next(end, false);
    }
  }

  /** Ascending. */
  *[Symbol.iterator](): Generator<number> {
    for (const { start, count } of this.runs()) for (let page = start; page < start + count; page += 1) yield page;
  }

  /** Ascending; several times as fast as iterating, where it is for many. */
  forEach(visit: (page: number) => void): void {
    for (let at = 0; at < this.#words.length; at += 1) for (let word = this.#words[at] ?? 0; word !== 0; word &= word - 1) visit(at * 32 + 31 - Math.clz32(word & -word));
  }

  numbers(): Uint32Array {
    const numbers = new Uint32Array(this.count);
    let at = 0;
    this.forEach((page) => (numbers[at++] = page));
    return numbers;
  }

  /** The first number from `page` on that is in the set, or not in it; the bound where there is none. */
  #next(page: number, absent: boolean): number {
    for (let at = page >>> 5; at < this.#words.length; at += 1) {
      const word = this.#words[at] ?? 0;
      let candidates = absent ? ~word : word;
      if (at === page >>> 5) candidates &= ALL << (page & 31);
      if (candidates !== 0) return Math.min(at * 32 + 31 - Math.clz32(candidates & -candidates), this.bound);
    }
    return this.bound;
  }

  #eachWord(start: number, count: number, change: (at: number, mask: number) => void): void {
    const end = start + count;
    if (start < 0 || count < 0 || end > this.bound) throw new RangeError(`pages ${start} to ${end - 1} are beyond ${this.bound}`);
    for (let page = start; page < end; ) {
      const at = page >>> 5;
      const last = Math.min(end, (at + 1) * 32) - 1;
      change(at, (ALL << (page & 31)) & (ALL >>> (31 - (last & 31))));
      page = last + 1;
    }
  }

  #combine(other: PageSet, how: (mine: number, theirs: number) => number): void {
    if (other.bound !== this.bound) throw new RangeError(`a set below ${other.bound} with one below ${this.bound}`);
    for (let at = 0; at < this.#words.length; at += 1) this.#words[at] = how(this.#words[at] ?? 0, other.#words[at] ?? 0);
  }
}

/** Source: Warren, Hacker's Delight, 5-1. */
function bitsOf(word: number): number {
  let bits = word - ((word >>> 1) & 0x5555_5555);
  bits = (bits & 0x3333_3333) + ((bits >>> 2) & 0x3333_3333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}
