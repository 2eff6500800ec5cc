/** Pages whose copies lie together in Redis. */
export const CLUSTER_PAGES = 16;
/** Pages that are fetched together at most: then the round trip, and waking two threads, cost little beside the pages themselves. */
export const READAHEAD_PAGES = 64;
/** Ways through memory that are followed at the same time: between two steps of one, a guest's kernel does other things. */
const WAYS = 8;
/** A way that was not gone on for so many faults is given up for another. */
const FORGOTTEN_AFTER = 256;

interface Way {
  /** Where the next fault would be. */
  readonly expected: number;
  readonly window: number;
  readonly at: number;
}

/**
 * How many pages to bring back at once. A guest that goes through its memory in order gets twice as many each time it is
 * where the last ones ended; any other gets the page it asks for. Pure.
 */
export class Readahead {
  readonly #ways: Way[] = [];
  #window = 1;
  #faults = 0;
  #chosen = 0;

  /** For a fault at this page; `brought` says how many came. */
  windowAt(page: number): number {
    this.#faults += 1;
    const known = this.#ways.findIndex(({ expected }) => expected === page);
    this.#chosen = known < 0 ? this.#leastUseful() : known;
    this.#window = known < 0 ? 1 : Math.min(READAHEAD_PAGES, (this.#ways[known]?.window ?? 1) * 2);
    const end = page + this.#window;
    // Whole clusters, where it is more than a part of one.
    return this.#window > CLUSTER_PAGES ? end - (end % CLUSTER_PAGES) - page : this.#window;
  }

  /** So many pages from this one on are there now. */
  brought(page: number, count: number): void {
    this.#ways[this.#chosen] = { expected: page + count, window: this.#window, at: this.#faults };
  }

  #leastUseful(): number {
    if (this.#ways.length < WAYS) return this.#ways.length;
    const worth = ({ window, at }: Way): number => (this.#faults - at > FORGOTTEN_AFTER ? 0 : window * this.#faults + at);
    return this.#ways.reduce((least, way, index) => (worth(way) < worth(this.#ways[least] ?? way) ? index : least), 0);
  }
}
