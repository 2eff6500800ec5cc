import fc from 'fast-check';
import { VirtualTimers } from './virtual-timers.ts';
import { WorkQueue } from './work-queue.ts';

describe('WorkQueue', () => {
  it('hands a key out once however often it was added before', async () => {
    const queue = new WorkQueue(new VirtualTimers());
    for (const key of ['a', 'b', 'a', 'a']) queue.add(key);
    expect([await queue.take(), await queue.take(), queue.length]).toEqual(['a', 'b', 0]);
  });

  it('hands a key out again when it was added while being processed, and only after done', async () => {
    const queue = new WorkQueue(new VirtualTimers());
    queue.add('a');
    await queue.take();
    queue.add('a');
    expect(queue.length).toBe(0);
    queue.done('a');
    expect(await queue.take()).toBe('a');
  });

  it('keeps the shortest of several waits for one key', async () => {
    const timers = new VirtualTimers();
    const queue = new WorkQueue(timers);
    queue.addAfter('a', 500);
    queue.addAfter('a', 100);
    queue.addAfter('a', 300);
    expect(timers.pending).toBe(1);
    await timers.advance(99);
    expect(queue.length).toBe(0);
    await timers.advance(1);
    expect(queue.length).toBe(1);
  });

  it('tells waiting takers when it shuts down, and drops what waits', async () => {
    const timers = new VirtualTimers();
    const queue = new WorkQueue(timers);
    const taking = queue.take();
    queue.addAfter('late', 10);
    queue.shutDown();
    queue.add('after');
    expect(await taking).toBeUndefined();
    expect([await queue.take(), timers.pending]).toEqual([undefined, 0]);
  });

  it('never processes one key twice at once, and never loses an addition', async () => {
    const action = fc.oneof(
      fc.record({ type: fc.constant('add' as const), key: fc.constantFrom('a', 'b', 'c') }),
      fc.constant({ type: 'take' as const }),
      fc.record({ type: fc.constant('done' as const), key: fc.constantFrom('a', 'b', 'c') }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 60 }), async (actions) => {
        const queue = new WorkQueue(new VirtualTimers());
        const processing = new Set<string>();
        const owed = new Set<string>();
        const take = async (): Promise<void> => {
          const key = (await queue.take()) ?? '';
          expect(processing.has(key)).toBe(false);
          processing.add(key);
          owed.delete(key);
        };
        for (const next of actions) {
          if (next.type === 'add') {
            queue.add(next.key);
            owed.add(next.key);
          } else if (next.type === 'done') {
            if (processing.delete(next.key)) queue.done(next.key);
          } else if (queue.length > 0) await take();
        }
        for (const key of processing) queue.done(key);
        processing.clear();
        while (queue.length > 0) await take();
        expect([...owed]).toEqual([]);
      }),
    );
  });
});
