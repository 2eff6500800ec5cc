import fc from 'fast-check';
import { LookPacing } from './look-pacing.ts';

const looks = fc.array(fc.record({ tookMs: fc.double({ min: 0, max: 20, noNaN: true }), evicted: fc.constantFrom(0, 0, 300), worked: fc.boolean() }), { maxLength: 50 });

describe('pacing', () => {
  it('takes a twentieth of a core at most, and half of one while pages have to leave', () => {
    fc.assert(
      fc.property(looks, (list) => {
        const pacing = new LookPacing();
        for (const look of list) {
          const delayMs = pacing.next(look);
          expect(look.tookMs).toBeLessThanOrEqual((delayMs + look.tookMs) * (look.evicted > 0 ? 0.5 : 0.05) + 1e-9);
          if (look.evicted > 0) expect(delayMs).toBeLessThanOrEqual(Math.max(10, look.tookMs));
          expect(delayMs).toBeLessThanOrEqual(1_000);
        }
      }),
    );
  });

  it('lets a machine that does nothing sleep', () => {
    const pacing = new LookPacing();
    pacing.next({ tookMs: 1, evicted: 5, worked: true });
    expect(pacing.next({ tookMs: 0, evicted: 0, worked: false })).toBe(1_000);
  });
});
