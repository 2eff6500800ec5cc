import type { RedisAddress } from './redis-address.ts';

/** What the pager's thread is started with. Addresses are the process's: both threads use the same memory. */
export interface PagerWorkerData {
  readonly userFaultFd: number;
  readonly start: number;
  readonly pages: number;
  readonly table: SharedArrayBuffer;
  readonly control: SharedArrayBuffer;
  readonly staging: SharedArrayBuffer;
  readonly stagingCapacity: number;
  readonly stagingAddress: number;
  readonly arenaAddress: number;
  readonly arenaBytes: number;
  readonly durableFd: number;
  readonly wakeFd: number;
  readonly heartbeatFd: number | undefined;
  readonly redis: RedisAddress | undefined;
  readonly keyPrefix: string;
  /** How the process ends when its machine lost a page. */
  readonly lostExitCode: number;
}
