import { findCondition, type VirtualMachine, type VirtualMachineSnapshot, type VirtualMachineStatus } from '@corral/contracts';
import { MACHINE_FINALIZER } from '@corral/vm-lifecycle';
import fc from 'fast-check';
import { lastSnapshot, planRecovery, RESTARTED_WITHOUT_STATE, type LostMachine } from './recovery.plan.ts';

const now = new Date('2026-01-01T01:00:00Z');

interface VmOptions {
  readonly status?: VirtualMachineStatus;
  readonly powerState?: 'Running' | 'Paused' | 'Stopped';
  readonly restartPolicy?: 'Always' | 'OnFailure' | 'Never';
  readonly deleted?: boolean;
  readonly claimed?: boolean;
}
const running: VirtualMachineStatus = { phase: 'Running', nodeName: 'n1', incarnation: 3 };
const aVm = ({ status = running, powerState = 'Running', restartPolicy = 'Always', deleted = false, claimed = true }: VmOptions = {}): VirtualMachine => ({
  apiVersion: 'corral.dev/v1',
  kind: 'VirtualMachine',
  metadata: {
    name: 'demo', namespace: 'default', uid: 'u', resourceVersion: '1', generation: 2, creationTimestamp: '2026-01-01T00:00:00Z',
    ...(claimed ? { finalizers: [MACHINE_FINALIZER] } : {}), ...(deleted ? { deletionTimestamp: '2026-01-01T00:30:00Z' } : {}),
  },
  spec: { source: { image: 'i' }, powerState, restartPolicy, bootPolicy: 'Golden', nodeSelector: {}, nodeName: 'n1' } as never,
  status,
});

const aSnapshot = (name: string, { of = 'u', incarnation = 3, at = '2026-01-01T00:10:00Z', ready = true, deleted = false } = {}): VirtualMachineSnapshot => ({
  apiVersion: 'corral.dev/v1',
  kind: 'VirtualMachineSnapshot',
  metadata: { name, namespace: 'default', uid: name, resourceVersion: '1', generation: 1, creationTimestamp: at, ...(deleted ? { deletionTimestamp: at } : {}) },
  spec: { virtualMachine: 'demo', nodeName: 'n1' },
  status: {
    virtualMachineUid: of, incarnation, completedAt: at,
    conditions: [{ type: 'Ready', status: ready ? 'True' : 'False', reason: 'Any', message: '', lastTransitionTime: at }],
  },
});

const plan = (change: Partial<LostMachine> = {}) => planRecovery({ vm: aVm(), snapshots: [], nodeExists: true, now, ...change });

