import { type Logger } from 'pino';
import { type ArtifactCache } from '../machine/artifact-cache.ts';
import { type SnapshotCache } from '../machine/snapshot-cache.ts';
import { type Supervisor } from '../machine/supervisor.ts';
import { identitiesOf } from './fence.ts';
import { type SnapshotConvergence } from '../snapshots/snapshot-convergence.ts';
import { type ImagePrefetch } from './image-prefetch.ts';
import { type NodeLease } from './lease.ts';
import { isRefused, type NodeCredential } from './node-credential.ts';
import { type NodeWatches } from './node-watches.ts';
import { type Registration } from './registration.ts';
import { Repetition } from './repetition.ts';

const HOUSEKEEPING_MS = 30_000;

export interface SignOfLifeOptions {
  readonly registration: Registration;
  readonly lease: NodeLease;
  readonly credential: Pick<NodeCredential, 'refused'>;
  readonly log: Logger;
  onRenewed(): void;
}

/** The node's sign of life: its object in the API, and the lease that says somebody stands behind it. */
export function signOfLife({ registration, lease, credential, log, onRenewed }: SignOfLifeOptions): Repetition {
  let isRegistered = false;
  return new Repetition({
    name: 'The sign of life',
    everyMs: lease.renewEveryMs,
    log,
    async work() {
      try {
        if (!isRegistered) await registration.register();
        isRegistered = true;
        await lease.renew();
        onRenewed();
        await registration.report();
      } catch (error) {
        if (isRefused(error)) await credential.refused();
        throw error;
      }
    },
  });
}

export interface HousekeepingOptions {
  readonly supervisor: Supervisor;
  readonly watches: NodeWatches;
  readonly artifacts: ArtifactCache;
  readonly snapshots: SnapshotCache;
  readonly uploads: Pick<SnapshotConvergence, 'neededPacks'>;
  readonly prefetch: ImagePrefetch;
  readonly log: Logger;
}

/** Removes what nobody needs any more: folders of machines that are gone, and what the caches have too much of. */
export function housekeeping(options: HousekeepingOptions): Repetition {
  const { supervisor, watches, artifacts, snapshots, uploads, prefetch, log } = options;
  return new Repetition({
    name: 'Housekeeping',
    everyMs: HOUSEKEEPING_MS,
    log,
    async work() {
      const bound = new Set(watches.machines.list().flatMap(identitiesOf));
      const left = await supervisor.sweep(bound);
      if (left.length > 0) log.info({ machines: left }, 'Removed what earlier machines left');
      await artifacts.prune(new Set([...(await supervisor.neededArtifacts()), ...prefetch.neededArtifacts()]));
      const packs = new Set([...(await supervisor.neededPacks()), ...uploads.neededPacks()]);
      await snapshots.prune({ snapshots: new Set(prefetch.neededSnapshots()), packs });
    },
  });
}
