import { Inject, Injectable, Logger } from '@nestjs/common';
import { systemClock } from '@corral/base';
import { virtualMachineSnapshots, type ObjectClient } from '@corral/contracts';
import { ObjectStore } from '@corral/object-store';
import { pause, systemTimers } from '@corral/reconcile';
import { Leadership } from '../../platform/leadership/leadership.ts';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { artifactUsers, namedArtifacts } from '../artifacts/artifact-references.ts';
import { ArtifactStore, STAGING_PREFIX } from '../artifacts/artifact.store.ts';
import { PackSweep } from './pack.sweep.ts';
import { SnapshotData } from './snapshot-data.ts';

/** Younger bytes may belong to an upload that is under way, or to an object whose creation we have not seen. */
export const ORPHAN_AGE_MS = 60 * 60_000;
/** Uploads may be large and slow. */
const STAGING_AGE_MS = 24 * 60 * 60_000;
/** Whoever uploads an artifact has this long to make an image of it. */
export const ARTIFACT_AGE_MS = 24 * 60 * 60_000;
const SWEEP_MS = 30 * 60_000;

/** Removes bytes that no object names: what crashes in the middle of an upload or a deletion leave behind. */
@Injectable()
export class StorageSweep {
  readonly #logger = new Logger('StorageSweep');

  constructor(
    @Inject(OBJECT_CLIENT) private readonly objects: ObjectClient,
    @Inject(ObjectStore) private readonly store: ObjectStore,
    @Inject(SnapshotData) private readonly data: SnapshotData,
    @Inject(ArtifactStore) private readonly artifacts: ArtifactStore,
    @Inject(PackSweep) private readonly packs: Pick<PackSweep, 'begin' | 'sweep'>,
    @Inject(Leadership) leadership: Leadership,
  ) {
    leadership.whileLeading('storage-sweep', (signal) => this.#run(signal));
  }

  /** Says how many snapshot folders, packs, artifacts and staged uploads it removed. */
  async sweep(now: Date, signal?: AbortSignal): Promise<number> {
    return (await this.#sweepSnapshots(now, signal)) + (await this.packs.sweep(now, signal)) + (await this.#sweepArtifacts(now, signal)) + (await this.#sweepStaging(now, signal));
  }

  async #sweepSnapshots(now: Date, signal?: AbortSignal): Promise<number> {
    // Bytes first, objects second: an object created in between is seen, and bytes written in between are young.
    const folders = await this.data.folders(signal);
    const { items } = await this.objects.list(virtualMachineSnapshots);
    const named = new Set(items.map(({ metadata }) => metadata.uid));
    const orphans = folders.filter(({ uid, modifiedAt }) => !named.has(uid) && now.getTime() - modifiedAt.getTime() > ORPHAN_AGE_MS);
    for (const { namespace, uid } of orphans) await this.data.delete(namespace, uid, signal);
    return orphans.length;
  }

  async #sweepArtifacts(now: Date, signal?: AbortSignal): Promise<number> {
    const old: string[] = [];
    for await (const { sha256, modifiedAt } of this.artifacts.all(signal)) if (now.getTime() - modifiedAt.getTime() > ARTIFACT_AGE_MS) old.push(sha256);
    const named = await this.#namedArtifacts();
    let removed = 0;
    for (const sha256 of old.filter((sha256) => !named.has(sha256))) {
      // Once more: an image of it may have been made while others were deleted, and it is not young for that.
      if ((await this.#namedArtifacts()).has(sha256)) continue;
      await this.artifacts.delete(sha256, signal);
      removed += 1;
    }
    return removed;
  }

  async #namedArtifacts(): Promise<ReadonlySet<string>> {
    return namedArtifacts(await artifactUsers(this.objects));
  }

  async #sweepStaging(now: Date, signal?: AbortSignal): Promise<number> {
    let removed = 0;
    for await (const { key, modifiedAt } of this.store.list(STAGING_PREFIX, signal)) {
      if (now.getTime() - modifiedAt.getTime() <= STAGING_AGE_MS) continue;
      await this.store.delete(key, signal);
      removed += 1;
    }
    return removed;
  }

  async #run(signal: AbortSignal): Promise<void> {
    this.packs.begin();
    for (;;) {
      await pause(systemTimers, SWEEP_MS, signal);
      if (signal.aborted) return;
      try {
        const removed = await this.sweep(systemClock.now(), signal);
        if (removed > 0) this.#logger.log(`Removed ${removed} folders, packs, artifacts and uploads that no object names`);
      } catch (error) {
        if (!signal.aborted) this.#logger.warn({ err: error }, 'Orphaned bytes were not removed; trying again later');
      }
    }
  }
}
