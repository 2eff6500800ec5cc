import type { VirtualMachinePool, VirtualMachinePoolStatus } from '@corral/contracts';

/** How many machines a pool has: what its status says, and what no write may exceed. */
export interface PoolCounts {
  readonly warm: number;
  readonly ready: number;
  readonly claimed: number;
  readonly machines: number;
  readonly coldFallbacks: number;
}

export const countsOf = ({ warm = 0, ready = 0, claimed = 0, machines = 0, coldFallbacks = 0 }: VirtualMachinePoolStatus = {}): PoolCounts => ({
  warm, ready, claimed, machines, coldFallbacks,
});

/** What is added to a pool, or taken from it. */
export type PoolChange = 'Member' | 'WarmClaim' | 'ColdClaim';

export type PoolRefusal =
  /** As many wait as are to wait. */
  | 'Full'
  /** As many machines there are as there may be. */
  | 'AtMaximum';

/** The counts after the change, or why it may not be made. Pure. */
export function countsAfter(pool: Pick<VirtualMachinePool, 'spec' | 'status'>, change: PoolChange): PoolCounts | PoolRefusal {
  const { warm: wanted = 0, maximum = 0 } = pool.spec ?? {};
  const counts = countsOf(pool.status);
  switch (change) {
    case 'Member':
      if (counts.warm >= wanted) return 'Full';
      return counts.machines >= maximum ? 'AtMaximum' : { ...counts, warm: counts.warm + 1, machines: counts.machines + 1 };
    case 'WarmClaim':
      return { ...counts, warm: Math.max(0, counts.warm - 1), ready: Math.max(0, counts.ready - 1), claimed: counts.claimed + 1 };
    case 'ColdClaim':
      if (counts.machines >= maximum) return 'AtMaximum';
      return { ...counts, claimed: counts.claimed + 1, machines: counts.machines + 1, coldFallbacks: counts.coldFallbacks + 1 };
  }
}
