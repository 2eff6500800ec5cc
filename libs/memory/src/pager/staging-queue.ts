/** Slots are given out in a ring: the machine's thread puts pages in at one end, the pager takes them from the other. Neither waits for the other. */
const HEAD = 0;
const TAIL = 1;
const CONTROLS = 2;

/** Which page is in which slot of the staging memory, oldest first, in memory that both threads share. */
export class StagingQueue {
  readonly capacity: number;
  readonly shared: SharedArrayBuffer;
  /** Positions run to twice the capacity, so that full and empty differ. */
  readonly #controls: Int32Array;
  readonly #pages: Int32Array;

  constructor(capacity: number, shared: SharedArrayBuffer = new SharedArrayBuffer((CONTROLS + capacity) * 4)) {
    this.capacity = capacity;
    this.shared = shared;
    this.#controls = new Int32Array(shared, 0, CONTROLS);
    this.#pages = new Int32Array(shared, CONTROLS * 4, capacity);
  }

  /** Slots between the oldest and the newest page, also of pages that went back meanwhile. */
  get length(): number {
    const length = Atomics.load(this.#controls, TAIL) - Atomics.load(this.#controls, HEAD);
    return length < 0 ? length + 2 * this.capacity : length;
  }

  /** The machine's thread: a slot for this page; undefined when there is none. `commit` after its bytes are there. */
  offer(): number | undefined {
    if (this.length === this.capacity) return undefined;
    return Atomics.load(this.#controls, TAIL) % this.capacity;
  }

  commit(page: number): void {
    const tail = Atomics.load(this.#controls, TAIL);
    this.#pages[tail % this.capacity] = page;
    Atomics.store(this.#controls, TAIL, (tail + 1) % (2 * this.capacity));
  }

  /** The pager: the oldest page and its slot; undefined when there is none. */
  oldest(): { readonly page: number; readonly slot: number } | undefined {
    if (this.length === 0) return undefined;
    const slot = Atomics.load(this.#controls, HEAD) % this.capacity;
    return { page: this.#pages[slot] ?? 0, slot };
  }

  /** The pager: the oldest one's slot may be used again. */
  drop(): void {
    const head = Atomics.load(this.#controls, HEAD);
    Atomics.store(this.#controls, HEAD, (head + 1) % (2 * this.capacity));
  }
}
