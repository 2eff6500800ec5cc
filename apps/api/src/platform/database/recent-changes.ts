import type { Change } from '@corral/api-machinery';
import { weightOf } from './weight.ts';

interface Limits {
  readonly changes: number;
  /** In characters of JSON. */
  readonly weight: number;
}
const LIMITS: Limits = { changes: 10_000, weight: 32 * 1024 * 1024 };

/** The end of the change log, kept in memory: where most watches resume, so that a crowd of them asks the database nothing. */
export class RecentChanges {
  readonly #limits: Limits;
  #changes: Change[] = [];
  #weight = 0;
  #start: number;

  constructor(start: number, limits = LIMITS) {
    this.#start = start;
    this.#limits = limits;
  }

  /** Every change after this version is here. */
  get start(): number {
    return this.#start;
  }

  push(changes: readonly Change[]): void {
    for (const change of changes) {
      this.#changes.push(change);
      this.#weight += weightOf(change.object);
    }
    if (this.#changes.length <= this.#limits.changes && this.#weight <= this.#limits.weight) return;
    // In large steps, because each moves all that stays.
    let dropped = 0;
    while (dropped < this.#changes.length && (this.#changes.length - dropped > this.#limits.changes * 0.8 || this.#weight > this.#limits.weight * 0.8)) {
      this.#weight -= weightOf(this.#changes[dropped]?.object);
      dropped += 1;
    }
    this.#start = this.#changes[dropped - 1]?.resourceVersion ?? this.#start;
    this.#changes = this.#changes.slice(dropped);
  }

  /** Changes after a version, oldest first, at most `limit`; undefined when it is from before `start`. */
  after(version: number, limit: number, resource: string | undefined): readonly Change[] | undefined {
    if (version < this.#start) return undefined;
    const found: Change[] = [];
    for (let at = this.#firstAfter(version); at < this.#changes.length && found.length < limit; at += 1) {
      const change = this.#changes[at];
      if (change && (resource === undefined || change.resource === resource)) found.push(change);
    }
    return found;
  }

  #firstAfter(version: number): number {
    let [low, high] = [0, this.#changes.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#changes[middle]?.resourceVersion ?? 0) > version) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
