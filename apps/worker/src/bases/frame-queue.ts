/**
 * Which frames of a pack are read next: first those somebody waits for, then the rest in the order in which they are likely to be
 * wanted. Frames that lie together and come one after the other are read at once.
 */
export class FrameQueue {
  readonly #order: readonly number[];
  readonly #lengths: readonly number[];
  readonly #maxBatchBytes: number;
  readonly #taken: Uint8Array;
  readonly #asked: number[] = [];
  #next = 0;

  /** `first` is advice: frames it does not name come after it in the order of the pack, and what it names wrongly is left out. */
  constructor(lengths: readonly number[], first: readonly number[], maxBatchBytes: number) {
    this.#lengths = lengths;
    this.#maxBatchBytes = maxBatchBytes;
    this.#taken = new Uint8Array(lengths.length);
    const known = [...new Set(first)].filter((frame) => Number.isInteger(frame) && frame >= 0 && frame < lengths.length);
    const named = new Set(known);
    this.#order = [...known, ...[...lengths.keys()].filter((frame) => !named.has(frame))];
  }

  /** Somebody waits for it. */
  ask(frame: number): void {
    if (this.#taken[frame] === 0) this.#asked.push(frame);
  }

  /** Frames to be read at once, in ascending order and without gaps; undefined when every frame was taken. */
  take(): readonly number[] | undefined {
    const asked = this.#untaken(() => this.#asked.shift());
    // Whoever waits need not wait for its neighbours as well.
    if (asked !== undefined) return [this.#mark(asked)];
    const frame = this.#untaken(() => this.#order[this.#next++]);
    if (frame === undefined) return undefined;
    const batch = [this.#mark(frame)];
    let bytes = this.#lengths[frame] ?? 0;
    for (let after = frame + 1; this.#order[this.#next] === after && this.#taken[after] === 0; after += 1) {
      bytes += this.#lengths[after] ?? 0;
      if (bytes > this.#maxBatchBytes) break;
      batch.push(this.#mark(after));
      this.#next += 1;
    }
    return batch;
  }

  #untaken(from: () => number | undefined): number | undefined {
    let frame = from();
    while (frame !== undefined && this.#taken[frame] !== 0) frame = from();
    return frame;
  }

  #mark(frame: number): number {
    this.#taken[frame] = 1;
    return frame;
  }
}
