import fc from 'fast-check';
import { MEMORY_COUNTS, MemoryTotals, type MemoryCounts } from './memory-totals.ts';

const counts = (value: number): MemoryCounts => Object.fromEntries(MEMORY_COUNTS.map((name) => [name, value])) as MemoryCounts;
/** Each step: what each of three machines counts more; undefined when it is not there, and begins anew afterwards. */
const steps = fc.array(fc.array(fc.option(fc.nat({ max: 100 }), { nil: undefined }), { minLength: 3, maxLength: 3 }), { maxLength: 30 });

it('sums are of all lives, and never go back', () => {
  fc.assert(
    fc.property(steps, (list) => {
      const totals = new MemoryTotals(MEMORY_COUNTS);
      const [lives, values] = [[0, 0, 0], [0, 0, 0]];
      let expected = 0;
      for (const step of list) {
        const now = new Map<string, MemoryCounts>();
        step.forEach((more, machine) => {
          if (more === undefined) {
            lives[machine] = (lives[machine] ?? 0) + 1;
            values[machine] = 0;
          } else {
            expected += more;
            values[machine] = (values[machine] ?? 0) + more;
            now.set(`${machine} ${lives[machine]}`, counts(values[machine] ?? 0));
          }
        });
        totals.take(now);
        expect(totals.sums).toEqual(counts(expected));
      }
    }),
  );
});
