import type { Node, VirtualMachine, VmHibernation } from '@corral/contracts';
import { planWake, type WakeObservation, type WakeStep } from './wake.plan.ts';

const NOW = new Date('2026-01-01T00:10:00Z');
const ASLEEP: VmHibernation = { reason: 'Idle', requestedAt: '2026-01-01T00:00:00Z', incarnation: 2, since: '2026-01-01T00:00:01Z' };
const STORED: VmHibernation = { ...ASLEEP, snapshot: 'demo-sleep', storedAt: '2026-01-01T00:00:09Z' };

const aNode = (ready: 'True' | 'Unknown' = 'True', unschedulable = false): Node =>
  ({ metadata: { name: 'worker-1' }, spec: { unschedulable }, status: { conditions: [{ type: 'Ready', status: ready, reason: '', message: '', lastTransitionTime: '' }] } }) as unknown as Node;
const aVm = (hibernation: VmHibernation | undefined, phase = 'Hibernated', nodeName: string | undefined = 'worker-1'): VirtualMachine =>
  ({ metadata: { name: 'demo', namespace: 'default', generation: 1 }, spec: { nodeName }, status: { phase, nodeName, incarnation: 2, ...(hibernation ? { hibernation } : {}) } }) as unknown as VirtualMachine;

function plan(change: Partial<WakeObservation>): WakeStep {
  return planWake({ vm: aVm(ASLEEP), node: aNode(), noPlace: undefined, isNodeFull: false, now: NOW, ...change });
}

describe('planWake', () => {
  it.each<[string, Partial<WakeObservation>, string]>([
    ['leaves alone who is awake', { vm: aVm(undefined, 'Running') }, 'Nothing'],
    ['leaves alone who wakes up already', { vm: aVm({ ...ASLEEP, wakeRequestedAt: 'x' }) }, 'Nothing'],
    ['wakes on its own node', {}, 'InPlace'],
    ['calls off what has only begun, whatever its node is like', { vm: aVm(ASLEEP, 'Running'), node: aNode('Unknown') }, 'InPlace'],
    ['goes elsewhere when its node has no room', { vm: aVm(STORED), isNodeFull: true }, 'Elsewhere'],
    ['is refused when no node has room', { vm: aVm(STORED), isNodeFull: true, noPlace: '0 of 1 nodes fit' }, 'NodeFull'],
    ['is refused when its full node alone has it', { isNodeFull: true }, 'NodeFull'],
    ['goes elsewhere when its node takes nobody', { vm: aVm(STORED), node: aNode('True', true) }, 'Elsewhere'],
    ['wakes on a node that takes nobody when nobody else does', { vm: aVm(STORED), node: aNode('True', true), noPlace: 'none' }, 'InPlace'],
    ['goes elsewhere when its node is lost', { vm: aVm(STORED), node: aNode('Unknown') }, 'Elsewhere'],
    ['goes elsewhere when its node is gone, also where there is no room yet', { vm: aVm(STORED), node: undefined, noPlace: 'none' }, 'Elsewhere'],
    ['is refused when its lost node alone has it', { node: aNode('Unknown') }, 'NodeLost'],
    ['wakes wherever it is bound, when it sleeps without a node', { vm: aVm(STORED, 'Hibernated', ''), node: undefined }, 'InPlace'],
  ])('%s', (what, change, expected) => {
    const observed = what.includes('without a node') ? { ...change, vm: { ...change.vm, spec: {} } as VirtualMachine } : change;
    const step = plan(observed);
    expect(step.type === 'Refuse' ? step.why : step.type).toBe(expected);
  });

  it('keeps that somebody waits, and where it goes on', () => {
    expect(plan({})).toMatchObject({ status: { phase: 'Starting', nodeName: 'worker-1', hibernation: { wakeRequestedAt: '2026-01-01T00:10:00Z' } } });
    const elsewhere = plan({ vm: aVm(STORED), isNodeFull: true });
    expect(elsewhere).toMatchObject({ status: { phase: 'Pending', continueFrom: { reason: 'Moved', snapshot: 'demo-sleep', incarnation: 2 }, hibernation: { wakeRequestedAt: '2026-01-01T00:10:00Z' } } });
    expect(elsewhere.type === 'Elsewhere' && elsewhere.status).not.toHaveProperty('nodeName');
    expect(plan({ vm: aVm(ASLEEP, 'Running') })).toMatchObject({ status: { phase: 'Running' } });
  });
});
