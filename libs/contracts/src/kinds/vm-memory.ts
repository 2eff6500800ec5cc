import { z } from 'zod';

const Bytes = z.number().int().nonnegative();
const Count = z.number().int().nonnegative();

/**
 * Where a machine's RAM is, as of the last time it was told: private + shared + compressed + swapped + zero is all of it.
 * Told when something changed that matters, so that a machine that does nothing writes nothing.
 */
export const VmMemoryStatus = z.object({
  mode: z.enum(['Full', 'MapOnly', 'Copy']).describe('How the node holds the machine’s RAM.'),
  modeReason: z.string().optional().describe('Why it is not Full.'),
  budgetBytes: Bytes.optional().describe('How much of the node’s memory the RAM may take now; absent where nobody limits it.'),
  heldBytes: Bytes.describe('How much it takes: private pages, and what pages on their way out and compressed ones take.'),
  privateBytes: Bytes.describe('RAM that is the machine’s own and in place.'),
  sharedBytes: Bytes.describe('RAM in place that is shared with other machines of the same origin.'),
  compressedBytes: Bytes.describe('RAM that is kept compressed, or about to be, in the machine’s process.'),
  swappedBytes: Bytes.describe('RAM that is in Redis or in the durable copy.'),
  zeroBytes: Bytes.describe('RAM that was never used, or holds only zeros, and takes nothing.'),
  pager: z.enum(['Off', 'On', 'Refused']).describe('Off until the budget presses. Refused: the node cannot page this machine’s RAM.'),
  pagerReason: z.string().optional().describe('Why it is Refused.'),
  faults: Count.describe('Times the guest waited for a page.'),
  swapIns: Count.describe('Pages that came back, from wherever.'),
  swapOuts: Count.describe('Pages that were taken out.'),
  swapInsFrom: z.object({ staged: Count, compressed: Count, redis: Count, durable: Count }).describe('Where pages came back from.'),
  swapInMicroseconds: z.object({ p50: Count, p99: Count }).optional().describe('How long the guest waited for pages that were out; upper bounds.'),
  redis: z.object({ timeouts: Count, misses: Count, refusals: Count, stale: Count }).describe('What kept Redis from being used.'),
});
export type VmMemoryStatus = z.output<typeof VmMemoryStatus>;
