import fc from 'fast-check';
import { IdleTrim, LOOK_EVERY_MS, type Look } from './idle-trim.ts';

/** CPU milliseconds of each five seconds → in which of them it trimmed. */
function trims(workMs: readonly number[]): number[] {
  const trim = new IdleTrim();
  let now: Look = { atMs: 0, cpuMs: 0 };
  const found: number[] = [];
  trim.look(now);
  workMs.forEach((work, index) => {
    now = { atMs: now.atMs + LOOK_EVERY_MS, cpuMs: now.cpuMs + work };
    if (!trim.look(now)) return;
    found.push(index);
    now = { ...now, cpuMs: now.cpuMs + 60 };
    trim.trimmed(now);
  });
  return found;
}

it('trims once after work, when the machine has been idle for a while', () => {
  expect(trims([4_000, 1, 1, 1, 1, 1, 1])).toEqual([2]);
});

it('trims again after the next work, and not for a command in between that left little', () => {
  expect(trims([4_000, 1, 1, 1, 90, 1, 1, 1, 3_000, 1, 1, 1])).toEqual([2, 10]);
});

it('never again while nothing but ticks of its clock cost it time', () => {
  expect(trims([4_000, ...Array.from({ length: 50 }, () => 300)])).toEqual([2]);
});

it('clears up after its start, too', () => {
  const trim = new IdleTrim();
  trim.look({ atMs: 1_000, cpuMs: 900 });
  trim.look({ atMs: 6_000, cpuMs: 901 });
  expect(trim.look({ atMs: 11_000, cpuMs: 902 })).toBe(true);
});

it('never while the machine works', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 5_000 }), { maxLength: 60 }), (work) => {
      for (const index of trims(work)) expect((work[index] ?? 0) + (work[index - 1] ?? 0)).toBeLessThan(2 * 0.1 * LOOK_EVERY_MS);
    }),
  );
});

it('at most once for each stretch of work', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(0, 2, 4_000), { maxLength: 60 }), (work) => {
      expect(trims(work).length).toBeLessThanOrEqual(work.filter((ms) => ms === 4_000).length + 1);
    }),
  );
});
