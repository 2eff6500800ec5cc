import { PACK_GRACE_MS } from '@corral/contracts';

export interface StoredPack {
  readonly key: string;
  readonly modifiedAt: Date;
}

export interface PackLook {
  /** Some packs of the store, as listed before anybody was asked what is named. */
  readonly packs: readonly StoredPack[];
  /** Every key that a snapshot or a machine names. */
  readonly named: ReadonlySet<string>;
  readonly now: Date;
  /** On a clock that never goes back: a clock that is set must not make time pass. */
  readonly elapsedMs: number;
}

/**
 * Which packs nothing names, and since when, as far as this process has looked itself. A pack is due once nothing named it
 * for the whole grace, at two looks at least, and it was not written for as long: until then a restore may still read it,
 * and a snapshot under way may still rely on it. What a process has seen is lost with it, which only keeps packs for longer.
 */
export class PackGarbage {
  readonly #unnamedSince = new Map<string, number>();

  /** All that was seen is void: somebody else may have had the say meanwhile. */
  forget(): void {
    this.#unnamedSince.clear();
  }

  /** Something named these, if only for a moment between two looks. */
  noteNamed(keys: Iterable<string>): void {
    for (const key of keys) this.#unnamedSince.delete(key);
  }

  /** These are not in the store any more. */
  noteGone(keys: Iterable<string>): void {
    for (const key of keys) this.#unnamedSince.delete(key);
  }

  /** Says which of these packs are due, the longest unnamed first. */
  look({ packs, named, now, elapsedMs }: PackLook): string[] {
    const due: { readonly key: string; readonly since: number }[] = [];
    for (const { key, modifiedAt } of packs) {
      if (named.has(key)) {
        this.#unnamedSince.delete(key);
        continue;
      }
      const since = this.#unnamedSince.get(key);
      if (since === undefined) this.#unnamedSince.set(key, elapsedMs);
      else if (elapsedMs - since >= PACK_GRACE_MS && now.getTime() - modifiedAt.getTime() > PACK_GRACE_MS) due.push({ key, since });
    }
    return due.sort((a, b) => a.since - b.since).map(({ key }) => key);
  }
}
