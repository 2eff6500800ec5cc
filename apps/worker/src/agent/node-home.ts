import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Disposer } from '@corral/base';
import { type MachineConfig, MIB } from '@corral/contracts';
import { type ObjectStore } from '@corral/object-store';
import { type Logger } from 'pino';
import { type BaseImages } from '../bases/base-images.ts';
import { type WorkerConfig } from '../config.ts';
import { ArtifactCache } from '../machine/artifact-cache.ts';
import { PackCache } from '../machine/pack-cache.ts';
import { poolSizeFor } from '../machine/pool-size.ts';
import { ProcessPool } from '../machine/process-pool.ts';
import { SnapshotCache } from '../machine/snapshot-cache.ts';
import { Spool } from '../snapshots/spool.ts';
import { allocatableMemoryBytes } from './registration.ts';

const VM_PROCESS_ENTRY = fileURLToPath(new URL('../vm-process/main.js', import.meta.url));

/** What a node has on its disk for all of its machines, and the processes that wait for them. */
export interface NodeHome {
  readonly artifacts: ArtifactCache;
  readonly packs: PackCache;
  readonly snapshotCache: SnapshotCache;
  readonly spool: Spool;
  readonly pool: ProcessPool;
}

export interface NodeHomeOptions {
  readonly config: WorkerConfig;
  readonly firmware: MachineConfig['firmware'];
  readonly store: ObjectStore;
  readonly bases: BaseImages;
  /** Closes what is open. */
  readonly disposer: Disposer;
  readonly log: Logger;
}

/** Removes what interrupted work of an earlier node agent left there. */
export async function openNodeHome({ config, firmware, store, bases, disposer, log }: NodeHomeOptions): Promise<NodeHome> {
  const { home, artifactCacheMiB, snapshotCacheMiB, poolSize, poolMaximum, memoryMode } = config;
  const artifacts = new ArtifactCache({ directory: join(home, 'artifacts'), store, maxBytes: artifactCacheMiB * MIB });
  const packs = new PackCache({ directory: join(home, 'packs'), store, maxBytes: snapshotCacheMiB * MIB });
  const snapshotCache = new SnapshotCache({ directory: join(home, 'snapshots'), store, packs, maxBytes: snapshotCacheMiB * MIB });
  const spool = new Spool(join(home, 'spool'));
  const pool = new ProcessPool({
    entryPath: VM_PROCESS_ENTRY,
    firmware,
    directory: join(home, 'processes'),
    size: poolSize ?? poolSizeFor(allocatableMemoryBytes(config)),
    memoryMode,
    maximum: poolMaximum,
    concurrency: availableParallelism(),
    log,
  });
  await Promise.all([artifacts.open(), packs.open(), snapshotCache.open(), bases.open(), spool.open(), pool.open()]);
  disposer.add(() => bases.close());
  disposer.add(() => pool.close());
  return { artifacts, packs, snapshotCache, spool, pool };
}
