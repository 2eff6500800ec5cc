import { allowedMsAt } from './deadline.ts';
import { until } from './until.ts';

describe('a deadline', () => {
  it.each([
    [0, 2, 1_000, 2_000],
    [4, 2, 1_000, 2_000],
    [9, 2, 1_000, 4_500],
    [9, 8, 1_000, 2_000],
    [300, 2, 1_000, 10_000],
    [9, 2, 30_000, 90_000],
    [9, 2, 180_000, 180_000],
  ])('at a load of %d on %d cores allows for %d ms %d', (load, cores, written, allowed) => {
    expect(allowedMsAt(load, cores, written)).toBe(allowed);
  });

  it('ends a wait for what never comes, and says for what', async () => {
    await expect(until(() => false, { timeoutMs: 10, everyMs: 1, what: 'the impossible' })).rejects.toThrow(/^the impossible did not happen within \d+ ms$/);
  });

  it('is of no matter to what comes', async () => {
    let looked = 0;
    expect(await until(() => (looked += 1) === 3 && 'there', { timeoutMs: 10, everyMs: 1, what: 'the third look' })).toBe('there');
  });
});
