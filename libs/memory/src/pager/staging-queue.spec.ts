import fc from 'fast-check';
import { StagingQueue } from './staging-queue.ts';

describe('the staging queue', () => {
  it('gives pages back in the order they came, and no slot to two of them', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), fc.array(fc.boolean(), { maxLength: 300 }), (capacity, steps) => {
        const mine = new StagingQueue(capacity);
        const theirs = new StagingQueue(capacity, mine.shared);
        const held: { page: number; slot: number }[] = [];
        steps.forEach((puts, page) => {
          if (puts) {
            const slot = mine.offer();
            expect(slot === undefined).toBe(held.length === capacity);
            if (slot === undefined) return;
            expect(held.some((other) => other.slot === slot)).toBe(false);
            mine.commit(page);
            held.push({ page, slot });
          } else {
            expect(theirs.oldest()).toEqual(held.shift());
            if (theirs.oldest()) theirs.drop();
          }
          expect(mine.length).toBe(held.length);
        });
      }),
    );
  });
});
