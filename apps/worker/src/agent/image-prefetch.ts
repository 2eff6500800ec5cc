import {
  ARTIFACT_ROLES,
  type ArtifactRole,
  MIB,
  type ObjectKey,
  parseBytes,
  type StartFrom,
  type VirtualMachineImage,
  type VirtualMachineImageSpec,
  type VirtualMachineImageStatus,
} from '@corral/contracts';
import { type Informer, type ReconcileResult } from '@corral/reconcile';
import { type BaseImages } from '../bases/base-images.ts';
import { baseSourceOf } from '../bases/base-source.ts';
import { type ArtifactCache } from '../machine/artifact-cache.ts';
import { type PackCache } from '../machine/pack-cache.ts';
import { recordOf } from '../machine/preparation.ts';
import { type ExpectedStart } from '../machine/rehearsal.ts';
import { type CachedSnapshot, type SnapshotCache } from '../machine/snapshot-cache.ts';

export interface ImagePrefetchOptions {
  readonly images: Informer<VirtualMachineImageSpec, VirtualMachineImageStatus>;
  readonly artifacts: ArtifactCache;
  readonly snapshots: SnapshotCache;
  readonly bases: Pick<BaseImages, 'hold'>;
  readonly packs: Pick<PackCache, 'directory'>;
  readonly v86Build: string;
  /** Machines of this image can start from here now. */
  onReady(image: VirtualMachineImage, start: Omit<ExpectedStart, 'firmware'>): void;
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
    const { images, artifacts, snapshots } = this.#options;
    const image = images.get(undefined, name);
    const golden = this.#goldenOf(image);
    if (!image || golden.length === 0) {
      this.#ready.delete(name);
      return { type: 'Done' };
    }
    const artifactPaths: Partial<Record<ArtifactRole, string>> = {};
    for (const role of ARTIFACT_ROLES) {
      const artifact = image.status?.artifacts?.[role];
      if (artifact) artifactPaths[role] = await artifacts.ensure(artifact);
    }
    for (const snapshot of golden) this.#tell(image, snapshot.memoryMiB, artifactPaths, await this.#placed(await snapshots.ensure(snapshot)));
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

  /** With its memory where machines will map it. */
  async #placed(cached: CachedSnapshot): Promise<StartFrom> {
    const { bases, packs } = this.#options;
    const base = baseSourceOf(cached);
    const held = base && (await bases.hold(base));
    const from: StartFrom = { type: 'Snapshot', directory: cached.directory, packs: packs.directory, ...(held ? { base: held.base } : {}) };
    // It stays while there is room, and who finds it gone reads the packs.
    held?.release();
    return from;
  }

  /** Of the size that machines have who name none. */
  #tell(image: VirtualMachineImage, memoryMiB: number, artifactPaths: ExpectedStart['artifactPaths'], from: StartFrom): void {
    if (parseBytes(image.spec?.memory ?? '') !== memoryMiB * MIB) return;
    this.#options.onReady(image, { record: recordOf(image, memoryMiB), artifactPaths, from });
  }

  #goldenOf(image: VirtualMachineImage | undefined): NonNullable<VirtualMachineImageStatus['goldenSnapshots']> {
    return (image?.status?.goldenSnapshots ?? []).filter(({ v86Build }) => v86Build === this.#options.v86Build);
  }
}
