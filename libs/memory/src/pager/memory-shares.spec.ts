import fc from 'fast-check';
import { PAGE_BYTES } from '../machine-pages.ts';
import { residentAllowance, sharesOf } from './memory-shares.ts';

const MIB = 1024 * 1024;
const budgets = fc.integer({ min: 4 * MIB, max: 2047 * MIB });

describe('a budget', () => {
  it('covers what is resident, staged and packed, when the tiers keep to their shares', () => {
    fc.assert(
      fc.property(budgets, fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }), (budget, staged, packed) => {
        const shares = sharesOf(budget);
        const held = { stagedPages: Math.floor(shares.stagedPages * staged), packedBytes: Math.floor(shares.packedBytes * packed) };
        const resident = residentAllowance(budget, held) * PAGE_BYTES;
        expect(resident + held.stagedPages * PAGE_BYTES + held.packedBytes).toBeLessThanOrEqual(budget);
        expect(resident).toBeGreaterThan(budget / 2);
      }),
    );
  });

  it('leaves a guest a third of it, however much the tiers cannot get rid of', () => {
    fc.assert(fc.property(budgets, fc.nat(), (budget, packedBytes) => residentAllowance(budget, { stagedPages: 0, packedBytes }) >= Math.floor(budget / 3 / PAGE_BYTES)));
  });
});
