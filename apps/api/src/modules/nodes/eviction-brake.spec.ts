import fc from 'fast-check';
import { evictionMode, EvictionRate, type NodePulse } from './eviction-brake.ts';

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
