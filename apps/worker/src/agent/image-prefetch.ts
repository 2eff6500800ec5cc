import {
  type ObjectKey,
  type VirtualMachineImage,
  type VirtualMachineImageSpec,
  type VirtualMachineImageStatus,
} from '@corral/contracts';
import { type Informer, type ReconcileResult } from '@corral/reconcile';
import { type BaseImages } from '../bases/base-images.ts';
import { baseSourceOf } from '../bases/base-source.ts';
import { type ArtifactCache } from '../machine/artifact-cache.ts';
import { type SnapshotCache } from '../machine/snapshot-cache.ts';

export interface ImagePrefetchOptions {
  readonly images: Informer<VirtualMachineImageSpec, VirtualMachineImageStatus>;
  readonly artifacts: ArtifactCache;
  readonly snapshots: SnapshotCache;
  readonly bases: Pick<BaseImages, 'prepare'>;
  readonly v86Build: string;
}

/** Brings golden snapshots to this node before anybody asks, so that a first machine starts as fast as a second. */
export class ImagePrefetch {
  readonly #options: ImagePrefetchOptions;
  readonly #ready = new Set<string>();

  constructor(options: ImagePrefetchOptions) {
    this.#options = options;
  }

  /** Images whose golden snapshots are all here. */
  get ready(): readonly string[] {
    return [...this.#ready].sort();
  }

  async reconcile({ name }: ObjectKey): Promise<ReconcileResult> {
    const { images, artifacts, snapshots, bases } = this.#options;
    const image = images.get(undefined, name);
    const golden = this.#goldenOf(image);
    if (golden.length === 0) {
      this.#ready.delete(name);
      return { type: 'Done' };
    }
    for (const artifact of Object.values(image?.status?.artifacts ?? {})) await artifacts.ensure(artifact);
    for (const snapshot of golden) {
      const base = baseSourceOf(await snapshots.ensure(snapshot));
      if (base) await bases.prepare(base);
    }
    this.#ready.add(name);
    return { type: 'Done' };
  }

  /** Digests of what must stay in the cache of artifacts. */
  neededArtifacts(): string[] {
    return this.#options.images
      .list()
      .filter((image) => this.#goldenOf(image).length > 0)
      .flatMap(({ status }) => Object.values(status?.artifacts ?? {}).map(({ sha256 }) => sha256));
  }

  /** Digests of what must stay in the cache of snapshots. */
  neededSnapshots(): string[] {
    return this.#options.images.list().flatMap((image) => this.#goldenOf(image).map(({ digest }) => digest));
  }

  #goldenOf(image: VirtualMachineImage | undefined): NonNullable<VirtualMachineImageStatus['goldenSnapshots']> {
    return (image?.status?.goldenSnapshots ?? []).filter(({ v86Build }) => v86Build === this.#options.v86Build);
  }
}
