import type { VirtualMachine } from '@corral/contracts';
import type { DisplayStatus, MachineSays } from '@corral/ui';
import { canFork, canSnapshot, powerVerbs, showsScreen, sleepVerb, takesInput } from './machine-verbs.ts';

const vm = (powerState: 'Running' | 'Paused' | 'Stopped'): VirtualMachine => ({
  apiVersion: 'corral.dev/v1',
  kind: 'VirtualMachine',
  metadata: { name: 'demo', uid: 'u', resourceVersion: '1', generation: 1, creationTimestamp: '2026-03-01T12:00:00Z' },
  spec: { source: { image: 'x' }, powerState, restartPolicy: 'Always', bootPolicy: 'Golden', nodeSelector: {} },
});
const status = (says: MachineSays): DisplayStatus<MachineSays> => ({
  says,
  shape: 'Disc',
  tone: 'Good',
  reason: '',
  needsAttention: false,
});

describe('powerVerbs', () => {
  it.each([
    ['Running', 'Running', ['pause', 'stop']],
    ['Running', 'Resuming', ['pause', 'stop']],
    ['Running', 'Failed', ['stop']],
    ['Running', 'Stopped', ['stop']],
    ['Running', 'Terminating', []],
    ['Running', 'Hibernated', ['stop']],
    ['Paused', 'Pausing', ['resume', 'stop']],
    ['Paused', 'Paused', ['resume', 'stop']],
    ['Stopped', 'Stopping', ['start']],
    ['Stopped', 'Stopped', ['start']],
  ] as const)('a machine asked to be %s that is %s can be asked to %j', (wanted, says, verbs) => {
    expect(powerVerbs(vm(wanted), status(says)).map(({ verb }) => verb)).toEqual(verbs);
  });

  it('never offers what is already asked', () => {
    for (const wanted of ['Running', 'Paused', 'Stopped'] as const) {
      for (const says of ['Running', 'Paused', 'Stopped', 'Failed', 'Unknown', 'Pending'] as const) {
        expect(powerVerbs(vm(wanted), status(says)).every(({ powerState }) => powerState !== wanted)).toBe(true);
      }
    }
  });
});

it.each([
  ['Running', 'hibernate'],
  ['NotReady', 'hibernate'],
  ['Paused', 'hibernate'],
  ['Hibernated', 'wake'],
  ['Starting', undefined],
  ['Stopped', undefined],
  ['Failed', undefined],
] as const)('a machine that is %s can be asked to %s', (says, verb) => {
  expect(sleepVerb(vm('Running'), status(says))?.verb).toBe(verb);
});

it('only a machine with memory to keep can be snapshotted, and only one that had a screen shows it', () => {
  const all: MachineSays[] = [
    'Running',
    'NotReady',
    'Pending',
    'Starting',
    'Pausing',
    'Resuming',
    'Stopping',
    'Terminating',
    'Paused',
    'Hibernated',
    'Stopped',
    'Failed',
    'Unknown',
  ];
  expect(all.filter((says) => canSnapshot(status(says)))).toEqual(['Running', 'NotReady', 'Paused', 'Hibernated']);
  expect(all.filter((says) => showsScreen(status(says)))).toEqual([
    'Running',
    'NotReady',
    'Pausing',
    'Resuming',
    'Paused',
    'Hibernated',
    'Failed',
  ]);
});

it.each([
  ['Running', false, true],
  ['Hibernated', true, true],
  ['Starting', true, true],
  ['Pending', true, true],
  ['Starting', false, false],
  ['Paused', false, false],
  ['Failed', true, false],
] as const)('typing on a machine that is %s (asleep before: %s) is taken: %s', (says, hasSlept, taken) => {
  const machine = vm('Running');
  const hibernation = { reason: 'Idle', requestedAt: '2026-03-01T12:00:00Z', incarnation: 1 } as const;
  expect(takesInput(hasSlept ? { ...machine, status: { hibernation } as NonNullable<VirtualMachine['status']> } : machine, status(says))).toBe(taken);
});

it('only what has a memory can be forked, be it asleep', () => {
  expect((['Running', 'NotReady', 'Paused', 'Hibernated', 'Starting', 'Stopped', 'Failed'] as const).filter((says) => canFork(status(says)))).toEqual(['Running', 'NotReady', 'Paused', 'Hibernated']);
});
