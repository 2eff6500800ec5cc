import fc from 'fast-check';
import { Breaker, BREAKER_OPEN_MS } from './breaker.ts';

describe('a breaker', () => {
  it('lets nobody ask for a while after a failure, and then lets them ask again', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ waitMs: fc.nat({ max: 2_000 }), fails: fc.boolean() })), (attempts) => {
        const breaker = new Breaker();
        let [nowMs, failedMs] = [0, -Infinity];
        for (const { waitMs, fails } of attempts) {
          nowMs += waitMs;
          expect(breaker.allows(nowMs)).toBe(nowMs - failedMs >= BREAKER_OPEN_MS);
          if (!breaker.allows(nowMs)) continue;
          if (fails) breaker.failed((failedMs = nowMs));
          else breaker.succeeded();
        }
      }),
    );
  });

  it('counts from the first failure until something succeeds', () => {
    const breaker = new Breaker();
    breaker.failed(1_000);
    breaker.failed(3_000);
    expect(breaker.failingForMs(4_000)).toBe(3_000);
    breaker.succeeded();
    expect(breaker.failingForMs(5_000)).toBe(0);
  });
});
