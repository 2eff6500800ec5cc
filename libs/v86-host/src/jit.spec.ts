import fc from 'fast-check';
import { jitWhenBusy } from './jit.ts';
import type { V86Cpu } from './v86.internals.ts';

/** A guest that computes for a share of its time, in slices of so many milliseconds, and a CPU that keeps what it was told. */
class Guest {
  readonly told: boolean[] = [];
  #now = 0;
  #sliceMs = 0;
  readonly #cpu: Pick<V86Cpu, 'main_loop' | 'set_jit_config'>;

  constructor() {
    this.#cpu = {
      main_loop: () => {
        this.#now += this.#sliceMs;
        return 0;
      },
      set_jit_config: (_index, disabled) => void this.told.push(disabled === 0),
    };
    jitWhenBusy(this.#cpu as V86Cpu, () => this.#now);
  }

  get compiles(): boolean {
    return this.told.at(-1) === true;
  }

  runs(forMs: number, share: number, sliceMs = 10): this {
    this.#sliceMs = sliceMs * share;
    for (const untilMs = this.#now + forMs; this.#now < untilMs; ) {
      this.#cpu.main_loop();
      this.#now += sliceMs * (1 - share);
    }
    return this;
  }
}

describe('v86’s JIT', () => {
  it('is off at first, and on once the guest has kept a core busy for a second', () => {
    const guest = new Guest();
    expect(guest.runs(900, 1).told).toEqual([false]);
    expect(guest.runs(300, 1).told).toEqual([false, true]);
  });

  it('stays off for a guest that works in bursts shorter than a second, for as long as it likes', () => {
    const bursts = fc.array(fc.record({ busyMs: fc.integer({ min: 10, max: 700 }), idleMs: fc.integer({ min: 600, max: 5000 }) }), { maxLength: 50 });
    fc.assert(
      fc.property(bursts, (all) => {
        const guest = new Guest();
        for (const { busyMs, idleMs } of all) guest.runs(busyMs, 1).runs(idleMs, 0.02);
        expect(guest.compiles).toBe(false);
      }),
    );
  });

  it('is on in the end for every guest that stays CPU-bound, whatever it did before, and is never turned off again', () => {
    const pieces = fc.array(fc.record({ ms: fc.integer({ min: 10, max: 3000 }), share: fc.double({ min: 0.01, max: 1, noNaN: true }), sliceMs: fc.integer({ min: 1, max: 40 }) }), { maxLength: 20 });
    fc.assert(
      fc.property(pieces, pieces, (before, after) => {
        const guest = new Guest();
        for (const { ms, share, sliceMs } of before) guest.runs(ms, share, sliceMs);
        expect(guest.runs(2000, 0.95).compiles).toBe(true);
        for (const { ms, share, sliceMs } of after) guest.runs(ms, share, sliceMs);
        expect(guest.compiles).toBe(true);
        expect(guest.told).toEqual([false, true]);
      }),
    );
  });
});
