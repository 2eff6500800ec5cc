/** Keys, each due at a time; finds those that are due without looking at the others. A binary heap with the dead left in until they come up. */
export class DueTimes {
  readonly #at = new Map<string, number>();
  readonly #heap: { readonly key: string; readonly at: number }[] = [];

  get size(): number {
    return this.#at.size;
  }

  set(key: string, at: number): void {
    this.#at.set(key, at);
    this.#push({ key, at });
  }

  delete(key: string): void {
    this.#at.delete(key);
  }

  /** When the first is due. */
  next(): number | undefined {
    for (let first = this.#heap[0]; first; first = this.#heap[0]) {
      if (this.#at.get(first.key) === first.at) return first.at;
      this.#pop();
    }
    return undefined;
  }

  /** Those due at `now`, earliest first; they are not kept. */
  take(now: number): string[] {
    const due: string[] = [];
    for (let at = this.next(); at !== undefined && at <= now; at = this.next()) {
      const key = this.#heap[0]?.key ?? '';
      this.#pop();
      this.#at.delete(key);
      due.push(key);
    }
    return due;
  }

  #push(entry: { readonly key: string; readonly at: number }): void {
    const heap = this.#heap;
    let index = heap.push(entry) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#swapIfEarlier(index, parent)) return;
      index = parent;
    }
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (!last || heap.length === 0) return;
    heap[0] = last;
    for (let index = 0; ; ) {
      const [left, right] = [2 * index + 1, 2 * index + 2];
      const earliest = (heap[right]?.at ?? Infinity) < (heap[left]?.at ?? Infinity) ? right : left;
      if (earliest >= heap.length || !this.#swapIfEarlier(earliest, index)) return;
      index = earliest;
    }
  }

  #swapIfEarlier(child: number, parent: number): boolean {
    const [below, above] = [this.#heap[child], this.#heap[parent]];
    if (!below || !above || below.at >= above.at) return false;
    this.#heap[child] = above;
    this.#heap[parent] = below;
    return true;
  }
}
