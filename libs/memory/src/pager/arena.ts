/** Memory is taken from the host, and given back, in pieces of this size. */
export const SLAB_BYTES = 64 * 1024;
const GRANULE_BYTES = 256;
const LARGEST_BYTES = 4096;
const BITS = 32;
const WORDS_PER_SLAB = SLAB_BYTES / GRANULE_BYTES / BITS;

/**
 * Gives out places for things of up to 4 KiB within one range. A slab of 64 KiB holds things of one size, in steps of 256
 * bytes, so that what is freed fits what comes next, and a slab that has become empty can be given back. Pure: knows
 * offsets only.
 */
export class Arena {
  readonly #slabs: number;
  /** Granules per thing in each slab; 0 for a slab that is free. */
  readonly #granules: Uint8Array;
  readonly #used: Uint16Array;
  readonly #taken: Uint32Array;
  /** By granules per thing: slabs with room. */
  readonly #roomy: readonly Set<number>[];
  readonly #free: number[] = [];
  /** Slabs from here on were never used. */
  #untouched = 0;

  constructor(capacityBytes: number) {
    this.#slabs = Math.floor(capacityBytes / SLAB_BYTES);
    this.#granules = new Uint8Array(this.#slabs);
    this.#used = new Uint16Array(this.#slabs);
    this.#taken = new Uint32Array(this.#slabs * WORDS_PER_SLAB);
    this.#roomy = Array.from({ length: LARGEST_BYTES / GRANULE_BYTES + 1 }, () => new Set<number>());
  }

  /** Of memory taken from the host. */
  get usedBytes(): number {
    return (this.#untouched - this.#free.length) * SLAB_BYTES;
  }

  /** The offset of a place for so many bytes; undefined where there is none. */
  allocate(bytes: number): number | undefined {
    if (bytes < 1 || bytes > LARGEST_BYTES) throw new RangeError(`nothing of ${bytes} bytes fits a slab`);
    const granules = Math.ceil(bytes / GRANULE_BYTES);
    const roomy = this.#roomy[granules];
    const slab = roomy?.values().next().value ?? this.#open(granules);
    if (slab === undefined) return undefined;
    const place = this.#takePlace(slab);
    const used = (this.#used[slab] ?? 0) + 1;
    this.#used[slab] = used;
    if (used === placesOf(granules)) roomy?.delete(slab);
    return slab * SLAB_BYTES + place * granules * GRANULE_BYTES;
  }

  /** Frees a place. Answers the offset of its slab when that is empty now: its memory can be given back. */
  free(offset: number): number | undefined {
    const slab = Math.floor(offset / SLAB_BYTES);
    const granules = this.#granules[slab] ?? 0;
    const place = (offset % SLAB_BYTES) / (granules * GRANULE_BYTES);
    const word = slab * WORDS_PER_SLAB + Math.floor(place / BITS);
    const bit = 1 << place % BITS;
    if (granules === 0 || !Number.isInteger(place) || ((this.#taken[word] ?? 0) & bit) === 0) throw new RangeError(`nothing is at ${offset}`);
    this.#taken[word] = (this.#taken[word] ?? 0) & ~bit;
    const used = (this.#used[slab] ?? 0) - 1;
    this.#used[slab] = used;
    const roomy = this.#roomy[granules];
    if (used > 0) {
      roomy?.add(slab);
      return undefined;
    }
    roomy?.delete(slab);
    this.#granules[slab] = 0;
    this.#free.push(slab);
    return slab * SLAB_BYTES;
  }

  #open(granules: number): number | undefined {
    const slab = this.#free.pop() ?? (this.#untouched < this.#slabs ? this.#untouched++ : undefined);
    if (slab === undefined) return undefined;
    this.#granules[slab] = granules;
    this.#roomy[granules]?.add(slab);
    return slab;
  }

  #takePlace(slab: number): number {
    for (let word = slab * WORDS_PER_SLAB; ; word += 1) {
      const free = ~(this.#taken[word] ?? 0);
      if (free === 0) continue;
      const bit = free & -free;
      this.#taken[word] = (this.#taken[word] ?? 0) | bit;
      return (word - slab * WORDS_PER_SLAB) * BITS + 31 - Math.clz32(bit);
    }
  }
}

const placesOf = (granules: number): number => Math.floor(SLAB_BYTES / (granules * GRANULE_BYTES));
