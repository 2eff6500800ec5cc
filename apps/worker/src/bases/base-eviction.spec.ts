import fc from 'fast-check';
import { basesToEvict, type BaseUse } from './base-eviction.ts';

const bases = fc.array(
  fc.record({ storedBytes: fc.nat(1_000), users: fc.nat(2), usedAtMs: fc.nat(1_000) }),
  { maxLength: 12 },
).map((all) => all.map((use, at): BaseUse => ({ name: String(at), ...use })));
const sum = (all: readonly BaseUse[]): number => all.reduce((total, { storedBytes }) => total + storedBytes, 0);

it('evicts nothing that is in use, nothing without need, and the least recently used first', () => {
  fc.assert(
    fc.property(bases, fc.nat(4_000), (all, budget) => {
      const going = new Set(basesToEvict(all, budget));
      const [gone, left] = [all.filter(({ name }) => going.has(name)), all.filter(({ name }) => !going.has(name))];
      expect(gone.every(({ users }) => users === 0)).toBe(true);
      const unused = left.filter(({ users }) => users === 0);
      // Either it fits, or nothing is left that could go.
      expect(sum(left) <= budget || unused.length === 0).toBe(true);
      for (const { usedAtMs } of gone) for (const kept of unused) expect(kept.usedAtMs).toBeGreaterThanOrEqual(usedAtMs);
      const last = gone.reduce<BaseUse | undefined>((latest, each) => (latest && latest.usedAtMs > each.usedAtMs ? latest : each), undefined);
      if (last) expect(sum(left) + Math.max(...gone.filter(({ usedAtMs }) => usedAtMs === last.usedAtMs).map(({ storedBytes }) => storedBytes))).toBeGreaterThan(budget);
    }),
  );
});
