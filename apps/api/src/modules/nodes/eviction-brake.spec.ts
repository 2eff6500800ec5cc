import fc from 'fast-check';
import { EvictionBrake, evictionMode, EvictionRate, type NodePulse } from './eviction-brake.ts';

const nodes = (missing: number, healthy: number, left = 0): NodePulse[] =>
  [...Array<string>(missing).fill('missing'), ...Array<string>(healthy).fill('healthy'), ...Array<string>(left).fill('left')].map((state, index) => ({
    name: `n${index}`,
    isMissing: state !== 'healthy',
    hasLeft: state === 'left',
  }));

describe('evictionMode', () => {
  it.each([
    // missing, healthy, left in good order
    [1, 0, 0, 'Stopped'],
    [1, 1, 0, 'Limited'],
    [2, 0, 0, 'Stopped'],
    [1, 2, 0, 'Limited'],
    [2, 1, 0, 'Limited'],
    [3, 0, 0, 'Stopped'],
    [3, 2, 0, 'Stopped'],
    [3, 3, 0, 'Limited'],
    [11, 9, 0, 'Stopped'],
    [10, 10, 0, 'Limited'],
    [1, 2, 9, 'Limited'],
    [0, 0, 3, 'Stopped'],
  ] as const)('%i missing, %i healthy, %i left: %s', (missing, healthy, left, mode) => {
    expect(evictionMode(nodes(missing, healthy, left))).toBe(mode);
  });

  const count = fc.integer({ min: 0, max: 40 });
  it('evicts nothing when at least 55 % of more than two are missing, nor when nobody is left; one node more that answers never brakes', () => {
    fc.assert(
      fc.property(count, count, count, (missing, healthy, left) => {
        const mode = evictionMode(nodes(missing, healthy, left));
        if (healthy === 0 || (missing > 2 && missing * 100 >= 55 * (missing + healthy))) expect(mode).toBe('Stopped');
        if (mode === 'Limited') expect(evictionMode(nodes(missing, healthy + 1, left))).toBe('Limited');
        // Who said goodbye does not count.
        expect(evictionMode(nodes(missing, healthy, left + 1))).toBe(mode);
      }),
    );
  });
});

describe('EvictionBrake', () => {
  it('when it is released, gives whoever is still silent a whole term to come back, each its own', () => {
    const brake = new EvictionBrake();
    expect(brake.waitMs(40_000, 0)).toBe(0);
    brake.observe(nodes(3, 0), 100_000);
    expect(brake.isOn).toBe(true);
    // The first one is back.
    expect(brake.observe(nodes(2, 1), 200_000)).toBe('Limited');
    expect(brake.isOn).toBe(false);
    expect([brake.waitMs(40_000, 200_000), brake.waitMs(6_000, 200_000), brake.waitMs(40_000, 230_000), brake.waitMs(40_000, 240_000)]).toEqual([40_000, 6_000, 10_000, 0]);
    // Only a release counts, however often it is asked.
    brake.observe(nodes(1, 2), 250_000);
    expect(brake.waitMs(40_000, 250_000)).toBe(0);
  });

  it('whenever and however nodes come and go, lets none pass within a term of the last time most were missing', () => {
    const moment = fc.record({ afterMs: fc.integer({ min: 0, max: 20_000 }), missing: fc.integer({ min: 0, max: 6 }), healthy: fc.integer({ min: 0, max: 6 }) });
    fc.assert(
      fc.property(fc.array(moment, { maxLength: 40 }), fc.integer({ min: 1_000, max: 40_000 }), (moments, graceMs) => {
        const brake = new EvictionBrake();
        let now = 0;
        let stoppedAt = -Infinity;
        for (const { afterMs, missing, healthy } of moments) {
          now += afterMs;
          if (brake.observe(nodes(missing, healthy), now) === 'Stopped') stoppedAt = now;
          else if (brake.waitMs(graceMs, now) === 0) expect(now - stoppedAt).toBeGreaterThanOrEqual(graceMs);
        }
      }),
    );
  });
});

describe('EvictionRate', () => {
  it('in no span of time lets more pass than one and its rate, and lets everybody pass in the end', () => {
    const delays = fc.array(fc.integer({ min: 0, max: 30_000 }), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(fc.constantFrom(1, 6, 60), delays, (perMinute, waits) => {
        const rate = new EvictionRate(perMinute);
        const passed: number[] = [];
        let now = 0;
        for (const wait of waits) {
          now += wait;
          if (rate.take(now) === 0) passed.push(now);
        }
        for (const [index, from] of passed.entries()) {
          for (const [later, until] of passed.entries()) {
            if (later >= index) expect(later - index + 1).toBeLessThanOrEqual(1 + ((until - from) * perMinute) / 60_000 + 1e-9);
          }
        }
        const again = rate.take(now);
        expect(rate.take(now + again)).toBe(again === 0 ? 60_000 / perMinute : 0);
      }),
    );
  });
});
