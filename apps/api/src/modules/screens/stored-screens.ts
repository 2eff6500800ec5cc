import { posix } from 'node:path';
import { MAX_SNAPSHOT_SCREEN_BYTES, Problem, SNAPSHOT_SCREEN_FILE, virtualMachineSnapshots, type ObjectClient, type VirtualMachine, type VirtualMachineSnapshot } from '@corral/contracts';
import { ObjectStore, ObjectStoreFailure } from '@corral/object-store';
import { Inject, Injectable } from '@nestjs/common';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';

const READ_DEADLINE_MS = 10_000;

/** What a machine showed at a moment that was kept. */
export interface StoredScreen {
  readonly png: Buffer;
  /** The moment. */
  readonly takenAt: Date;
}

/** What machines showed when snapshots of them were taken: kept in the object store, beside those. */
@Injectable()
export class StoredScreens {
  constructor(
    @Inject(OBJECT_CLIENT) private readonly objects: ObjectClient,
    @Inject(ObjectStore) private readonly store: ObjectStore,
  ) {}

  /** Refusals: `vm.no-screen` where the snapshot has none, `dependency.unavailable` where the object store does not answer. */
  async of({ metadata, status }: VirtualMachineSnapshot): Promise<StoredScreen> {
    const none = (cause?: unknown): Problem => new Problem('vm.no-screen', `snapshot "${metadata.name}" holds no picture of its machine’s screen`, { cause });
    if (status?.manifestKey === undefined) throw none();
    try {
      const key = posix.join(posix.dirname(status.manifestKey), SNAPSHOT_SCREEN_FILE);
      const png = await this.store.getBytes(key, MAX_SNAPSHOT_SCREEN_BYTES, AbortSignal.timeout(READ_DEADLINE_MS));
      return { png, takenAt: new Date(metadata.creationTimestamp) };
    } catch (error) {
      if (!(error instanceof ObjectStoreFailure)) throw error;
      if (error.reason === 'NotFound') throw none(error);
      throw new Problem('dependency.unavailable', 'the object store does not give the picture now; try again', { cause: error, details: { retryAfterSeconds: 5 } });
    }
  }

  /** The last that was kept of a machine that no node has: of where it will go on. Undefined where there is none. */
  async ofMachine({ metadata, status }: VirtualMachine): Promise<StoredScreen | undefined> {
    const name = status?.continueFrom?.snapshot ?? status?.hibernation?.snapshot ?? status?.lineage?.snapshot;
    const snapshot = name === undefined ? undefined : await this.objects.get(virtualMachineSnapshots, metadata.namespace, name);
    if (!snapshot) return undefined;
    return this.of(snapshot).catch((error: unknown) => {
      if (error instanceof Problem && error.code === 'vm.no-screen') return undefined;
      throw error;
    });
  }
}
