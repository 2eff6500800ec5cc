import fc from 'fast-check';
import { FairQueue } from './fair-queue.ts';
import { TokenBucket } from './token-bucket.ts';

const OPTIONS = { seats: 4, seatsPerFlow: 3, queueLength: 5 };

/** A queue whose seats are left one by one; tells who was seated, in order. */
function observed(options = OPTIONS): { queue: FairQueue; seated: string[]; enter(flow: string): string } {
  const queue = new FairQueue(options);
  const seated: string[] = [];
  const enter = (flow: string): string => {
    const outcome = queue.enter(flow, () => seated.push(flow));
    if (outcome === 'Seated') seated.push(flow);
    return outcome;
  };
  return { queue, seated, enter };
}

describe('fair queues', () => {
  it('seat the first request of a quiet flow next, however many of a noisy one wait', () => {
    const { queue, seated, enter } = observed({ seats: 2, seatsPerFlow: 2, queueLength: 1000 });
    for (let index = 0; index < 500; index += 1) enter('noisy');
    expect(enter('quiet')).toBe('Waiting');
    queue.leave('noisy');
    expect(seated).toEqual(['noisy', 'noisy', 'quiet']);
  });

  it('keep seats free of a flow that would take all', () => {
    const { enter } = observed();
    expect(['noisy', 'noisy', 'noisy', 'noisy', 'quiet'].map(enter)).toEqual(['Seated', 'Seated', 'Seated', 'Waiting', 'Seated']);
  });

  it('take turns among flows that ask for the same', () => {
    const { queue, seated, enter } = observed({ seats: 1, seatsPerFlow: 1, queueLength: 10 });
    for (const flow of ['a', 'a', 'a', 'b', 'b', 'c']) enter(flow);
    for (let index = 0; index < 5; index += 1) queue.leave(seated[index] ?? '');
    expect(seated).toEqual(['a', 'a', 'b', 'c', 'a', 'b']);
  });

  it('never seat more than there are seats, never leave a seat free that somebody waits for, and forget whoever has gone', () => {
    const action = fc.tuple(fc.constantFrom('enter', 'leave', 'giveUp'), fc.constantFrom('a', 'b', 'c'));
    fc.assert(
      fc.property(fc.array(action, { maxLength: 200 }), (actions) => {
        const queue = new FairQueue(OPTIONS);
        const seated: Record<string, number> = { a: 0, b: 0, c: 0 };
        const waiting: Record<string, (() => void)[]> = { a: [], b: [], c: [] };
        const add = (flow: string, by: number): void => void (seated[flow] = (seated[flow] ?? 0) + by);
        for (const [what, flow] of actions) {
          if (what === 'enter') {
            const onSeated = (): void => {
              waiting[flow] = (waiting[flow] ?? []).filter((other) => other !== onSeated);
              add(flow, 1);
            };
            const outcome = queue.enter(flow, onSeated);
            if (outcome === 'Seated') add(flow, 1);
            if (outcome === 'Waiting') waiting[flow]?.push(onSeated);
            expect(outcome === 'Full').toBe(outcome !== 'Seated' && outcome !== 'Waiting');
          } else if (what === 'leave' && (seated[flow] ?? 0) > 0) {
            add(flow, -1);
            queue.leave(flow);
          } else if (what === 'giveUp') {
            const last = waiting[flow]?.pop();
            if (last) expect(queue.giveUp(flow, last)).toBe(true);
          }
          const total = Object.values(seated).reduce((sum, count) => sum + count, 0);
          expect(queue.seated).toBe(total);
          expect(total).toBeLessThanOrEqual(OPTIONS.seats);
          for (const [name, count] of Object.entries(seated)) {
            expect(count).toBeLessThanOrEqual(OPTIONS.seatsPerFlow);
            if ((waiting[name]?.length ?? 0) > 0) expect(total === OPTIONS.seats || count === OPTIONS.seatsPerFlow).toBe(true);
          }
        }
      }),
    );
  });
});

describe('a token bucket', () => {
  it('never lets through more than its burst and its rate', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(50), { maxLength: 300 }), (gaps) => {
        const bucket = new TokenBucket({ perSecond: 100, burst: 10 }, 0);
        let now = 0;
        let passed = 0;
        for (const gap of gaps) {
          now += gap;
          if (bucket.take(now, 0).isTaken) passed += 1;
          expect(passed).toBeLessThanOrEqual(10 + (now * 100) / 1000 + 1e-6);
        }
      }),
    );
  });

  it('says how long to wait, and gives nothing to whoever would wait too long', () => {
    const bucket = new TokenBucket({ perSecond: 10, burst: 1 }, 0);
    expect(bucket.take(0, 0)).toMatchObject({ isTaken: true, delayMs: 0, remaining: 0, fullInMs: 100 });
    expect(bucket.take(0, 150)).toMatchObject({ isTaken: true, delayMs: 100 });
    expect(bucket.take(0, 150)).toMatchObject({ isTaken: false, delayMs: 200 });
    expect(bucket.isFull(100)).toBe(false);
    expect(bucket.isFull(200)).toBe(true);
  });
});
