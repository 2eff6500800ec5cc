import { PAGE_BYTES } from '../machine-pages.ts';

/** How a machine's budget is divided. All of it together is never more than the budget, as long as the tiers behind take what leaves. */
export interface MemoryShares {
  /** Staged at most. */
  readonly stagedPages: number;
  /** Packed at most, before pages go on to Redis. */
  readonly packedBytes: number;
}

const MIB = 1024 * 1024;
const STAGED = { share: 1 / 8, leastBytes: MIB / 4, mostBytes: 6 * MIB };
const PACKED_SHARE = 1 / 4;
/** With Redis away, pages stay packed until they take this many times their share; then the durable copy has to do. */
export const PACKED_OVERDRAFT = 2;
/** Resident pages keep at least this share, however full the tiers are: below it a guest would do nothing but wait. */
const LEAST_RESIDENT_SHARE = 1 / 3;

export function sharesOf(budgetBytes: number): MemoryShares {
  const stagedBytes = Math.min(STAGED.mostBytes, Math.max(STAGED.leastBytes, budgetBytes * STAGED.share));
  return { stagedPages: Math.floor(stagedBytes / PAGE_BYTES), packedBytes: Math.floor(budgetBytes * PACKED_SHARE) };
}

/** How many pages may stay resident, given what the tiers in this process hold now. */
export function residentAllowance(budgetBytes: number, held: { readonly stagedPages: number; readonly packedBytes: number }): number {
  const left = budgetBytes - held.stagedPages * PAGE_BYTES - held.packedBytes;
  return Math.floor(Math.max(left, budgetBytes * LEAST_RESIDENT_SHARE) / PAGE_BYTES);
}
