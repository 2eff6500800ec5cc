import fc from 'fast-check';
import { READAHEAD_PAGES, Readahead } from './readahead.ts';

/** The windows of a guest that goes on where the last pages ended; `between` is done after each. */
function walk(readahead: Readahead, from: number, steps: number, between: () => void = () => undefined): number[] {
  const windows: number[] = [];
  for (let page = from; windows.length < steps; ) {
    const count = readahead.windowAt(page);
    windows.push(count);
    readahead.brought(page, count);
    page += count;
    between();
  }
  return windows;
}

describe('readahead', () => {
  it('doubles while a guest goes on where the last pages ended, in whole clusters', () => {
    expect(walk(new Readahead(), 96, 9)).toEqual([1, 2, 4, 8, 16, 17, 64, 64, 64]);
  });

  it('goes on when the guest does something else in between', () => {
    const readahead = new Readahead();
    walk(readahead, 0, 8);
    let elsewhere = 100_000;
    const windows = walk(readahead, 160, 1, () => undefined);
    expect(windows).toEqual([1]);
    expect(walk(readahead, 161, 12, () => void walk(readahead, (elsewhere -= 50), 3)).at(-1)).toBe(64);
  });

  it('brings one page to whoever jumps about, and never more than it may', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ page: fc.nat({ max: 1000 }), came: fc.integer({ min: 1, max: READAHEAD_PAGES }) })), (faults) => {
        const readahead = new Readahead();
        const expected = new Set<number>();
        for (const { page, came } of faults) {
          const window = readahead.windowAt(page);
          expect(window >= 1 && window <= READAHEAD_PAGES).toBe(true);
          if (!expected.has(page)) expect(window).toBe(1);
          readahead.brought(page, Math.min(came, window));
          expected.add(page + Math.min(came, window));
        }
      }),
    );
  });
});
