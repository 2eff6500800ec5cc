/**
 * Which frames of a pack are read next: those somebody waits for at once, the others in the order in which they are likely to be
 * wanted. Of the others, frames that lie together and come one after the other are read together.
 */
export class FrameQueue {
  readonly #order: readonly number[];
  readonly #lengths: readonly number[];
  readonly #maxBatchBytes: number;
  readonly #taken: Uint8Array;
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

  /** Somebody waits for it: whether it is still to be read, and now by who asked. */
  claim(frame: number): boolean {
    if (this.#taken[frame] !== 0) return false;
    this.#mark(frame);
    return true;
  }

  /** Frames to be read at once, in ascending order and without gaps; undefined when every frame was taken. */
  take(): readonly number[] | undefined {
    const frame = this.#nextUntaken();
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

  #nextUntaken(): number | undefined {
    let frame = this.#order[this.#next++];
    while (frame !== undefined && this.#taken[frame] !== 0) frame = this.#order[this.#next++];
    return frame;
  }

  #mark(frame: number): number {
    this.#taken[frame] = 1;
    return frame;
  }
}
