import type { VirtualMachine, VirtualMachineSnapshot, VirtualMachineStatus } from '@corral/contracts';
import { planStateLoss } from './state-loss.plan.ts';

const NOW = new Date('2026-11-20T12:00:00Z');
const meta = { name: 'demo', namespace: 'default', uid: 'u1', resourceVersion: '1', generation: 1, creationTimestamp: '2026-11-20T11:00:00Z' };
const lost: VirtualMachineStatus = { incarnation: 3, lastTermination: { reason: 'SwapLost', message: '', incarnation: 3, finishedAt: '2026-11-20T11:59:59Z' } };
const aVm = (status: VirtualMachineStatus, more: object = {}): VirtualMachine => ({
  apiVersion: 'corral.dev/v1', kind: 'VirtualMachine', metadata: { ...meta, ...more }, spec: { source: { image: 'i' }, powerState: 'Running', restartPolicy: 'Always', bootPolicy: 'Golden', nodeSelector: {} }, status,
});
const aSnapshot = (name: string, incarnation: number, ready: 'True' | 'False' = 'True'): VirtualMachineSnapshot => ({
  apiVersion: 'corral.dev/v1', kind: 'VirtualMachineSnapshot', metadata: { ...meta, name, uid: name }, spec: { virtualMachine: 'demo' },
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

  it('starts anew where there is none, and says so once', () => {
    const step = planStateLoss(aVm(lost), [], NOW);
    expect(step?.status).toMatchObject({ conditions: [{ type: 'RestartedWithoutState', status: 'True', reason: 'SwapLost' }] });
    expect(step?.status.continueFrom).toBeUndefined();
    expect(planStateLoss(aVm(step?.status ?? {}), [], NOW)).toBeUndefined();
  });

  it.each<[string, VirtualMachine]>([
    ['that was forked, and has none', { ...aVm({ ...lost, fork: { virtualMachine: 'source', uid: 's', incarnation: 1, snapshot: 'moment', nodeName: 'n1' } }), spec: { source: { virtualMachine: 'source' } } as VirtualMachine['spec'] & object }],
  ])('%s starts anew from nothing else: its node says so', (_, vm) => expect(planStateLoss(vm, [], NOW)).toBeUndefined());

  it.each<[string, VirtualMachine]>([
    ['that has started again', aVm({ ...lost, incarnation: 4 })],
    ['that ended otherwise', aVm({ ...lost, lastTermination: { reason: 'ProcessExited', message: '', incarnation: 3, finishedAt: '' } })],
    ['that is told already where to go on', aVm({ ...lost, continueFrom: { reason: 'SwapLost', snapshot: 'new', incarnation: 3 } })],
    ['that is being deleted', aVm(lost, { deletionTimestamp: '2026-11-20T11:59:59Z' })],
  ])('%s is left alone', (_, vm) => expect(planStateLoss(vm, [aSnapshot('new', 3)], NOW)).toBeUndefined());
});
