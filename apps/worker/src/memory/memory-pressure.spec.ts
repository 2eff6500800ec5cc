import fc from 'fast-check';
import { memoryPressure, parseAvailableShare, parseStall, type MemoryReading } from './memory-pressure.ts';

const share = fc.double({ min: 0, max: 1, noNaN: true });
const per = fc.double({ min: 0, max: 100, noNaN: true });
const reading: fc.Arbitrary<MemoryReading> = fc.record({
  stall: fc.option(fc.record({ some10: per, some60: per, full10: per }), { nil: undefined }),
  availableShare: fc.option(share, { nil: undefined }),
  heldBytes: fc.nat(),
  budgetBytes: fc.nat(),
  isOvercommitted: fc.boolean(),
});
const calm: MemoryReading = { stall: { some10: 0, some60: 0, full10: 0 }, availableShare: 0.6, heldBytes: 10, budgetBytes: 100, isOvercommitted: false };

describe('memory pressure', () => {
  it('that begins goes on until it has clearly ended', () => {
    fc.assert(fc.property(reading, (now) => !memoryPressure(now, false).isPressing || memoryPressure(now, true).isPressing));
  });

  it.each<[string, Partial<MemoryReading>, boolean, string]>([
    ['nothing', {}, false, 'SufficientMemory'],
    ['a kernel that says nothing', { stall: undefined, availableShare: undefined }, false, 'SufficientMemory'],
    ['work that waits', { stall: { some10: 25, some60: 3, full10: 0 } }, false, 'HostStalls'],
    ['work that waited more a while ago', { stall: { some10: 8, some60: 30, full10: 0 } }, true, 'HostStalls'],
    ['hardly anything left', { availableShare: 0.04 }, false, 'HostMemoryShort'],
    ['machines that hold all of it', { heldBytes: 98 }, false, 'BudgetExhausted'],
    ['machines that got less than they want, and hold that', { heldBytes: 90, isOvercommitted: true }, false, 'BudgetExhausted'],
    ['machines that hold less again', { heldBytes: 89 }, true, 'SufficientMemory'],
  ])('with %s', (_, change, before, reason) => expect(memoryPressure({ ...calm, ...change }, before).reason).toBe(reason));

  it('is read from what the kernel writes', () => {
    expect(parseStall('some avg10=1.50 avg60=0.70 avg300=0.10 total=12\nfull avg10=0.25 avg60=0.00 avg300=0.00 total=3\n')).toEqual({ some10: 1.5, some60: 0.7, full10: 0.25 });
    expect(parseStall('')).toBeUndefined();
    expect(parseAvailableShare('MemTotal:       1000 kB\nMemFree: 1 kB\nMemAvailable:    250 kB\n')).toBe(0.25);
    expect(parseAvailableShare('nonsense')).toBeUndefined();
  });
});
