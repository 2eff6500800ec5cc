import { type Clock } from '@corral/base';
import { type MachineConfig, type ObjectKey } from '@corral/contracts';
import { type Run } from '@corral/vm-lifecycle';
import { type Logger } from 'pino';
import { type BaseImages } from '../bases/base-images.ts';
import { type MachineNotice } from './machine-notice.ts';
import { type PackCache } from './pack-cache.ts';
import { type Preparer } from './preparation.ts';
import { type ProcessPool } from './process-pool.ts';
import { type SnapshotCache } from './snapshot-cache.ts';

/** What every machine of a node shares. */
export interface MachineSurroundings {
  readonly pool: ProcessPool;
  readonly preparer: Pick<Preparer, 'prepare'>;
  readonly snapshots: Pick<SnapshotCache, 'discard'>;
  readonly bases: Pick<BaseImages, 'hold'>;
  readonly packs: PackCache;
  readonly firmware: MachineConfig['firmware'];
  readonly v86Build: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** How long what a machine was written out as may be nowhere before it is given up; five minutes by default. */
  readonly lostStateMs?: number;
  /** The Redis that cold pages go to; undefined: they go to the node's disk alone. */
  readonly swapRedisUrl?: string;
  /** A path for the next socket, short enough for sockaddr_un. */
  nextSocketPath(): string;
  /** Something changed: plan again. */
  onChange(key: ObjectKey): void;
  onNotice(uid: string, notice: MachineNotice): void;
  /** An incarnation is Ready for the first time. */
  onReady(from: Run['startedFrom']['type'], startMilliseconds: number): void;
}

/** Where the data plane of a running incarnation is served. */
export interface MachineEndpoint {
  readonly incarnation: number;
  readonly socketPath: string;
}
