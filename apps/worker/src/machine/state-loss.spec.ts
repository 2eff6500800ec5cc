import { type VirtualMachine, type VmContinuation } from '@corral/contracts';
import { StateLoss } from './state-loss.ts';

const at = (second: number): Date => new Date(Date.UTC(2026, 0, 1, 0, 0, second));
const goingOn = (reason?: VmContinuation['reason']): VirtualMachine =>
  ({ status: reason ? { continueFrom: { reason, snapshot: 'left-with', incarnation: 1 } } : {} }) as VirtualMachine;

describe('What a machine is to go on from and cannot be had', () => {
  it.each([
    ['its suspended state', 'Suspended', goingOn(), { reason: 'SuspendedStateLost' }],
    ['the snapshot it moved with', 'Source', goingOn('Moved'), { reason: 'ContinuationLost', snapshot: 'left-with' }],
    ['its last snapshot, its node being lost', 'Source', goingOn('NodeLost'), { reason: 'ContinuationLost', snapshot: 'left-with' }],
  ] as const)('is given up when it has been lost for long, no sooner, and the time begins anew: %s', (_what, origin, vm, lost) => {
    const loss = new StateLoss(10_000);
    expect([0, 5, 9, 10, 15, 19, 25].map((second) => loss.given(vm, origin, 'ObjectMissing', at(second)))).toEqual([
      undefined, undefined, undefined, lost, undefined, undefined, lost,
    ]);
  });

  it.each([
    ['the object store does not answer', 'Suspended', 'StorageUnreachable', goingOn()],
    ['the node’s disk is full', 'Suspended', 'DiskFull', goingOn()],
    ['it is its source that is missing', 'Source', 'ObjectMissing', goingOn()],
    ['somebody wants it back there', 'Source', 'ObjectMissing', goingOn('RolledBack')],
  ] as const)('is waited for as long as %s, and the time begins anew', (_what, origin, reason, vm) => {
    const loss = new StateLoss(10_000);
    expect(loss.given(goingOn(), 'Suspended', 'DigestMismatch', at(0))).toBeUndefined();
    expect(loss.given(vm, origin, reason, at(11))).toBeUndefined();
    expect(loss.given(goingOn(), 'Suspended', 'DigestMismatch', at(12))).toBeUndefined();
    expect(loss.given(goingOn(), 'Suspended', 'DigestMismatch', at(22))).toEqual({ reason: 'SuspendedStateLost' });
  });
});
