import fc from 'fast-check';
import { CLUSTER_PAGES, Readahead } from './readahead.ts';

describe('readahead', () => {
  it('doubles while a guest goes on where the last pages ended, up to a cluster', () => {
    const readahead = new Readahead();
    const windows: number[] = [];
    for (let page = 100; windows.length < 7; ) {
      const count = readahead.windowAt(page);
      windows.push(count);
      readahead.brought(page, count);
      page += count;
    }
    expect(windows).toEqual([1, 2, 4, 8, 16, 16, 16]);
  });

  it('brings one page to whoever jumps about, and never more than a cluster', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ page: fc.nat({ max: 1000 }), came: fc.integer({ min: 1, max: CLUSTER_PAGES }) })), (faults) => {
        const readahead = new Readahead();
        let expected = -1;
        for (const { page, came } of faults) {
          const window = readahead.windowAt(page);
          expect(window >= 1 && window <= CLUSTER_PAGES).toBe(true);
          if (page !== expected) expect(window).toBe(1);
          readahead.brought(page, Math.min(came, window));
          expected = page + Math.min(came, window);
        }
      }),
    );
  });
});
