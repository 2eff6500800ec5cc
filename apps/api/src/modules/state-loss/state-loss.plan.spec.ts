import type { VirtualMachine, VirtualMachineSnapshot, VirtualMachineStatus } from '@corral/contracts';
import { planStateLoss } from './state-loss.plan.ts';

const NOW = new Date('2026-11-20T12:00:00Z');
const meta = { name: 'demo', namespace: 'default', uid: 'u1', resourceVersion: '1', generation: 1, creationTimestamp: '2026-11-20T11:00:00Z' };
const lost: VirtualMachineStatus = { incarnation: 3, lastTermination: { reason: 'SwapLost', message: '', incarnation: 3, finishedAt: '2026-11-20T11:59:59Z' } };
const aVm = (status: VirtualMachineStatus, more: object = {}): VirtualMachine => ({
  apiVersion: 'corral.dev/v1', kind: 'VirtualMachine', metadata: { ...meta, ...more }, spec: { source: { image: 'i' }, powerState: 'Running', restartPolicy: 'Always', bootPolicy: 'Golden', nodeSelector: {} }, status,
});
const aSnapshot = (name: string, incarnation: number, ready: 'True' | 'False' = 'True', creationTimestamp = meta.creationTimestamp): VirtualMachineSnapshot => ({
  apiVersion: 'corral.dev/v1', kind: 'VirtualMachineSnapshot', metadata: { ...meta, name, uid: name, creationTimestamp }, spec: { virtualMachine: 'demo' },
  status: { virtualMachineUid: 'u1', incarnation, conditions: [{ type: 'Ready', status: ready, reason: 'r', message: '', lastTransitionTime: '2026-11-20T11:30:00Z' }] },
});

describe('a machine that lost a page', () => {
  it('continues from the newest of its snapshots that is ready', () => {
    const step = planStateLoss(aVm(lost), [aSnapshot('old', 1), aSnapshot('new', 3), aSnapshot('broken', 3, 'False')], NOW);
    expect(step?.status.continueFrom).toEqual({ reason: 'SwapLost', snapshot: 'new', incarnation: 3 });
  });

  it('that it was written out as likewise', () => {
    const written: VirtualMachineStatus = { ...lost, lastTermination: { reason: 'SuspendedStateLost', message: '', incarnation: 3, finishedAt: '2026-11-20T11:59:59Z' } };
    expect(planStateLoss(aVm(written), [aSnapshot('new', 3)], NOW)).toMatchObject({ reason: 'SuspendedStateLost', status: { continueFrom: { reason: 'SuspendedStateLost', snapshot: 'new', incarnation: 3 } } });
    expect(planStateLoss(aVm(written), [], NOW)?.status).toMatchObject({ conditions: [{ type: 'RestartedWithoutState', status: 'True', reason: 'SuspendedStateLost' }] });
  });

  it('whose snapshot to go on from is lost continues from the newest before that, and from none that is as new', () => {
    const gone = { ...lost, lastTermination: { reason: 'ContinuationLost', message: '', incarnation: 3, finishedAt: '2026-11-20T11:59:59Z', snapshot: 'moved' }, continueFrom: { reason: 'Moved', snapshot: 'moved', incarnation: 3 } } as const;
    const snapshots = [aSnapshot('old', 1), aSnapshot('new', 3), aSnapshot('moved', 3, 'True', '2026-11-20T11:40:00Z'), aSnapshot('later', 3, 'True', '2026-11-20T11:50:00Z')];
    const step = planStateLoss(aVm(gone), snapshots, NOW);
    expect(step).toMatchObject({ reason: 'ContinuationLost', status: { continueFrom: { reason: 'ContinuationLost', snapshot: 'new', incarnation: 3 } } });
    // That one may be lost as well; which is looked for next is older still, so there is an end.
    expect(planStateLoss(aVm(step?.status ?? {}), snapshots, NOW)).toBeUndefined();
    const again = { ...step?.status, lastTermination: { ...gone.lastTermination, snapshot: 'new' } };
    expect(planStateLoss(aVm(again), snapshots, NOW)?.status.continueFrom).toMatchObject({ snapshot: 'old' });
    const last = { ...again, lastTermination: { ...gone.lastTermination, snapshot: 'old' }, continueFrom: { reason: 'ContinuationLost', snapshot: 'old', incarnation: 3 } } as const;
    const anew = planStateLoss(aVm(last), snapshots, NOW);
    expect(anew?.status).toMatchObject({ conditions: [{ type: 'RestartedWithoutState', status: 'True', reason: 'ContinuationLost' }] });
    expect(anew?.status).not.toHaveProperty('continueFrom');
    expect(planStateLoss(aVm(anew?.status ?? {}), snapshots, NOW)).toBeUndefined();
  });

  it('starts anew where there is none, and says so once', () => {
    const step = planStateLoss(aVm(lost), [], NOW);
    expect(step?.status).toMatchObject({ conditions: [{ type: 'RestartedWithoutState', status: 'True', reason: 'SwapLost' }] });
    expect(step?.status.continueFrom).toBeUndefined();
    expect(planStateLoss(aVm(step?.status ?? {}), [], NOW)).toBeUndefined();
  });

  it.each<[string, VirtualMachine]>([
    ['that was forked, and has none', { ...aVm({ ...lost, fork: { virtualMachine: 'source', uid: 's', incarnation: 1, snapshot: 'moment', nodeName: 'n1' } }), spec: { source: { virtualMachine: 'source' } } as VirtualMachine['spec'] & object }],
  ])('%s starts anew from nothing else: its node says so', (_, vm) => expect(planStateLoss(vm, [], NOW)).toBeUndefined());

  it('a fork of which nothing else is left waits no longer for the snapshot it was to go on from', () => {
    const fork = { virtualMachine: 'source', uid: 's', incarnation: 1, snapshot: 'moment', nodeName: 'n1' };
    const gone = { ...lost, fork, lastTermination: { reason: 'ContinuationLost', message: '', incarnation: 3, finishedAt: '', snapshot: 'moved' }, continueFrom: { reason: 'Moved', snapshot: 'moved', incarnation: 3 } } as const;
    const step = planStateLoss({ ...aVm(gone), spec: { source: { virtualMachine: 'source' } } as VirtualMachine['spec'] & object }, [], NOW);
    expect(step?.status).not.toHaveProperty('continueFrom');
    expect(step?.status).not.toHaveProperty('conditions');
  });

  it.each<[string, VirtualMachine]>([
    ['that has started again', aVm({ ...lost, incarnation: 4 })],
    ['that ended otherwise', aVm({ ...lost, lastTermination: { reason: 'ProcessExited', message: '', incarnation: 3, finishedAt: '' } })],
    ['that is told already where to go on', aVm({ ...lost, continueFrom: { reason: 'SwapLost', snapshot: 'new', incarnation: 3 } })],
    ['that is being deleted', aVm(lost, { deletionTimestamp: '2026-11-20T11:59:59Z' })],
  ])('%s is left alone', (_, vm) => expect(planStateLoss(vm, [aSnapshot('new', 3)], NOW)).toBeUndefined());
});
