/** See layerPlan of @corral/memory: how far back a snapshot reaches. */
export type ChangeScope = 'Everything' | 'SinceBase' | 'SinceSnapshot';

/** Clusters that a snapshot is about to hold. Exactly one of the two is called: after `giveUp`, the next snapshot holds them again. */
export interface TakenChanges {
  readonly numbers: readonly number[];
  keep(): void;
  giveUp(): void;
}

/** Which clusters of a disk changed: at all, since the snapshot that its later ones lie on, and since the last one. */
export class ClusterChanges {
  readonly #ever = new Set<number>();
  #sinceBase = new Set<number>();
  #sinceSnapshot = new Set<number>();

  /** The guest wrote to it. */
  note(number: number): void {
    this.#ever.add(number);
    this.#sinceBase.add(number);
    this.#sinceSnapshot.add(number);
  }

  /** A restore wrote it: it is in the snapshot already, in its base or above. */
  noteRestored(number: number, isInBase: boolean): void {
    this.#ever.add(number);
    this.#sinceSnapshot.delete(number);
    if (isInBase) this.#sinceBase.delete(number);
    else this.#sinceBase.add(number);
  }

  take(scope: ChangeScope): TakenChanges {
    const taken = this.#sinceSnapshot;
    const numbers = [...{ Everything: this.#ever, SinceBase: this.#sinceBase, SinceSnapshot: taken }[scope]];
    this.#sinceSnapshot = new Set();
    return {
      numbers,
      keep: () => {
        // What changed while it was written is all that is above it.
        if (scope === 'Everything') this.#sinceBase = new Set(this.#sinceSnapshot);
      },
      giveUp: () => {
        for (const number of taken) this.#sinceSnapshot.add(number);
      },
    };
  }
}
