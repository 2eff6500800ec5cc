import { Inject, Injectable } from '@nestjs/common';
import { systemClock } from '@corral/base';
import {
  ARTIFACT_ROLES,
  findCondition,
  virtualMachineImages,
  virtualMachines,
  virtualMachineSnapshots,
  withCondition,
  type ArtifactRole,
  type ConditionUpdate,
  type ObjectClient,
  type ObjectKey,
  type StoredArtifact,
  type StoredArtifacts,
  type VirtualMachineImage,
  type VirtualMachineImageStatus,
} from '@corral/contracts';
import { Backoff, EventRecorder, systemTimers, type ReconcileResult } from '@corral/reconcile';
import { ObjectStoreFailure } from '@corral/object-store';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { withoutFinalizer } from '../admission/finalizers.ts';
import { artifactsToDelete, artifactUsers } from '../artifacts/artifact-references.ts';
import { ArtifactStore } from '../artifacts/artifact.store.ts';
import { Informers } from '../controllers/informers.ts';
import { after, DONE, on, Reconcilers, type Reconciler, type Trigger } from '../controllers/reconcilers.ts';
import { writeStatus } from '../controllers/write-status.ts';
import { ArtifactFetcher } from './artifact.fetcher.ts';
import { hasFailedForGood, isSettled } from './image-conditions.ts';
import { imageDigest } from './image-digest.ts';
import { IMAGE_DATA_FINALIZER } from './image.admission.ts';
import { ImageFault, storageUnreachable } from './image-fault.ts';
import { formatProblem } from './image-format.ts';
import { imageOwnerOf } from './owned-by-image.ts';

const BACKOFF = { baseMs: 2_000, maxMs: 5 * 60_000 };
/** Whoever waits for an upload is told soon after it came; asking is one small request. */
const UPLOAD_POLL_MS = 5_000;

/** Brings the bytes of images into the object store, looks at what they are, and says whether machines can start from them. */
@Injectable()
export class ImageReconciler implements Reconciler {
  readonly name = 'images';
  /** What it remembers only spares work: fetching anew what an attempt in another process brought in is a look into the store. */
  readonly placement = 'Shared';
  /** Slow sources hold a place each; other images should not wait for them. */
  readonly concurrency = 8;
  readonly triggers: readonly Trigger[];
  readonly #backoff = new Backoff({ ...BACKOFF, random: Math.random });
  /** What an attempt brought in before another artifact failed, so that the next need not: image, generation and role → artifact. */
  readonly #fetched = new Map<string, StoredArtifact>();
  /** Image name → until when, on the monotonic clock, its spec of this generation is not tried again. */
  readonly #waits = new Map<string, { readonly spec: string; readonly until: number }>();

  constructor(
    @Inject(OBJECT_CLIENT) private readonly objects: ObjectClient,
    @Inject(Informers) private readonly informers: Informers,
    @Inject(EventRecorder) private readonly events: EventRecorder,
    @Inject(ArtifactFetcher) private readonly fetcher: ArtifactFetcher,
    @Inject(ArtifactStore) private readonly artifacts: ArtifactStore,
    @Inject(Reconcilers) reconcilers: Reconcilers,
  ) {
    this.triggers = [
      on(virtualMachineImages),
      on(virtualMachines, () => this.#beingDeleted()),
      on(virtualMachineSnapshots, () => this.#beingDeleted()),
    ];
    reconcilers.add(this);
  }

  async reconcile({ name }: ObjectKey, signal: AbortSignal): Promise<ReconcileResult> {
    const image = this.informers.of(virtualMachineImages).get(undefined, name);
    if (!image) {
      this.#forget(name);
      return DONE;
    }
    if (image.metadata.deletionTimestamp !== undefined) return this.#delete(image, signal);
    if (isSettled(image)) return DONE;
    // Our own status writes call here too: only a change of the spec may cut a wait short.
    const wait = this.#waits.get(name);
    if (wait?.spec === specOf(image) && wait.until > systemTimers.now()) return after(wait.until - systemTimers.now());

    const told = await this.#reportFetching(image, wait?.spec === specOf(image));
    const watch = this.#untilChanged(told, signal);
    try {
      const artifacts = await this.#fetchAll(told, watch.signal);
      await this.#accept(told, artifacts);
      this.#forget(name);
      return DONE;
    } catch (error) {
      // The image changed under the work: whoever changed it has called for another look.
      if (watch.signal.aborted && !signal.aborted) return DONE;
      return await this.#refuse(told, faultOf(error));
    } finally {
      watch.end();
    }
  }

  /** A failure that is being tried again stays to be read until there is something newer to say. */
  async #reportFetching(image: VirtualMachineImage, isRetry: boolean): Promise<VirtualMachineImage> {
    if (isRetry) return image;
    return this.#report(image, { type: 'Ready', status: 'False', reason: 'Fetching', message: 'Artifacts are being fetched and checked.' }, { Fetched: ['False', 'Fetching'] });
  }

  async #fetchAll(image: VirtualMachineImage, signal: AbortSignal): Promise<StoredArtifacts> {
    const found: Partial<Record<ArtifactRole, StoredArtifact>> = {};
    for (const role of ARTIFACT_ROLES) {
      const wanted = image.spec?.[role];
      if (!wanted) continue;
      const key = `${image.metadata.name}/${specOf(image)}/${role}`;
      const artifact = (await this.#stillStored(key, signal)) ?? (await this.fetcher.fetch(wanted, signal));
      this.#fetched.set(key, artifact);
      found[role] = artifact;
    }
    for (const [role, artifact] of Object.entries(found) as [ArtifactRole, StoredArtifact][]) {
      const problem = await formatProblem(role, this.artifacts.bytesOf(artifact), { besideKernel: image.spec?.kernel !== undefined });
      if (problem !== undefined) throw new ImageFault('UnsupportedFormat', problem);
    }
    return found;
  }

  /** What an earlier attempt brought in. No object names it yet, so it may have been swept away. */
  async #stillStored(key: string, signal: AbortSignal): Promise<StoredArtifact | undefined> {
    const fetched = this.#fetched.get(key);
    return fetched && this.artifacts.find(fetched.sha256, signal);
  }

