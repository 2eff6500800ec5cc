import type { VmMemoryStatus } from '@corral/contracts';

const MIB = 1024 * 1024;
/** A smaller change of what is where is not worth a write that every watch hears. */
const BYTES_SHARE = 0.1;
/** So many pages in and out are news, however little moved in the end. */
const PAGES = 10_000;
const FIELDS = ['heldBytes', 'privateBytes', 'sharedBytes', 'compressedBytes', 'swappedBytes'] as const;

/** Whether what a machine's RAM does has changed enough to be told. Pure. */
export function isWorthTelling(told: VmMemoryStatus, now: VmMemoryStatus): boolean {
  if (told.mode !== now.mode || told.pager !== now.pager || told.budgetBytes !== now.budgetBytes) return true;
  if (now.swapIns + now.swapOuts - told.swapIns - told.swapOuts > PAGES) return true;
  return FIELDS.some((field) => Math.abs(now[field] - told[field]) > Math.max(MIB, told[field] * BYTES_SHARE));
}
