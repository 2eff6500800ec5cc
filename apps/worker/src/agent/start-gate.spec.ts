import fc from 'fast-check';
import { MAX_TURN_MS, StartGate } from './start-gate.ts';

/** A gate with a clock that tests turn. */
function aGate(limit: number) {
  let nowMs = 0;
  const timers = new Map<number, { readonly atMs: number; readonly call: () => void }>();
  let count = 0;
  const turns: string[] = [];
  const waits: number[] = [];
  const gate = new StartGate({
    limit,
    onTurn: ({ name }) => turns.push(name),
    onAdmitted: (waitedMs) => waits.push(waitedMs),
    nowMs: () => nowMs,
    after: (milliseconds, call) => {
      const id = ++count;
      timers.set(id, { atMs: nowMs + milliseconds, call });
      return () => timers.delete(id);
    },
  });
  const pass = (milliseconds: number): void => {
    nowMs += milliseconds;
    for (const [id, { atMs, call }] of timers) {
      if (atMs > nowMs) continue;
      timers.delete(id);
      call();
    }
  };
  const enter = (name: string): boolean => gate.enter(name, { namespace: 'default', name });
  return { gate, enter, pass, turns, waits, timers };
}

describe('StartGate', () => {
  it('lets as many start as its limit, and the others in the order they came, each told of its turn once', () => {
    const { gate, enter, pass, turns, waits } = aGate(2);
    expect(['a', 'b', 'c', 'd', 'e'].map(enter)).toEqual([true, true, false, false, false]);
    expect([gate.underWay, gate.waiting]).toEqual([2, 3]);
    // Asking again changes nothing.
    expect(['d', 'c', 'a'].map(enter)).toEqual([false, false, true]);
    pass(100);
    gate.leave('b');
    gate.leave('a');
    expect(turns).toEqual(['c', 'd']);
    expect(['c', 'd', 'e'].map(enter)).toEqual([true, true, false]);
    expect(waits).toEqual([0, 0, 100, 100]);
  });

  it('forgets who does not want to start any more', () => {
    const { gate, enter, turns } = aGate(1);
    ['a', 'b', 'c'].map(enter);
    gate.leave('b');
    gate.leave('a');
    expect(turns).toEqual(['c']);
    gate.leave('c');
    gate.leave('never');
    expect([gate.underWay, gate.waiting]).toEqual([0, 0]);
  });

  it('lets nobody hold up the others for ever', () => {
    const { gate, enter, pass, turns, timers } = aGate(1);
    ['a', 'b'].map(enter);
    pass(MAX_TURN_MS);
    expect(turns).toEqual(['b']);
    gate.leave('b');
    expect(timers.size).toBe(0);
  });

  it('whatever happens, never lets more start than its limit, leaves no turn unused, and is fair', () => {
    const name = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');
    const happening = fc.oneof(fc.record({ type: fc.constant('enter' as const), name }), fc.record({ type: fc.constant('leave' as const), name }), fc.record({ type: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: MAX_TURN_MS }) }));
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), fc.array(happening, { maxLength: 60 }), (limit, happenings) => {
        const { gate, enter, pass, turns } = aGate(limit);
        const queue: string[] = [];
        for (const next of happenings) {
          if (next.type === 'pass') pass(next.ms);
          else if (next.type === 'leave') {
            gate.leave(next.name);
            if (queue.includes(next.name)) queue.splice(queue.indexOf(next.name), 1);
          } else if (!enter(next.name) && !queue.includes(next.name)) queue.push(next.name);
          for (const told of turns.splice(0)) expect(told).toBe(queue.shift());
          expect(gate.underWay).toBeLessThanOrEqual(limit);
          expect(gate.waiting).toBe(queue.length);
          if (gate.waiting > 0) expect(gate.underWay).toBe(limit);
        }
      }),
    );
  });
});
