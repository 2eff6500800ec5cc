import fc from 'fast-check';
import { divideMemory, LEAST_BUDGET_BYTES, type MemoryDemand } from './memory-division.ts';

const MIB = 1024 * 1024;
const machine = fc.record({
  wantedBytes: fc.integer({ min: 16, max: 2047 }).map((mib) => mib * MIB),
  heldShare: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: undefined }),
});
const node = fc.array(machine, { maxLength: 20 }).map((list) =>
  list.map(({ wantedBytes, heldShare }, at): MemoryDemand => ({ uid: String(at), wantedBytes, heldBytes: heldShare === undefined ? undefined : Math.floor(wantedBytes * heldShare) })),
);

describe('a node’s memory', () => {
  it('is each machine’s as it wants while all of it fits', () => {
    fc.assert(
      fc.property(node, (machines) => {
        const total = machines.reduce((sum, { wantedBytes }) => sum + wantedBytes, 0);
        for (const { uid, wantedBytes } of machines) expect(divideMemory(total, machines).get(uid)).toBe(wantedBytes);
      }),
    );
  });

  it('gives nobody more than it wants or less than a guest can run in', () => {
    fc.assert(
      fc.property(node, fc.integer({ min: 0, max: 8_000 }), (machines, totalMiB) => {
        const budgets = divideMemory(totalMiB * MIB, machines);
        for (const { uid, wantedBytes } of machines) {
          const budget = budgets.get(uid) ?? -1;
          expect(budget <= wantedBytes && budget >= Math.min(wantedBytes, LEAST_BUDGET_BYTES)).toBe(true);
        }
      }),
    );
  });

  it('is not exceeded by machines that hold all they want, but by the least that each needs', () => {
    fc.assert(
      fc.property(node, fc.integer({ min: 0, max: 8_000 }), (machines, totalMiB) => {
        const full = machines.map((one) => ({ ...one, heldBytes: one.wantedBytes }));
        const budgets = divideMemory(totalMiB * MIB, full);
        const given = [...budgets.values()].reduce((sum, bytes) => sum + bytes, 0);
        expect(given).toBeLessThanOrEqual(Math.max(totalMiB * MIB, 0) + full.length * LEAST_BUDGET_BYTES + 1);
      }),
    );
  });

  it('leaves a machine that needs little alone when another takes much', () => {
    const budgets = divideMemory(256 * MIB, [{ uid: 'quiet', wantedBytes: 128 * MIB, heldBytes: 20 * MIB }, { uid: 'busy', wantedBytes: 512 * MIB, heldBytes: 512 * MIB }]);
    expect(budgets.get('quiet')).toBeGreaterThanOrEqual(41 * MIB);
    expect(budgets.get('busy')).toBeLessThan(230 * MIB);
  });
});
