import { type VmLineage } from '@corral/contracts';
import { layerKeys, layersOf, packKey, type SnapshotManifest } from '@corral/memory';
import { type PackCache } from './pack-cache.ts';
import { type Preparation } from './preparation.ts';

/** Where a snapshot of a machine can be found by others. */
export interface StoredSnapshot {
  readonly snapshot?: string;
  readonly digest?: string;
}

/** The layers that something lies on. */
export type LayeredManifest = Pick<SnapshotManifest, 'memory' | 'disk'>;

/** What a machine's next snapshot builds on, and where what it last was can be had. */
export class MachineLineage {
  #manifest: LayeredManifest | undefined;
  #stored: StoredSnapshot = {};

  /** The snapshot that its next one builds on: what it started from, or the last that was taken of it. */
  get manifest(): LayeredManifest | undefined {
    return this.#manifest;
  }

  /** Of its namespace, the snapshot that this incarnation started from, or its last one that is in the object store. */
  get storedName(): string | undefined {
    return this.#stored.snapshot;
  }

  /** As the API is told of it; of what was prepared, before that has started. */
  told(preparation: Preparation | undefined): VmLineage | undefined {
    const manifest = preparation ? preparation.manifest : this.#manifest;
    const stored = preparation ? storedOf(preparation, this.#stored) : this.#stored;
    return manifest && { ...stored, layers: layerKeys(manifest) };
  }

  /** It starts; `before` is what the API was told of its last life. */
  begin(preparation: Preparation, before: VmLineage | StoredSnapshot): void {
    this.#manifest = preparation.manifest;
    this.#stored = storedOf(preparation, before);
  }

  took(manifest: SnapshotManifest): void {
    this.#manifest = manifest;
  }

  /**
   * What the next snapshot must not lie on, as a VM process is told. A snapshot counts for the next one as soon as it is written: where it was never uploaded, and
   * its packs are gone from here, nobody has them. Those of golden snapshots are their images'.
   */
  async without(packs: Pick<PackCache, 'lostOf'>, namespace: string): Promise<{ readonly lost?: readonly string[] }> {
    const own = (this.#manifest ? layersOf(this.#manifest) : []).filter(({ key, sha256 }) => key === packKey(namespace, sha256));
    const lost = await packs.lostOf(own);
    return lost.length === 0 ? {} : { lost };
  }

  /** What it began with lay on some layers, and is a snapshot by now: its next one builds on that, unless one was taken meanwhile. */
  beganWith(before: LayeredManifest, manifest: LayeredManifest): void {
    if (this.#manifest && layerKeys(this.#manifest).join() === layerKeys(before).join()) this.#manifest = manifest;
  }

  isStored(stored: Required<StoredSnapshot>): void {
    this.#stored = stored;
  }
}

/** A suspended machine goes on from what lies here; what it last had in the object store is what it was told of `before`. */
function storedOf({ startedFrom: { type, name, digest } }: Preparation, before: VmLineage | StoredSnapshot): StoredSnapshot {
  switch (type) {
    case 'Snapshot':
      return { snapshot: name, ...(digest === undefined ? {} : { digest }) };
    case 'Suspended':
      return { ...(before.snapshot === undefined ? {} : { snapshot: before.snapshot }), ...(before.digest === undefined ? {} : { digest: before.digest }) };
    case 'GoldenSnapshot':
      return digest === undefined ? {} : { digest };
    // The moment of a fork is seldom stored, and never for long.
    case 'Fork':
    case 'Boot':
      return {};
  }
}
