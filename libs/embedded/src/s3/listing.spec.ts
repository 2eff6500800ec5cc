import fc from 'fast-check';
import { listKeys, type Listing } from './listing.ts';

const key = fc.string({ unit: fc.constantFrom('a', 'b', '/'), minLength: 1, maxLength: 5 });

function everyPage(keys: readonly string[], prefix: string, delimiter: string, maxKeys: number): Listing[] {
  const pages: Listing[] = [];
  for (let after = ''; ;) {
    const page = listKeys(keys, { prefix, delimiter, after, maxKeys });
    pages.push(page);
    if (page.next === undefined) return pages;
    after = page.next;
  }
}

describe('listKeys', () => {
  it('meets every key or folder exactly once, whatever the page size', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(key),
        fc.constantFrom('', 'a', 'a/', 'b'),
        fc.constantFrom('', '/'),
        fc.integer({ min: 1, max: 4 }),
        (unsorted, prefix, delimiter, maxKeys) => {
          const keys = [...unsorted].sort();
          const pages = everyPage(keys, prefix, delimiter, maxKeys);
          const matching = keys.filter((each) => each.startsWith(prefix));
          const cutOf = (each: string): number => (delimiter === '' ? -1 : each.indexOf(delimiter, prefix.length));
          expect(pages.flatMap((page) => page.keys)).toEqual(matching.filter((each) => cutOf(each) < 0));
          const folders = new Set(
            matching.filter((each) => cutOf(each) >= 0).map((each) => each.slice(0, cutOf(each) + 1)),
          );
          expect(pages.flatMap((page) => page.commonPrefixes)).toEqual([...folders].sort());
          for (const page of pages) expect(page.keys.length + page.commonPrefixes.length).toBeLessThanOrEqual(maxKeys);
        },
      ),
    );
  });

  it('begins after a key that is not there', () => {
    expect(listKeys(['a', 'c', 'd'], { prefix: '', delimiter: '', after: 'b', maxKeys: 10 }).keys).toEqual(['c', 'd']);
  });
});
