import { ratesOf, RATE_WINDOW_MS, withSample, type PagingSample } from './paging-rates.ts';

const sample = (second: number, number: number): PagingSample => ({ atMs: second * 1000, counts: { faults: number, swapIns: 2 * number, swapOuts: 0 } });
const heard = (...samples: readonly PagingSample[]): readonly PagingSample[] => samples.reduce(withSample, [] as readonly PagingSample[]);

describe('rates of paging', () => {
  it('are unknown until something was told twice', () => {
    expect(ratesOf([], 0)).toBeUndefined();
    expect(ratesOf(heard(sample(0, 5)), 10_000)).toBeUndefined();
    expect(ratesOf(heard(sample(0, 5), sample(2, 5)), 10_000)).toBeUndefined();
  });

  it('are what was counted over the time it took, and fall while nothing is told', () => {
    const samples = heard(sample(0, 100), sample(10, 200));
    expect(ratesOf(samples, 10_000)).toEqual({ faults: 10, swapIns: 20, swapOuts: 0 });
    expect(ratesOf(samples, 20_000)).toEqual({ faults: 5, swapIns: 10, swapOuts: 0 });
  });

  it('are of the window alone where more was heard, and little of it is kept', () => {
    const samples = heard(...Array.from({ length: 600 }, (_, second) => sample(second, second < 500 ? second * 1000 : 500_000 + second)));
    expect(ratesOf(samples, 599_000)?.faults).toBeCloseTo(1, 5);
    expect(samples.length).toBeLessThanOrEqual(RATE_WINDOW_MS / 1000 + 2);
  });

  it('begin anew when a process does, whose counts begin at zero', () => {
    expect(ratesOf(heard(sample(0, 100), sample(1, 5)), 2_000)).toBeUndefined();
    expect(ratesOf(heard(sample(0, 100), sample(1, 5), sample(2, 6)), 2_000)?.faults).toBe(1);
  });
});
