import fc from 'fast-check';
import { Backoff, backoffMs } from './backoff.ts';

const RANGE = { baseMs: 1_000, maxMs: 300_000 };

describe('Backoff', () => {
  it.each([
    [0, 0],
    [1, 1_000],
    [2, 2_000],
    [3, 4_000],
    [9, 256_000],
    [10, 300_000],
    [1_000, 300_000],
  ])('waits, after %i failures, %i ms', (failures, expected) => {
    expect(backoffMs(failures, RANGE)).toBe(expected);
  });

  it('keeps every wait between half of the full wait and the full wait', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 1, maxLength: 20 }),
        (draws) => {
          let draw = 0;
          const backoff = new Backoff({ ...RANGE, random: () => draws[draw++] ?? 0 });
          for (let failures = 1; failures <= draws.length; failures++) {
            const full = backoffMs(failures, RANGE);
            const wait = backoff.next('key');
            expect(wait).toBeGreaterThanOrEqual(full / 2);
            expect(wait).toBeLessThanOrEqual(full);
          }
        },
      ),
    );
  });

  it('counts each key by itself and begins anew once forgotten', () => {
    const backoff = new Backoff({ ...RANGE, random: () => 1 });
    expect([backoff.next('a'), backoff.next('a'), backoff.next('b')]).toEqual([1_000, 2_000, 1_000]);
    backoff.forget('a');
    expect([backoff.next('a'), backoff.next('b')]).toEqual([1_000, 2_000]);
  });
});
