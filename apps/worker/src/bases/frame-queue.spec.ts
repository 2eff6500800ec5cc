import fc from 'fast-check';
import { FrameQueue } from './frame-queue.ts';

const lengths = fc.array(fc.integer({ min: 1, max: 300_000 }), { maxLength: 60 });
const drain = (queue: FrameQueue): (readonly number[])[] => {
  const batches: (readonly number[])[] = [];
  for (let batch = queue.take(); batch; batch = queue.take()) batches.push(batch);
  return batches;
};

it('gives out every frame once, whatever is advised and asked for', () => {
  fc.assert(
    fc.property(lengths, fc.array(fc.integer({ min: -5, max: 80 })), fc.array(fc.nat(59)), (sizes, first, asked) => {
      const queue = new FrameQueue(sizes, first, 1_000_000);
      const claimed = asked.filter((frame) => queue.claim(frame));
      expect([...claimed, ...drain(queue).flat()].sort((a, b) => a - b)).toEqual([...sizes.keys()]);
      expect(queue.claim(0)).toBe(false);
      expect(queue.take()).toBeUndefined();
    }),
  );
});

it('reads at once only what lies together, and no more than fits', () => {
  fc.assert(
    fc.property(lengths, fc.array(fc.nat(59)), fc.integer({ min: 1, max: 1_000_000 }), (sizes, first, max) => {
      for (const batch of drain(new FrameQueue(sizes, first, max))) {
        batch.forEach((frame, at) => expect(frame).toBe((batch[0] ?? 0) + at));
        expect(batch.length === 1 || batch.reduce((sum, frame) => sum + (sizes[frame] ?? 0), 0) <= max).toBe(true);
      }
    }),
  );
});

it('leaves a frame that somebody waits for to who claimed it first', () => {
  const queue = new FrameQueue([10, 10, 10, 10, 10], [3], 30);
  expect(queue.take()).toEqual([3]);
  expect([queue.claim(3), queue.claim(2), queue.claim(2), queue.claim(5)]).toEqual([false, true, false, false]);
  expect(drain(queue)).toEqual([[0, 1], [4]]);
});

it('goes in the order that was advised, and then in that of the pack', () => {
  expect(drain(new FrameQueue([10, 10, 10, 10, 10, 10], [4, 5, 1], 100))).toEqual([[4, 5], [1], [0], [2, 3]]);
});
