import fc from 'fast-check';
import { PageSet } from './page-set.ts';

const BOUND = 200;
const numbers = fc.uniqueArray(fc.nat(BOUND - 1));
const ascending = (set: Iterable<number>): number[] => [...set].sort((one, other) => one - other);

it('holds exactly what was added and not deleted', () => {
  fc.assert(
    fc.property(numbers, numbers, (added, deleted) => {
      const set = PageSet.of(BOUND, added);
      for (const number of deleted) set.delete(number);
      const expected = ascending(added.filter((number) => !deleted.includes(number)));
      expect([...set]).toEqual(expected);
      expect([...set.numbers()]).toEqual(expected);
      expect(set.count).toBe(expected.length);
      expect(set.isEmpty).toBe(expected.length === 0);
      for (let number = -1; number <= BOUND; number += 1) expect(set.has(number)).toBe(expected.includes(number));
    }),
  );
});

it('unites, subtracts and intersects as sets do, and leaves the other as it was', () => {
  fc.assert(
    fc.property(numbers, numbers, (left, right) => {
      const isIn = (numbers: readonly number[]) => (number: number): boolean => numbers.includes(number);
      const combined = (how: 'union' | 'subtract' | 'intersect'): number[] => {
        const [set, second] = [PageSet.of(BOUND, left), PageSet.of(BOUND, right)];
        set[how](second);
        expect([...second]).toEqual(ascending(right));
        return [...set];
      };
      expect(combined('union')).toEqual(ascending(new Set([...left, ...right])));
      expect(combined('subtract')).toEqual(ascending(left.filter((number) => !isIn(right)(number))));
      expect(combined('intersect')).toEqual(ascending(left.filter(isIn(right))));
    }),
  );
});

it('runs are maximal, ascending, and together the set; cut at the longest where one is given', () => {
  fc.assert(
    fc.property(numbers, fc.integer({ min: 1, max: 40 }), (added, longest) => {
      const set = PageSet.of(BOUND, added);
      const pagesOf = (runs: Iterable<{ start: number; count: number }>): number[] =>
        [...runs].flatMap(({ start, count }) => Array.from({ length: count }, (_, at) => start + at));
      for (const { start, count } of set.runs()) expect([set.has(start - 1), set.has(start + count)]).toEqual([false, false]);
      expect(pagesOf(set.runs())).toEqual(ascending(added));
      const cut = [...set.runs(longest)];
      expect(pagesOf(cut)).toEqual(ascending(added));
      for (const { count } of cut) expect(count).toBeLessThanOrEqual(longest);
    }),
  );
});

it('adds and deletes runs as it does their pages', () => {
  const run = fc.tuple(fc.nat(BOUND), fc.nat(BOUND)).map(([one, other]) => ({ start: Math.min(one, other), count: Math.abs(one - other) }));
  fc.assert(
    fc.property(fc.array(fc.record({ run, isAdded: fc.boolean() })), (changes) => {
      const [set, expected] = [new PageSet(BOUND), new Set<number>()];
      for (const { run: { start, count }, isAdded } of changes) {
        if (isAdded) set.addRun(start, count);
        else set.deleteRun(start, count);
        for (let page = start; page < start + count; page += 1) if (isAdded) expected.add(page); else expected.delete(page);
      }
      expect([...set]).toEqual(ascending(expected));
    }),
  );
});

it('is its own after cloning, and empty after clearing', () => {
  const set = PageSet.of(BOUND, [1, 33, 199]);
  const clone = set.clone();
  set.clear();
  expect([[...set], [...clone]]).toEqual([[], [1, 33, 199]]);
});

it.each([[0, BOUND + 1], [BOUND, 1], [-1, 2], [4, -1]])('refuses pages from %i, %i of them', (start, count) => {
  expect(() => new PageSet(BOUND).addRun(start, count)).toThrow(RangeError);
});

it('refuses a set of another bound', () => expect(() => new PageSet(BOUND).union(new PageSet(BOUND + 1))).toThrow(RangeError));
