import { GuestRam, layerPlan, PageSet, SnapshotError, type FollowedWrites, type Layer, type LayerPlan, type PageCopy, type ProbedMemory } from '@corral/memory';
import type { GuestMemory } from '@corral/v86-host';

/** What the pages of a snapshot lie on, and which they may be. */
export interface MemoryScope {
  readonly scope: LayerPlan['scope'];
  readonly below: readonly Layer[];
}

/** The memory of a snapshot, from the moment it is of until it is written. */
export interface MemoryMoment {
  readonly below: readonly Layer[];
  /** Pages to write, of those that were copied: what the layers below have already is left out. */
  pagesOf(copy: PageCopy): PageSet;
  /** The snapshot is written, with these pages: the next one lies on it. */
  adopt(written: PageSet): void;
  /** It was not written: as if it had never been begun. */
  abandon(): void;
}

/** Pages, with how they came to differ from the layers that a machine lies on. */
export interface ChangedPages {
  /** Pages that some layer above the first one holds. */
  readonly layered: PageSet;
  /** Pages written to since the machine was what the layers say. */
  readonly unsaved: PageSet;
  /** Pages that hold something else than what is mapped, or zero, below everything; absent where that can be seen from the rest. */
  readonly differing?: PageSet;
}

/**
 * The pages of one machine, and what its next snapshot has to know of them: on what layers it may lie, which pages changed since the last
 * one, and which since the first layer. One per emulator: a guest that starts again from its BIOS begins anew.
 *
 * In mode Full the host notes what is written to. In mode MapOnly what differs from the base is found by comparing, so each snapshot holds all of
 * that; in mode Copy each snapshot is complete.
 */
export class MachineMemory {
  readonly ram: GuestRam;
  readonly #host: ProbedMemory;
  /** Pages that differ from the base that is mapped; from zero, where none is. Mode Full only. */
  #differing: FollowedWrites | undefined;
  /** Written to since layer 0 was all there was. */
  #sinceFirst: FollowedWrites | undefined;
  #unsaved: FollowedWrites | undefined;
  #layered: PageSet;

  /** Of a machine whose memory is what it boots with, or zero. Nothing is followed before `follow`. */
  constructor(memory: GuestMemory, host: ProbedMemory) {
    this.ram = new GuestRam(() => memory.regions(), host);
    this.#host = host;
    this.#layered = new PageSet(this.ram.pages);
  }

  /** Whether writes are noted, so that most pages can be copied while the guest runs. */
  get isTracked(): boolean {
    return this.#unsaved !== undefined;
  }

  /**
   * From now on changes count. The machine is what its layers hold, but for the unsaved pages; without any, what it boots with. Call while the guest stands still, after
   * its pages are in place and before its devices are restored.
   */
  follow({ layered = new PageSet(this.ram.pages), unsaved = new PageSet(this.ram.pages), differing: known }: Partial<ChangedPages> = {}): void {
    this.#layered = layered;
    // Before tracking: later, pages that are not there would be looked at as well.
    const differing = this.ram.capability.mode !== 'Full' ? undefined : known ? known.clone() : this.ram.hasBase ? union(layered, unsaved) : this.ram.differing();
    this.ram.track();
    if (!differing || this.ram.capability.mode !== 'Full') return;
    this.#differing = this.#followFrom(differing);
    this.#sinceFirst = this.#followFrom(union(layered, unsaved));
    this.#unsaved = this.#followFrom(unsaved);
  }

  /** What a snapshot taken now lies on, and what its pack has to hold. Throws SnapshotError where it would have to lie on what is lost. */
  scope(layers: readonly Layer[], lost: ReadonlySet<string> = new Set()): MemoryScope {
    const [base] = layers;
    // What differs from zero is not known of pages that are mapped.
    if (base && lost.has(base.sha256) && this.ram.hasBase) throw new SnapshotError('SnapshotUnreadable', `pack ${base.sha256}, which the machine’s memory lies on, is lost`);
    if (this.isTracked) return layerPlan(layers, lost);
    // Without tracking, only the difference to what is mapped is known.
    return base && this.ram.hasBase ? { scope: 'SinceBase', below: [base] } : { scope: 'Everything', below: [] };
  }

  /** Pages that a snapshot of this scope may have to hold, as of now. Call while the guest stands still, or between two of its slices. */
  changed({ scope }: MemoryScope): PageSet {
    this.ram.harvest();
    const followed = { Everything: this.#differing, SinceBase: this.#sinceFirst, SinceSnapshot: this.#unsaved }[scope];
    return followed?.pages.clone() ?? this.ram.differing();
  }

  /** Everything that differs from what is mapped: what a machine on this node needs to become this one. */
  differing(): PageSet {
    this.ram.harvest();
    return this.#differing?.pages.clone() ?? this.ram.differing();
  }

  /** How it differs from its layers at this moment, to be handed on with its pages. */
  changes(): ChangedPages {
    this.ram.harvest();
    return { layered: this.#layered.clone(), unsaved: this.#unsaved?.pages.clone() ?? this.ram.differing() };
  }

  /** Of the moment at which the guest stands still: the snapshot that is written of it, or not. */
  moment({ scope, below }: MemoryScope): MemoryMoment {
    const since = this.isTracked ? [this.ram.follow(), this.ram.follow()] : [];
    const [unsaved, sinceFirst] = since;
    // A page that is the base's again need not be said to be, unless a layer in between says something else.
    const hidden = this.#layered.clone();
    const isOnBase = this.ram.hasBase || scope === 'Everything';
    return {
      below,
      pagesOf: (copy) => {
        const pages = copy.pages();
        if (isOnBase) for (const page of copy.pages()) if ((scope !== 'SinceSnapshot' || !hidden.has(page)) && copy.isBaseContent(page)) pages.delete(page);
        return pages;
      },
      adopt: (written) => {
        if (scope !== 'SinceSnapshot') this.#layered.clear();
        if (scope !== 'Everything') this.#layered.union(written);
        if (!unsaved || !sinceFirst) return;
        this.#unsaved?.stop();
        this.#unsaved = unsaved;
        if (scope !== 'Everything') return sinceFirst.stop();
        this.#sinceFirst?.stop();
        this.#sinceFirst = sinceFirst;
      },
      abandon: () => since.forEach((followed) => followed.stop()),
    };
  }

  /** When the machine will not run again. */
  dispose(): void {
    this.ram.dispose();
  }

  get host(): ProbedMemory['memory'] {
    return this.#host.memory;
  }

  #followFrom(pages: PageSet): FollowedWrites {
    const followed = this.ram.follow();
    followed.pages.union(pages);
    return followed;
  }
}

function union(one: PageSet, other: PageSet): PageSet {
  const both = one.clone();
  both.union(other);
  return both;
}
