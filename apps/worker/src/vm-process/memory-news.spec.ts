import fc from 'fast-check';
import type { VmMemoryStatus } from '@corral/contracts';
import { isWorthTelling } from './memory-news.ts';

const MIB = 1024 * 1024;
const status: VmMemoryStatus = {
  mode: 'Full', heldBytes: 60 * MIB, privateBytes: 50 * MIB, sharedBytes: 30 * MIB, compressedBytes: 0, swappedBytes: 20 * MIB, zeroBytes: 28 * MIB, pager: 'On',
  faults: 0, swapIns: 100, swapOuts: 200, swapInsFrom: { staged: 0, compressed: 0, redis: 0, durable: 0 }, redis: { timeouts: 0, misses: 0, refusals: 0, stale: 0 },
};

describe('what a machine’s RAM does', () => {
  it('is no news while little changes, and a machine that is told of once stays quiet', () => {
    fc.assert(
      fc.property(fc.integer({ min: -MIB, max: MIB }), fc.nat({ max: 4_000 }), (bytes, pages) => {
        expect(isWorthTelling(status, { ...status, privateBytes: status.privateBytes + bytes, swapIns: status.swapIns + pages })).toBe(false);
      }),
    );
  });

  it.each<[string, Partial<VmMemoryStatus>]>([
    ['another mode', { mode: 'MapOnly' }], ['a pager', { pager: 'Off' }], ['a budget', { budgetBytes: 1 }], ['swapped', { swappedBytes: 25 * MIB }], ['busy', { swapIns: 20_000 }],
  ])('is news with %s', (_, change) => expect(isWorthTelling(status, { ...status, ...change })).toBe(true));
});
