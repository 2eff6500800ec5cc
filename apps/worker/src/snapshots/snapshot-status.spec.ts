import { findCondition, isSnapshotOver, SNAPSHOT_DEADLINE_MS, type VirtualMachineSnapshot, type VirtualMachineSnapshotStatus } from '@corral/contracts';
import { failed, isPastDeadline, isUnderWay, notReady, verified } from './snapshot-status.ts';

const CREATED = '2026-01-01T00:00:00Z';
const later = (ms: number): Date => new Date(Date.parse(CREATED) + ms);
const aSnapshot = (status?: VirtualMachineSnapshotStatus): VirtualMachineSnapshot => ({
  apiVersion: 'corral.dev/v1',
  kind: 'VirtualMachineSnapshot',
  metadata: {
    name: 's',
    namespace: 'default',
    uid: 'u',
    resourceVersion: '1',
    generation: 2,
    creationTimestamp: CREATED,
  },
  spec: { virtualMachine: 'demo', nodeName: 'worker-1' },
  ...(status ? { status } : {}),
});

describe('The status of a snapshot', () => {
  it('is finished when it is verified or given up, and not while it is tried', () => {
    const trying = notReady(aSnapshot(), 'StorageUnreachable', 'S3 is away', later(1));
    expect([isSnapshotOver(aSnapshot()), isSnapshotOver(aSnapshot(trying))]).toEqual([false, false]);
    expect(isSnapshotOver(aSnapshot(failed(aSnapshot(trying), 'StorageUnreachable', 'S3 is away', later(2))))).toBe(true);
    expect(isSnapshotOver(aSnapshot(verified(aSnapshot(trying), { digest: 'd' }, later(2))))).toBe(true);
  });

  it.each<[string, VirtualMachineSnapshot | undefined, boolean]>([
    ['bound here and not over', aSnapshot(), true],
    ['gone', undefined, false],
    ['bound elsewhere', { ...aSnapshot(), spec: { virtualMachine: 'demo', nodeName: 'worker-2' } }, false],
    ['being deleted', { ...aSnapshot(), metadata: { ...aSnapshot().metadata, deletionTimestamp: CREATED } }, false],
    ['given up by somebody else', aSnapshot({ completedAt: CREATED }), false],
  ])('is the node’s to write, or not: %s', (_what, snapshot, expected) => {
    expect(isUnderWay(snapshot, 'worker-1')).toBe(expected);
  });

  it('keeps its facts from one try to the next, and the time since when it has not been Ready', () => {
    const first = notReady(aSnapshot(), 'Taking', '', later(0), { virtualMachineUid: 'vm', incarnation: 3 });
    const second = notReady(aSnapshot(first), 'StorageFull', 'full', later(60_000));
    expect(second).toMatchObject({ virtualMachineUid: 'vm', incarnation: 3, observedGeneration: 2 });
    expect(findCondition(second.conditions, 'Ready')).toMatchObject({
      status: 'False',
      reason: 'StorageFull',
      lastTransitionTime: CREATED,
    });
  });

  it('says what it was taken after, or that there was nothing', () => {
    expect(verified(aSnapshot(), { parent: 'before' }, later(5)).parent).toBe('before');
    expect(verified(aSnapshot(), { digest: 'd' }, later(5))).toMatchObject({
      parent: '',
      digest: 'd',
      completedAt: CREATED,
    });
  });

  it('is tried until its deadline', () => {
    expect([
      isPastDeadline(aSnapshot(), later(SNAPSHOT_DEADLINE_MS)),
      isPastDeadline(aSnapshot(), later(SNAPSHOT_DEADLINE_MS + 1)),
    ]).toEqual([false, true]);
  });
});
