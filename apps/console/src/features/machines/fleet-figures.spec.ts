import type { VirtualMachine } from '@corral/contracts';
import { fleetFigures } from './fleet-figures.ts';
import { rowOf } from './machine-rows.ts';

const NOW = new Date('2026-03-01T12:00:00Z');
const row = (status: NonNullable<VirtualMachine['status']>) =>
  rowOf(
    {
      apiVersion: 'corral.dev/v1',
      kind: 'VirtualMachine',
      metadata: { name: 'm', uid: 'm', resourceVersion: '1', generation: 1, creationTimestamp: NOW.toISOString() },
      status,
    },
    new Map(),
    undefined,
    NOW,
  );
const golden = { type: 'GoldenSnapshot', name: 'linux-minimal' } as const;

describe('fleetFigures', () => {
  it('says that nothing was measured rather than 0', () => {
    expect(fleetFigures([])).toEqual({
      machines: 0,
      running: 0,
      guestBytes: 0,
      heldBytes: undefined,
      startMs: undefined,
    });
  });

  it('counts the memory of machines that hold some, and the starts from golden snapshots only', () => {
    const rows = [
      row({
        phase: 'Running',
        memoryMiB: 128,
        residentBytes: 10,
        startedFrom: golden,
        startMilliseconds: 200,
        conditions: [{ type: 'Ready', status: 'True', reason: 'R', message: '', lastTransitionTime: '' }],
      }),
      row({ phase: 'Paused', memoryMiB: 128, residentBytes: 5, startedFrom: golden, startMilliseconds: 400 }),
      row({ phase: 'Stopped', memoryMiB: 512, startedFrom: { type: 'Boot', name: '' }, startMilliseconds: 9000 }),
    ];
    expect(fleetFigures(rows)).toEqual({
      machines: 3,
      running: 1,
      guestBytes: 256 * 2 ** 20,
      heldBytes: 15,
      startMs: 300,
    });
  });
});
