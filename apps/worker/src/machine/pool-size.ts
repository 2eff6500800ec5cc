import { MIB } from '@corral/contracts';

/** Of a process that waits, rehearsed, its own memory. */
const WAITING_BYTES = 25 * MIB;
const SHARE = 1 / 40;
const [FEWEST, MOST] = [2, 20];

/** How many VM processes wait on a node that has so much memory for machines, when nobody says: so that what waits costs it next to nothing. Pure. */
export function poolSizeFor(allocatableBytes: number): number {
  return Math.min(MOST, Math.max(FEWEST, Math.floor((allocatableBytes * SHARE) / WAITING_BYTES)));
}
