import { Inject, Injectable } from '@nestjs/common';
import { ObjectStore } from '@corral/object-store';

const PREFIX = 'snapshots/';

/** A folder of snapshot files in the object store. */
export interface SnapshotFolder {
  readonly namespace: string;
  readonly uid: string;
  /** When a file was last written into it. */
  readonly modifiedAt: Date;
}

/** The bytes of snapshots: `snapshots/<namespace>/<uid>/<file>`. */
@Injectable()
export class SnapshotData {
  constructor(@Inject(ObjectStore) private readonly store: ObjectStore) {}

  async delete(namespace: string, uid: string, signal?: AbortSignal): Promise<void> {
    await this.store.deletePrefix(`${PREFIX}${namespace}/${uid}/`, signal);
  }

  /** Every folder there is. Holds one entry per snapshot, not per file. */
  async folders(signal?: AbortSignal): Promise<readonly SnapshotFolder[]> {
    const folders = new Map<string, SnapshotFolder>();
    for await (const { key, modifiedAt } of this.store.list(PREFIX, signal)) {
      const [, namespace, uid] = key.split('/');
      if (!namespace || !uid) continue;
      const known = folders.get(uid);
      if (!known || known.modifiedAt < modifiedAt) folders.set(uid, { namespace, uid, modifiedAt });
    }
    return [...folders.values()];
  }
}
