/** Pages that are fetched together at most: what one round trip to Redis, and one call into the kernel, are worth. */
export const CLUSTER_PAGES = 16;

/**
 * How many pages to bring back at once. A guest that goes through its memory in order gets twice as many each time it is
 * where the last ones ended; any other gets the page it asks for. Pure.
 */
export class Readahead {
  #expected = -1;
  #window = 1;

  /** For a fault at this page; `bring` says how many came. */
  windowAt(page: number): number {
    this.#window = page === this.#expected ? Math.min(CLUSTER_PAGES, this.#window * 2) : 1;
    return this.#window;
  }

  /** So many pages from this one on are there now. */
  brought(page: number, count: number): void {
    this.#expected = page + count;
  }
}
