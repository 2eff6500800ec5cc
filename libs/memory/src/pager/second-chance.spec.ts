import fc from 'fast-check';
import { PageSet } from '../page-set.ts';
import { SecondChance } from './second-chance.ts';

const PAGES = 96;
const situation = fc.record({
  candidates: fc.uniqueArray(fc.nat({ max: PAGES - 1 }), { maxLength: PAGES }),
  ages: fc.array(fc.nat({ max: 20 }), { minLength: PAGES, maxLength: PAGES }),
  wanted: fc.integer({ min: -1, max: PAGES + 5 }),
});

describe('a second chance', () => {
  it('is given to none but candidates, to as many as are wanted, and never to a younger page before an older one', () => {
    fc.assert(
      fc.property(situation, ({ candidates, ages, wanted }) => {
        const chosen = [...new SecondChance().choose(PageSet.of(PAGES, candidates), Uint32Array.from(ages), 20, wanted)];
        expect(chosen).toHaveLength(Math.max(0, Math.min(wanted, candidates.length)));
        expect(chosen.every((page) => candidates.includes(page))).toBe(true);
        expect(chosen).toEqual([...new Set(chosen)].sort((one, other) => one - other));
        const youngestChosen = Math.max(...chosen.map((page) => ages[page] ?? 0));
        const oldestKept = Math.min(...candidates.filter((page) => !chosen.includes(page)).map((page) => ages[page] ?? 0));
        expect(chosen.length === 0 || youngestChosen <= oldestKept).toBe(true);
      }),
    );
  });

  it('gives every page of one age its turn', () => {
    const [clock, all, ages] = [new SecondChance(), PageSet.of(PAGES, Array(PAGES).keys()), new Uint32Array(PAGES)];
    const turns = Array.from({ length: 6 }, () => [...clock.choose(all, ages, 1, PAGES / 6)]).flat();
    expect(new Set(turns).size).toBe(PAGES);
  });
});
