import { findCondition, type Node, type VirtualMachine, type VirtualMachineSnapshot, type VirtualMachineStatus } from '@corral/contracts';
import { rollbackObstacles, rolledBackStatus } from './rollback.admission.ts';

const NOW = new Date('2026-01-01T01:00:00Z');
const parts = { artifacts: {}, commandLine: 'quiet', guestAgent: true, acpi: false };
const running: VirtualMachineStatus = { phase: 'Running', nodeName: 'n1', incarnation: 3, memoryMiB: 128, imageParts: parts, nextStartTime: 'soon', idleSince: 'then' };
const aVm = (status: VirtualMachineStatus | undefined = running, spec: Partial<NonNullable<VirtualMachine['spec']>> = {}): VirtualMachine => ({
  apiVersion: 'corral.dev/v1', kind: 'VirtualMachine',
  metadata: { name: 'demo', namespace: 'default', uid: 'u', resourceVersion: '1', generation: 1, creationTimestamp: '2026-01-01T00:00:00Z' },
  spec: { source: { image: 'i' }, memory: '128Mi', powerState: 'Running', restartPolicy: 'Always', bootPolicy: 'Golden', nodeSelector: {}, nodeName: 'n1', ...spec },
  status,
});
const aSnapshot = (status: VirtualMachineSnapshot['status'] = {}, ready: 'True' | 'False' = 'True', deletionTimestamp?: string): VirtualMachineSnapshot => ({
  apiVersion: 'corral.dev/v1', kind: 'VirtualMachineSnapshot',
  metadata: { name: 's', namespace: 'default', uid: 's', resourceVersion: '1', generation: 1, creationTimestamp: '2026-01-01T00:00:00Z', ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }) },
  spec: { virtualMachine: 'demo' },
  status: { virtualMachineUid: 'u', memoryMiB: 128, v86Build: 'b', imageParts: parts, conditions: [{ type: 'Ready', status: ready, reason: 'Any', message: '', lastTransitionTime: '2026-01-01T00:00:00Z' }], ...status },
});
const node = { status: { corral: { dataPlaneUrl: '', v86Build: 'b', memoryMode: 'Copy' } } } as unknown as Node;

describe('A machine is sent back', () => {
  it.each<[string, VirtualMachine, VirtualMachineSnapshot, readonly string[]]>([
    ['to a snapshot of its own', aVm(), aSnapshot(), []],
    ['to one of another machine of the same making', aVm(), aSnapshot({ virtualMachineUid: 'other' }), []],
    ['but to none that is not whole', aVm(), aSnapshot({}, 'False'), ['SnapshotNotReady']],
    ['nor to one that is being deleted', aVm(), aSnapshot({}, 'True', '2026-01-01T00:00:00Z'), ['SnapshotNotReady']],
    ['nor to one of another size', aVm(), aSnapshot({ memoryMiB: 256 }), ['SnapshotIncompatible']],
    ['nor to one of another emulator than its node has', aVm(), aSnapshot({ v86Build: 'c' }), ['SnapshotIncompatible']],
    ['nor to one of a machine of another making', aVm(), aSnapshot({ virtualMachineUid: 'other', imageParts: { ...parts, acpi: true } }), ['SnapshotIncompatible']],
    ['nor to one that does not say what it was made of', aVm(), aSnapshot({ imageParts: undefined } as never), ['SnapshotIncompatible']],
    ['nor while it is on its way to another node', aVm({ ...running, move: { reason: 'Drained', from: 'n1', incarnation: 3, requestedAt: '' } }), aSnapshot(), ['VirtualMachineMoving']],
    ['and everything that speaks against it is said at once', aVm(), aSnapshot({ memoryMiB: 1, v86Build: 'c' }), ['SnapshotIncompatible', 'SnapshotIncompatible']],
  ])('%s', (_what, vm, snapshot, reasons) => {
    expect(rollbackObstacles(vm, snapshot, node).map(({ reason }) => reason)).toEqual(reasons);
  });

  it('to whatever node it may come, while it has none', () => {
    expect(rollbackObstacles(aVm({}), aSnapshot({ v86Build: 'c' }), undefined)).toEqual([]);
  });
});

describe('The status of a machine that is sent back', () => {
  it('ends what it was and says where it goes on, in one', () => {
    const status = rolledBackStatus(aVm(), 's', NOW);
    expect(status).toMatchObject({
      phase: 'Starting', incarnation: 3, nodeName: 'n1',
      continueFrom: { reason: 'RolledBack', snapshot: 's', incarnation: 3 },
      lastTermination: { reason: 'RolledBack', incarnation: 3, finishedAt: '2026-01-01T01:00:00Z' },
      lastRollback: { snapshot: 's', incarnation: 3, requestedAt: '2026-01-01T01:00:00Z' },
    });
    expect(findCondition(status.conditions, 'Ready')).toMatchObject({ status: 'False', reason: 'RollingBack' });
    expect([status.nextStartTime, status.idleSince]).toEqual([undefined, undefined]);
  });

  it('keeps how it had ended before', () => {
    const panicked = { reason: 'GuestPanicked', message: '', incarnation: 3, finishedAt: '' } as const;
    expect(rolledBackStatus(aVm({ ...running, phase: 'Failed', lastTermination: panicked }), 's', NOW)).toMatchObject({ lastTermination: panicked, phase: 'Starting' });
  });

  it('wakes up what sleeps, from there', () => {
    const asleep: VirtualMachineStatus = { ...running, phase: 'Hibernated', hibernation: { reason: 'Idle', requestedAt: '', incarnation: 3, since: '' }, lastTermination: { reason: 'Hibernated', message: '', incarnation: 3, finishedAt: '' } };
    const status = rolledBackStatus(aVm(asleep), 's', NOW);
    expect(status).toMatchObject({ phase: 'Starting', lastTermination: { reason: 'Hibernated' }, continueFrom: { snapshot: 's' } });
    expect(status.hibernation).toBeUndefined();
    expect(rolledBackStatus(aVm(asleep, { nodeName: undefined } as never), 's', NOW)).toMatchObject({ phase: 'Pending', continueFrom: { snapshot: 's' } });
  });

  it('leaves what is switched off, or never ran, as it is', () => {
    expect(rolledBackStatus(aVm({ phase: 'Stopped', incarnation: 3, lastTermination: { reason: 'Stopped', message: '', incarnation: 3, finishedAt: '' } }, { powerState: 'Stopped' }), 's', NOW)).toMatchObject({ phase: 'Stopped', lastTermination: { reason: 'Stopped' } });
    expect(rolledBackStatus(aVm({ phase: 'Pending' }), 's', NOW)).toMatchObject({ phase: 'Pending', continueFrom: { reason: 'RolledBack', snapshot: 's', incarnation: 0 } });
  });
});
