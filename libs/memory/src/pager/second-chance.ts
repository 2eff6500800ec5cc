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
    candidates.forEach((page) => {
      const bucket = bucketOf(age[page] ?? 0, epoch);
      histogram[bucket] = (histogram[bucket] ?? 0) + 1;
    });
    let [cutoff, older] = [BUCKETS - 1, 0];
    while (cutoff > 0 && older + (histogram[cutoff] ?? 0) < wanted) older += histogram[cutoff--] ?? 0;
    const atCutoff = Math.min(wanted - older, histogram[cutoff] ?? 0);
    let behindHand = 0;
    candidates.forEach((page) => {
      if (page >= this.#hand && bucketOf(age[page] ?? 0, epoch) === cutoff) behindHand += 1;
    });
    const chosen = new Uint32Array(older + atCutoff);
    // The turn begins behind the hand, and goes on from the first page where that is not enough.
    let [count, behind, before] = [0, Math.min(behindHand, atCutoff), Math.max(0, atCutoff - behindHand)];
    let [lastBehind, lastBefore] = [-1, -1];
    candidates.forEach((page) => {
      const bucket = bucketOf(age[page] ?? 0, epoch);
      if (bucket < cutoff) return;
      if (bucket === cutoff) {
        if (page >= this.#hand ? behind-- <= 0 : before-- <= 0) return;
        if (page >= this.#hand) lastBehind = page;
        else lastBefore = page;
      }
      chosen[count++] = page;
    });
    const last = lastBefore >= 0 ? lastBefore : lastBehind;
    if (last >= 0) this.#hand = last + 1;
    return chosen;
  }
}

const bucketOf = (age: number, epoch: number): number => Math.min(BUCKETS - 1, Math.max(0, epoch - age));
