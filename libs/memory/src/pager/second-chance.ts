import type { PageSet } from '../page-set.ts';

/** Harvests back that are told apart. */
const BUCKETS = 256;

/**
 * Which pages to take out: those of `candidates` that were not written to, nor came back, for longest. Among equals the
 * hand of a clock decides, so that each has its turn; it goes on from where the last choice ended. Pure.
 */
export class SecondChance {
  #hand = 0;

  /** At most `wanted` pages, ascending. `age` holds the harvest of each page; `epoch` is the present one. */
  choose(candidates: PageSet, age: Uint32Array, epoch: number, wanted: number): Uint32Array {
    if (wanted <= 0) return new Uint32Array(0);
    const histogram = new Uint32Array(BUCKETS);
    for (const page of candidates) {
      const bucket = bucketOf(age[page] ?? 0, epoch);
      histogram[bucket] = (histogram[bucket] ?? 0) + 1;
    }
    let [cutoff, older] = [BUCKETS - 1, 0];
    while (cutoff > 0 && older + (histogram[cutoff] ?? 0) < wanted) older += histogram[cutoff--] ?? 0;
    const atCutoff = Math.min(wanted - older, histogram[cutoff] ?? 0);
    const chosen = new Uint32Array(older + atCutoff);
    const before: number[] = [];
    const behind: number[] = [];
    let count = 0;
    for (const page of candidates) {
      const bucket = bucketOf(age[page] ?? 0, epoch);
      if (bucket > cutoff) chosen[count++] = page;
      else if (bucket === cutoff) (page < this.#hand ? before : behind).push(page);
    }
    const turn = [...behind, ...before].slice(0, atCutoff);
    for (const page of turn) chosen[count++] = page;
    if (turn.length > 0) this.#hand = (turn[turn.length - 1] ?? 0) + 1;
    return chosen.sort();
  }
}

const bucketOf = (age: number, epoch: number): number => Math.min(BUCKETS - 1, Math.max(0, epoch - age));