describe('planRecovery', () => {
  const suspended: VirtualMachineStatus = {
    ...running, phase: 'Stopped',
    conditions: [{ type: 'Ready', status: 'False', reason: 'Suspended', message: '', lastTransitionTime: '2026-01-01T00:00:00Z' }],
  };
  it.each<[string, Partial<LostMachine>, 'Keep' | 'Release' | 'Unbind']>([
    ['lets go of what is being deleted', { vm: aVm({ deleted: true }) }, 'Release'],
    ['has nothing to let go of twice', { vm: aVm({ deleted: true, claimed: false }) }, 'Keep'],
    ['leaves what is switched off with its disk', { vm: aVm({ powerState: 'Stopped' }) }, 'Keep'],
    ['leaves what is suspended with its memory', { vm: aVm({ status: suspended }) }, 'Keep'],
    ['takes what is switched off once the node is deleted', { vm: aVm({ powerState: 'Stopped' }), nodeExists: false }, 'Unbind'],
    ['takes what is suspended once the node is deleted', { vm: aVm({ status: suspended }), nodeExists: false }, 'Unbind'],
    ['takes what ran', {}, 'Unbind'],
  ])('%s', (_title, change, type) => {
    expect(plan(change).type).toBe(type);
  });

  it('continues from the last snapshot that is Ready, of this machine and no other of its name', () => {
    const snapshots = [aSnapshot('old', { incarnation: 2 }), aSnapshot('last'), aSnapshot('failed', { ready: false, at: '2026-01-01T00:50:00Z' }), aSnapshot('namesake', { of: 'other', incarnation: 9 })];
    const step = plan({ snapshots });
    expect(step).toMatchObject({
      event: { reason: 'NodeLost' },
      status: { phase: 'Pending', incarnation: 3, continueFrom: { reason: 'NodeLost', snapshot: 'last', incarnation: 3 }, lastTermination: { reason: 'NodeLost', incarnation: 3 } },
    });
    expect(step).not.toHaveProperty('status.nodeName');
  });

  it('says of a fork of which nothing is left that nothing is, and not that it starts anew; with its moment in the object store it does', () => {
    const fork = { virtualMachine: 'source', uid: 's', incarnation: 1, snapshot: 'moment', nodeName: 'n1' };
    const { spec, ...rest } = aVm({ status: { ...running, fork } });
    const vm = { ...rest, spec: { ...spec, source: { virtualMachine: 'source' } } } as VirtualMachine;
    const gone = plan({ vm, snapshots: [aSnapshot('moment', { of: 's', ready: false })] });
    expect(gone).toMatchObject({ type: 'Unbind', event: { reason: 'NodeLost', message: expect.stringContaining('nothing is left of it') as unknown } });
    expect(gone.type === 'Unbind' && findCondition(gone.status.conditions, RESTARTED_WITHOUT_STATE)).toBeUndefined();
    expect(plan({ vm, snapshots: [aSnapshot('moment', { of: 's' })] })).toMatchObject({ event: { reason: RESTARTED_WITHOUT_STATE } });
    expect(plan({ vm, snapshots: [aSnapshot('own')] })).toMatchObject({ status: { continueFrom: { snapshot: 'own' } } });
  });

  it('says so plainly when there is none, and takes it back when there is one the next time', () => {
    const first = plan();
    if (first.type !== 'Unbind') throw new Error(first.type);
    expect(first.event.reason).toBe('RestartedWithoutState');
    expect(findCondition(first.status.conditions, RESTARTED_WITHOUT_STATE)?.status).toBe('True');
    expect(first.status.continueFrom).toBeUndefined();
    const second = plan({ vm: aVm({ status: { ...first.status, incarnation: 4 } }), snapshots: [aSnapshot('s', { incarnation: 4 })] });
    expect(second.type === 'Unbind' && findCondition(second.status.conditions, RESTARTED_WITHOUT_STATE)?.status).toBe('False');
  });

  it('claims no lost state of a machine that its policy will not start', () => {
    const step = plan({ vm: aVm({ restartPolicy: 'Never' }) });
    expect(step.type === 'Unbind' && step.status.lastTermination?.reason).toBe('NodeLost');
    expect(step.type === 'Unbind' && findCondition(step.status.conditions, RESTARTED_WITHOUT_STATE)).toBeUndefined();
  });

  it('takes a machine that never started without calling anything lost', () => {
    expect(plan({ vm: aVm({ status: { phase: 'Scheduled' } }) })).toMatchObject({ type: 'Unbind', event: { type: 'Normal', reason: 'Rescheduled' }, status: { phase: 'Pending' } });
  });

  it('keeps to what an interrupted move was to continue from', () => {
    const vm = aVm({ status: { ...running, phase: 'Starting', incarnation: 4, continueFrom: { reason: 'Moved', snapshot: 'moved', incarnation: 3 } } });
    expect(plan({ vm, snapshots: [aSnapshot('moved'), aSnapshot('newer', { at: '2026-01-01T00:59:00Z' })] })).toMatchObject({ status: { continueFrom: { snapshot: 'moved', incarnation: 4, reason: 'Moved' } } });
  });

  it('never brings back what a machine was sent back from', () => {
    const abandoned = [aSnapshot('first', { incarnation: 3 }), aSnapshot('abandoned', { incarnation: 3, at: '2026-01-01T00:30:00Z' })];
    // Whatever it ended by since, and however often it was started anew.
    const status: VirtualMachineStatus = { ...running, incarnation: 6, lastRollback: { snapshot: 'first', incarnation: 3, requestedAt: '2026-01-01T00:40:00Z' } };
    const continuesFrom = (snapshots: readonly VirtualMachineSnapshot[]): string | undefined => {
      const step = plan({ vm: aVm({ status }), snapshots });
      return step.type === 'Unbind' ? step.status.continueFrom?.snapshot : step.type;
    };
    expect(continuesFrom(abandoned)).toBe('first');
    expect(continuesFrom([...abandoned, aSnapshot('since', { incarnation: 4, at: '2026-01-01T00:20:00Z' })])).toBe('since');
    expect(continuesFrom(abandoned.filter(({ metadata }) => metadata.name !== 'first'))).toBeUndefined();
  });

  it('never starts a machine from its source while a Ready snapshot of it exists, and never lowers the incarnation', () => {
    const snapshot = fc.record({ of: fc.constantFrom('u', 'other'), incarnation: fc.integer({ min: 1, max: 4 }), ready: fc.boolean(), deleted: fc.boolean(), at: fc.constantFrom('2026-01-01T00:10:00Z', '2026-01-01T00:20:00Z') });
    fc.assert(
      fc.property(fc.array(snapshot, { maxLength: 5 }), fc.constantFrom('Always', 'OnFailure', 'Never'), (list, restartPolicy) => {
        const snapshots = list.map((options, index) => aSnapshot(`s${index}`, options));
        const step = plan({ vm: aVm({ restartPolicy }), snapshots });
        if (step.type !== 'Unbind') throw new Error(step.type);
        const usable = list.filter(({ of, ready, deleted }) => of === 'u' && ready && !deleted);
        expect(step.status.continueFrom === undefined).toBe(usable.length === 0);
        expect(step.status.incarnation).toBe(3);
        const chosen = lastSnapshot(aVm(), snapshots)?.status;
        for (const { incarnation } of usable) expect(chosen?.incarnation).toBeGreaterThanOrEqual(incarnation);
      }),
    );
  });
});
