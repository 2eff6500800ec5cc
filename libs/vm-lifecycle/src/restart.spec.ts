import { failuresAfter, restartDelayMs } from './restart.ts';

describe('restartDelayMs', () => {
  it.each([
    [0, 0],
    [1, 1_000],
    [2, 2_000],
    [5, 16_000],
    [9, 256_000],
    [10, 300_000],
    [999, 300_000],
  ])('after %i ends in a row waits %i ms', (failures, expected) => {
    expect(restartDelayMs(failures)).toBe(expected);
  });

  it('begins anew after ten minutes of running', () => {
    expect([failuresAfter(7, 10 * 60_000), failuresAfter(7, 10 * 60_000 - 1)]).toEqual([1, 8]);
  });
});
