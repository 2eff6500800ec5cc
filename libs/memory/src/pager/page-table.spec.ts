import fc from 'fast-check';
import { Backing, PageState, PageTable } from './page-table.ts';

describe('a page table', () => {
  it('is one for all who share its memory, and no column touches another', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 70 }), fc.nat(), (pages, seed) => {
        const mine = new PageTable(pages);
        const theirs = new PageTable(pages, mine.shared);
        const columns = ['age', 'generation', 'checksum', 'slot', 'length', 'state', 'backing'] as const;
        const value = (column: number, page: number): number => (seed + column * 7 + page * 3) % 200;
        columns.forEach((name, column) => mine[name].forEach((_, page) => (mine[name][page] = value(column, page))));
        columns.forEach((name, column) => theirs[name].forEach((found, page) => expect(found).toBe(value(column, page))));
      }),
    );
  });

  it('begins with every page resident and none kept elsewhere', () => {
    const table = new PageTable(33);
    expect([...table.state].every((state) => state === PageState.Resident)).toBe(true);
    expect([...table.backing].some((backing) => backing !== 0)).toBe(false);
  });

  it('a page that was written to has no copy elsewhere that counts', () => {
    const table = new PageTable(4);
    table.backing[2] = Backing.Durable | Backing.Redis;
    table.written(2, 9);
    expect([table.backing[2], table.age[2], table.backing[1]]).toEqual([0, 9, 0]);
  });
});
