import { SnapshotError } from './snapshot.error.ts';

/** Up to here a byte per number is cheaper than a hash table: 64 GiB of disk, and every memory. */
const DENSE_NUMBERS = 16 * 1024 * 1024;
const NONE = 0;

/** Which layer counts for each page or cluster, where several lie on one another: the base is layer 0, and the last that holds a number wins. */
export class LayerStack {
  readonly #layers: readonly Uint32Array[];
  /** Number → index of its layer + 1. */
  readonly #top: Uint8Array | Map<number, number>;

  /** The numbers each layer holds, in its order. Throws SnapshotError where a layer holds one twice. */
  constructor(layers: readonly Uint32Array[]) {
    this.#layers = layers;
    let largest = -1;
    for (const numbers of layers) for (const number of numbers) if (number > largest) largest = number;
    const top = largest < DENSE_NUMBERS ? new Uint8Array(largest + 1) : new Map<number, number>();
    this.#top = top;
    layers.forEach((numbers, layer) => {
      for (const number of numbers) {
        if (this.#mark(number) === layer + 1) throw new SnapshotError('SnapshotCorrupt', `a pack holds piece ${number} twice`);
        if (top instanceof Map) top.set(number, layer + 1);
        else top[number] = layer + 1;
      }
    });
  }

  /** Index of the layer that counts; undefined where no layer holds the number. */
  layerOf(number: number): number | undefined {
    const mark = this.#mark(number);
    return mark === NONE ? undefined : mark - 1;
  }

  /** Whether nothing above a layer hides the number it holds. */
  shows(layer: number, number: number): boolean {
    return this.#mark(number) === layer + 1;
  }

  /** Every number that some layer holds, in ascending order. */
  numbers(): Uint32Array {
    const all = new Set<number>();
    for (const numbers of this.#layers) for (const number of numbers) all.add(number);
    return Uint32Array.from(all).sort();
  }

  #mark(number: number): number {
    const top = this.#top;
    return (top instanceof Map ? top.get(number) : top[number]) ?? NONE;
  }
}
