import fc from 'fast-check';
import type { ClusterEvent } from './cluster-event.ts';
import { backoffMs, FAIR_TURN, FLUSH_MS, SchedulingQueue } from './scheduling-queue.ts';

/** A queue and its clock. */
function aQueue() {
  let now = 0;
  const queue = new SchedulingQueue({ now: () => now });
  return {
    queue,
    pass: (ms: number) => {
      now += ms;
    },
    now: () => now,
  };
}
const MEMORY: ReadonlySet<ClusterEvent> = new Set(['NodeAdded', 'MachineLeft']);
const reject = (queue: SchedulingQueue, key: string, helpedBy = MEMORY): void => {
  expect(queue.take()).toBe(key);
  queue.reject(key, helpedBy);
};

describe('the scheduling queue', () => {
  it('hands out the higher priority first, and of equals the one that came first', () => {
    const { queue } = aQueue();
    for (const [key, priority] of [['a', 0], ['b', 10], ['c', 0], ['d', 10], ['e', -5]] as const) queue.add(key, priority);
    expect(Array.from({ length: 6 }, () => queue.take())).toEqual(['b', 'd', 'a', 'c', 'e', undefined]);
  });

  it('hands a key out once, however often it is added', () => {
    const { queue } = aQueue();
    queue.add('a', 0);
    queue.add('a', 0);
    expect([queue.take(), queue.take()]).toEqual(['a', undefined]);
    queue.add('a', 0);
    expect(queue.take()).toBeUndefined();
  });

  it('tries again what was rejected only after an event that may help, and not before its back-off is over', () => {
    const { queue, pass } = aQueue();
    queue.add('a', 0);
    reject(queue, 'a');
    queue.happened(['NodeUncordoned']);
    pass(60_000);
    expect(queue.take()).toBeUndefined();
    queue.happened(['MachineLeft']);
    reject(queue, 'a');
    queue.happened(['MachineLeft']);
    expect(queue.take()).toBeUndefined();
    pass(1_999);
    expect(queue.take()).toBeUndefined();
    pass(1);
    expect(queue.take()).toBe('a');
  });

  it('doubles the back-off from 1 s to 10 s', () => {
    expect([1, 2, 3, 4, 5, 50].map(backoffMs)).toEqual([1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
    const { queue, pass, now } = aQueue();
    queue.add('a', 0);
    for (const wait of [1_000, 2_000, 4_000, 8_000, 10_000, 10_000]) {
      expect(queue.take()).toBe('a');
      queue.retry('a');
      expect(queue.nextAt()).toBe(now() + wait);
      pass(wait);
    }
  });

  it('tries everything again after five minutes, whatever happened', () => {
    const { queue, pass } = aQueue();
    queue.add('a', 0);
    reject(queue, 'a');
    pass(FLUSH_MS - 1);
    expect(queue.take()).toBeUndefined();
    pass(1);
    expect(queue.take()).toBe('a');
  });

  it('does not lose what happens to a machine while it is decided on', () => {
    const { queue, pass } = aQueue();
    queue.add('a', 0);
    expect(queue.take()).toBe('a');
    queue.add('a', 0);
    queue.reject('a', MEMORY);
    pass(1_000);
    expect(queue.take()).toBe('a');
  });

  it('forgets what has its place, with its back-off', () => {
    const { queue, pass } = aQueue();
    queue.add('a', 0);
    reject(queue, 'a');
    queue.remove('a');
    queue.happened(['MachineLeft']);
    pass(FLUSH_MS);
    expect(queue.take()).toBeUndefined();
    expect(queue.nextAt()).toBeUndefined();
    queue.add('a', 0);
    expect(queue.take()).toBe('a');
  });

  it('lets nobody wait for ever: of so many turns one is the longest waiting’s', () => {
    const { queue } = aQueue();
    queue.add('low', 0);
    for (let turn = 0; turn < FAIR_TURN; turn += 1) queue.add(`high-${turn}`, 10);
    let turns = 0;
    for (let key = queue.take(); key !== 'low'; key = queue.take()) {
      turns += 1;
      queue.add(`more-${turns}`, 10);
      expect(turns).toBeLessThan(FAIR_TURN * 2);
    }
  });

  it('for any history: every machine is in one state, none is handed out twice, and each is tried again within five minutes', () => {
    const keys = fc.constantFrom('a', 'b', 'c', 'd');
    const action = fc.oneof(
      fc.record({ type: fc.constant('add' as const), key: keys, priority: fc.integer({ min: 0, max: 3 }) }),
      fc.record({ type: fc.constant('remove' as const), key: keys }),
      fc.record({ type: fc.constant('wake' as const), key: keys }),
      fc.record({ type: fc.constant('take' as const), outcome: fc.constantFrom('reject', 'retry', 'bind', 'hold') }),
      fc.record({ type: fc.constant('happened' as const), event: fc.constantFrom<ClusterEvent>('MachineLeft', 'NodeAdded', 'NodeUncordoned') }),
      fc.record({ type: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: 20_000 }) }),
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 80 }), (actions) => {
        const { queue, pass } = aQueue();
        const priorities = new Map<string, number>();
        const held = new Set<string>();
        for (const step of actions) {
          if (step.type === 'add') {
            queue.add(step.key, step.priority);
            priorities.set(step.key, step.priority);
          } else if (step.type === 'remove') {
            queue.remove(step.key);
            priorities.delete(step.key);
            held.delete(step.key);
          } else if (step.type === 'wake') queue.wake(step.key);
          else if (step.type === 'happened') queue.happened([step.event]);
          else if (step.type === 'pass') pass(step.ms);
          else {
            const key = queue.take();
            if (key === undefined) continue;
            expect(held.has(key)).toBe(false);
            expect(priorities.has(key)).toBe(true);
            if (step.outcome === 'hold') held.add(key);
            else if (step.outcome === 'reject') queue.reject(key, MEMORY);
            else if (step.outcome === 'retry') queue.retry(key);
            else {
              queue.remove(key);
              priorities.delete(key);
            }
          }
          const { ready, backingOff, waiting, inFlight } = queue.counts;
          expect(inFlight).toBe(held.size);
          expect(ready + backingOff + waiting + inFlight).toBe(priorities.size);
        }
        pass(FLUSH_MS);
        const out: (string | undefined)[] = [];
        for (let key = queue.take(); key !== undefined; key = queue.take()) out.push(key);
        expect(out.sort()).toEqual([...priorities.keys()].filter((key) => !held.has(key)).sort());
      }),
      { numRuns: 2000 },
    );
  });
});
