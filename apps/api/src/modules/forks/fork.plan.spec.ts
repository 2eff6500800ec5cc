import fc from 'fast-check';
import { SNAPSHOT_DEADLINE_MS, toKubeTime, type VirtualMachine, type VirtualMachineSnapshot } from '@corral/contracts';
import { hasBegun, planMoment } from './fork.plan.ts';

const GATHERING_MS = 30_000;
const T0 = Date.parse('2026-01-01T00:00:00Z');
const meta = (name: string) => ({ name, namespace: 'default', uid: name, resourceVersion: '1', generation: 1, creationTimestamp: toKubeTime(new Date(T0)) });
const aMoment = (upload = false, deletionTimestamp?: string): VirtualMachineSnapshot => ({
  apiVersion: 'corral.dev/v1', kind: 'VirtualMachineSnapshot',
  metadata: { ...meta('moment'), ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }) },
  spec: { virtualMachine: 'source', nodeName: 'n1', fork: { upload } },
});
const aFork = (nodeName: string | undefined, status: VirtualMachine['status'] = {}): VirtualMachine => ({
  apiVersion: 'corral.dev/v1', kind: 'VirtualMachine', metadata: meta('fork'),
  spec: { source: { virtualMachine: 'source' }, ...(nodeName === undefined ? {} : { nodeName }) } as NonNullable<VirtualMachine['spec']>, status,
});
const running = { incarnation: 1, phase: 'Running' } as const;
const failedToStart = { incarnation: 1, phase: 'Failed', lastTermination: { reason: 'StartFailed', message: '', incarnation: 1, finishedAt: toKubeTime(new Date(T0)) } } as const;
const plan = (forks: readonly VirtualMachine[], afterMs: number, moment = aMoment(), isFilling = false) => planMoment({ moment, forks, isFilling, gatheringMs: GATHERING_MS, now: new Date(T0 + afterMs) });

describe('planMoment', () => {
  it.each<[string, ReturnType<typeof plan>, object]>([
    ['waits for the machines of its request', plan([], 0), { type: 'Wait', delayMs: GATHERING_MS }],
    ['waits although those that came run already: others may be on their way', plan([aFork('n1', running)], 1_000), { type: 'Wait', delayMs: GATHERING_MS - 1_000 }],
    ['goes once all of them run', plan([aFork('n1', running)], GATHERING_MS), { type: 'Delete' }],
    ['goes when nobody came', plan([], GATHERING_MS), { type: 'Delete' }],
    ['stays for one that has no node yet', plan([aFork(undefined), aFork('n1', running)], GATHERING_MS), { type: 'Wait' }],
    ['stays for one whose start failed, which tries again', plan([aFork('n1', failedToStart)], GATHERING_MS), { type: 'Wait' }],
    ['is not sent anywhere for those on its own node', plan([aFork('n1')], 0), { type: 'Wait' }],
    ['is sent to the object store for one that is elsewhere', plan([aFork('n1'), aFork('n2')], 0), { type: 'Upload' }],
    ['is sent once', plan([aFork('n2')], 0, aMoment(true)), { type: 'Wait' }],
    ['is not sent for one that runs elsewhere already', plan([aFork('n2', running)], 0), { type: 'Wait' }],
    ['stays for the pool that asked for it while that makes more machines', plan([aFork('n1', running)], GATHERING_MS, aMoment(), true), { type: 'Wait', delayMs: GATHERING_MS }],
    ['goes at its deadline, also for a pool', plan([], SNAPSHOT_DEADLINE_MS, aMoment(), true), { type: 'Delete' }],
    ['that could not be kept is nothing to a pool', plan([], GATHERING_MS, { ...aMoment(), status: { completedAt: toKubeTime(new Date(T0)) } }, true), { type: 'Delete' }],
    ['goes at its deadline, whoever still waits', plan([aFork(undefined)], SNAPSHOT_DEADLINE_MS), { type: 'Delete' }],
    ['is left alone once it goes', plan([aFork('n2')], 0, aMoment(false, toKubeTime(new Date(T0)))), { type: 'Nothing' }],
  ])('a moment %s', (_what, step, expected) => expect(step).toMatchObject(expected));

  it('never goes while a fork waits for it in time, and always goes in the end', () => {
    const forks = fc.array(fc.tuple(fc.constantFrom(undefined, 'n1', 'n2'), fc.constantFrom<VirtualMachine['status']>({}, { incarnation: 1, phase: 'Starting' }, running, failedToStart, { incarnation: 2, phase: 'Stopped' })));
    fc.assert(
      fc.property(forks, fc.nat(SNAPSHOT_DEADLINE_MS - 1), fc.boolean(), (made, afterMs, upload) => {
        const all = made.map(([nodeName, status]) => aFork(nodeName, status));
        if (all.some((one) => !hasBegun(one))) expect(plan(all, afterMs, aMoment(upload)).type).not.toBe('Delete');
        expect(plan(all, SNAPSHOT_DEADLINE_MS, aMoment(upload)).type).toBe('Delete');
      }),
    );
  });
});
