import { SuspendedLoss } from './suspended-loss.ts';

const at = (second: number): Date => new Date(Date.UTC(2026, 0, 1, 0, 0, second));

describe('A suspended state that cannot be had', () => {
  it('is given up when it has been lost for long, and no sooner', () => {
    const loss = new SuspendedLoss(10_000);
    expect([0, 5, 9, 10, 15].map((second) => loss.isFinal('Suspended', 'ObjectMissing', at(second)))).toEqual([false, false, false, true, true]);
  });

  it.each([
    ['the object store does not answer', 'Suspended', 'StorageUnreachable'],
    ['the node’s disk is full', 'Suspended', 'DiskFull'],
    ['it is something else that is missing', 'Source', 'ObjectMissing'],
  ] as const)('is waited for as long as %s, and the time begins anew', (_what, origin, reason) => {
    const loss = new SuspendedLoss(10_000);
    expect(loss.isFinal('Suspended', 'DigestMismatch', at(0))).toBe(false);
    expect(loss.isFinal(origin, reason, at(11))).toBe(false);
    expect(loss.isFinal('Suspended', 'DigestMismatch', at(12))).toBe(false);
    expect(loss.isFinal('Suspended', 'DigestMismatch', at(22))).toBe(true);
  });
});
