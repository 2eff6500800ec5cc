import type { VirtualMachine, VirtualMachineSnapshot, VmHibernation } from '@corral/contracts';
import { planStoring, STORE_AFTER_MS } from './storing.plan.ts';

const SINCE = new Date('2026-01-01T00:00:01Z');
const later = (ms: number): Date => new Date(SINCE.getTime() + ms);
const ASLEEP: VmHibernation = { reason: 'Idle', requestedAt: '2026-01-01T00:00:00Z', incarnation: 2, since: SINCE.toISOString() };
const NAMED = { ...ASLEEP, snapshot: 'demo-sleep' };

const aVm = (hibernation: VmHibernation | undefined, phase = 'Hibernated', nodeName: string | undefined = 'worker-1'): VirtualMachine =>
  ({ metadata: { name: 'demo', namespace: 'default' }, spec: nodeName === undefined ? {} : { nodeName }, status: { phase, ...(hibernation ? { hibernation } : {}) } }) as unknown as VirtualMachine;
const aSnapshot = (status: string, incarnation = 2, completedAt?: string): VirtualMachineSnapshot =>
  ({ metadata: { name: 'demo-sleep' }, status: { incarnation, completedAt, conditions: [{ type: 'Ready', status, reason: 'Any', message: 'why', lastTransitionTime: '' }] } }) as unknown as VirtualMachineSnapshot;

describe('planStoring', () => {
  it.each<[string, VirtualMachine, VirtualMachineSnapshot | undefined, number, object]>([
    ['does nothing for who is awake', aVm(undefined, 'Running'), undefined, 9e6, { type: 'Nothing' }],
    ['does nothing for who wakes up', aVm({ ...ASLEEP, wakeRequestedAt: 'x' }, 'Starting'), undefined, 9e6, { type: 'Nothing' }],
    ['does nothing for who sleeps in the store alone', { ...aVm(ASLEEP), spec: {} } as VirtualMachine, undefined, 9e6, { type: 'Nothing' }],
    ['waits for a nap to become a sleep', aVm(ASLEEP), undefined, 1_000, { type: 'Wait', delayMs: STORE_AFTER_MS - 1_000 }],
    ['then names its snapshot', aVm(ASLEEP), undefined, STORE_AFTER_MS, { type: 'NameSnapshot', name: `demo-sleep-2-${(Date.parse('2026-01-01T00:00:00Z') / 1000).toString(36)}` }],
    ['then takes it', aVm(NAMED), undefined, STORE_AFTER_MS, { type: 'TakeSnapshot', name: 'demo-sleep' }],
    ['then waits for it', aVm(NAMED), aSnapshot('False'), STORE_AFTER_MS, { type: 'Nothing' }],
    ['is done when that is whole', aVm(NAMED), aSnapshot('True'), STORE_AFTER_MS, { type: 'Stored' }],
    ['gives up what has failed', aVm(NAMED), aSnapshot('False', 2, 'then'), STORE_AFTER_MS, { type: 'GiveUp', message: 'Any: why' }],
    ['does nothing more once it is stored', aVm({ ...NAMED, storedAt: 'then' }), aSnapshot('True'), 9e6, { type: 'Nothing' }],
  ])('%s', (_what, vm, snapshot, afterMs, step) => {
    expect(planStoring({ vm, snapshot, now: later(afterMs) })).toEqual(step);
  });

  it('never takes another incarnation’s snapshot for the sleeper’s', () => {
    expect(planStoring({ vm: aVm(NAMED), snapshot: aSnapshot('True', 1, 'then'), now: later(9e6) })).toMatchObject({ type: 'GiveUp' });
  });
});