  async #accept(image: VirtualMachineImage, artifacts: StoredArtifacts): Promise<void> {
    if (!image.spec) return;
    const digest = imageDigest(image.spec, artifacts);
    const sizeBytes = Object.values(artifacts).reduce((sum, artifact) => sum + artifact.sizeBytes, 0);
    const ready = { type: 'Ready', status: 'True', reason: 'ArtifactsVerified', message: 'Machines can start from it.' } as const;
    const written = await this.#report(image, ready, { Fetched: ['True', 'Stored'] }, { artifacts, digest, sizeBytes });
    this.events.record(written, 'Normal', 'ImageReady', `Its artifacts are stored and verified (${sizeBytes} bytes).`);
  }

  async #refuse(image: VirtualMachineImage, { reason, message }: ImageFault): Promise<ReconcileResult> {
    const { name } = image.metadata;
    const isStored = reason === 'UnsupportedFormat';
    const written = await this.#report(image, { type: 'Ready', status: 'False', reason, message }, { Fetched: isStored ? ['True', 'Stored'] : ['False', reason] });
    if (findCondition(image.status?.conditions, 'Ready')?.message !== message) this.events.record(written, 'Warning', reason, message);
    if (hasFailedForGood({ status: 'False', reason })) {
      this.#forget(name);
      return DONE;
    }
    const backoffMs = this.#backoff.next(name);
    const delayMs = reason === 'ArtifactMissing' ? Math.min(backoffMs, UPLOAD_POLL_MS) : backoffMs;
    this.#waits.set(name, { spec: specOf(image), until: systemTimers.now() + delayMs });
    return after(delayMs);
  }

  #report(
    image: VirtualMachineImage,
    ready: ConditionUpdate,
    { Fetched: [status, reason] }: { readonly Fetched: readonly ['True' | 'False', string] },
    more: Partial<VirtualMachineImageStatus> = {},
  ): Promise<VirtualMachineImage> {
    const { generation } = image.metadata;
    const now = systemClock.now();
    const fetched: ConditionUpdate = { type: 'Fetched', status, reason, ...(status === 'False' && ready.message !== undefined ? { message: ready.message } : {}) };
    const conditions = withCondition(withCondition(image.status?.conditions, fetched, now, generation), ready, now, generation);
    return writeStatus(this.objects, this.informers.of(virtualMachineImages), virtualMachineImages, image, { ...image.status, ...more, conditions, observedGeneration: generation });
  }

  /** Aborts when the image is deleted or its spec changes, so that nobody waits for bytes nobody wants. */
  #untilChanged(image: VirtualMachineImage, outer: AbortSignal): { readonly signal: AbortSignal; end(): void } {
    const abort = new AbortController();
    const end = this.informers.of(virtualMachineImages).onChange(({ name }, now) => {
      if (name !== image.metadata.name) return;
      const same = now?.metadata.uid === image.metadata.uid && now.metadata.generation === image.metadata.generation && now.metadata.deletionTimestamp === undefined;
      if (!same) abort.abort();
    });
    return { signal: AbortSignal.any([abort.signal, outer]), end };
  }

  /** Baking removes its machines and golden snapshots when it sees the image go; then the artifacts nobody else needs. */
  async #delete(image: VirtualMachineImage, signal: AbortSignal): Promise<ReconcileResult> {
    if (!image.metadata.finalizers?.includes(IMAGE_DATA_FINALIZER)) return DONE;
    const isOwned = (object: Parameters<typeof imageOwnerOf>[0]): boolean => imageOwnerOf(object)?.uid === image.metadata.uid;
    const bakedRemains = this.informers.of(virtualMachines).list().some(isOwned) || this.informers.of(virtualMachineSnapshots).list().some(isOwned);
    if (bakedRemains) return DONE;

    const unneeded = artifactsToDelete(image, await artifactUsers(this.objects));
    for (const sha256 of unneeded) await this.artifacts.delete(sha256, signal);
    await this.objects.replace(virtualMachineImages, withoutFinalizer(image, IMAGE_DATA_FINALIZER));
    return DONE;
  }

  #beingDeleted(): ObjectKey[] {
    return this.informers
      .of(virtualMachineImages)
      .list()
      .filter(({ metadata }) => metadata.deletionTimestamp !== undefined)
      .map(({ metadata }) => ({ namespace: '', name: metadata.name }));
  }

  #forget(name: string): void {
    this.#backoff.forget(name);
    this.#waits.delete(name);
    for (const key of this.#fetched.keys()) if (key.startsWith(`${name}/`)) this.#fetched.delete(key);
  }
}

/** Changes with what is wished of the image, and with nothing else. */
const specOf = ({ metadata }: VirtualMachineImage): string => `${metadata.uid}/${metadata.generation}`;

function faultOf(error: unknown): ImageFault {
  if (error instanceof ImageFault) return error;
  if (error instanceof ObjectStoreFailure) return storageUnreachable(error);
  throw error;
}
