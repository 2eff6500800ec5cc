import type { VirtualMachine, VirtualMachineStatus, VmHibernation } from '@corral/contracts';
import { findCondition } from '@corral/contracts';
import { HIBERNATION_RETRY_MS, hibernationDueAt } from './hibernation.ts';
import { ABSENT, type AgentState, type MachineState, type Run } from './machine-state.ts';
import { MACHINE_FINALIZER, planMachine, QUIET_HIBERNATION_MS } from './machine-plan.ts';
import { transition } from './machine-transition.ts';
import type { World } from './restart.ts';
import { deriveStatus } from './vm-status.ts';

const T0 = new Date('2026-01-01T00:00:00Z');
const later = (ms: number): Date => new Date(T0.getTime() + ms);

const RUN: Run = {
  incarnation: 3,
  startedAt: T0,
  startedFrom: { type: 'Suspended', name: 'demo' },
  memoryMiB: 128,
  v86Build: 'b',
  imageParts: { artifacts: {}, commandLine: '', guestAgent: true, acpi: false },
};
const running = (agent: AgentState = 'Answered', run = RUN): MachineState => ({ phase: 'Running', run, guest: { agent } });
const HIBERNATION: VmHibernation = { reason: 'Requested', requestedAt: '2026-01-01T00:00:00Z', incarnation: 3 };
const SLEEP = { reason: 'Hibernated', message: 'Written out whole, to go on from there', incarnation: 3, finishedAt: '2026-01-01T00:00:00Z' } as const;

function aVm(status: VirtualMachineStatus = {}, spec: Partial<NonNullable<VirtualMachine['spec']>> = {}): VirtualMachine & { readonly status: VirtualMachineStatus } {
  return {
    apiVersion: 'corral.dev/v1',
    kind: 'VirtualMachine',
    metadata: { name: 'demo', namespace: 'default', uid: 'u', resourceVersion: '1', generation: 1, creationTimestamp: '2026-01-01T00:00:00Z', finalizers: [MACHINE_FINALIZER] },
    spec: { source: { image: 'linux' }, powerState: 'Running', restartPolicy: 'Always', bootPolicy: 'Golden', nodeSelector: {}, nodeName: 'worker-1', ...spec },
    status: { phase: 'Running', incarnation: 3, ...status },
  };
}
const aWorld = (change: Partial<World> = {}): World & { readonly vm: VirtualMachine } => ({
  nodeName: 'worker-1', machine: running(), suspended: false, diskWritten: false, failures: 0, nodeStopping: false, now: T0, vm: aVm(), ...change,
}) as World & { readonly vm: VirtualMachine };
const IDLE = { idlePolicy: { hibernateAfterSeconds: 60 } };
const resting = (change: Partial<World> = {}): World => aWorld({ vm: aVm({}, IDLE), idleSince: T0, ...change });

const inPool = (vm: VirtualMachine): VirtualMachine => ({
  ...vm,
  metadata: { ...vm.metadata, ownerReferences: [{ apiVersion: 'corral.dev/v1', kind: 'VirtualMachinePool', name: 'p', uid: 'p', controller: true }] },
});

describe('A machine that nobody uses', () => {
  it.each<[string, World, number | undefined]>([
    ['is due after its time', resting(), 60_000],
    ['is not, where nothing says so', aWorld({ idleSince: T0 }), undefined],
    ['is not, where its policy says never', resting({ vm: aVm({}, { idlePolicy: { hibernateAfterSeconds: 0 } }) }), undefined],
    ['is not, while it is used', aWorld({ vm: aVm({}, IDLE) }), undefined],
    ['is not, when its guest has yet to answer', resting({ machine: running('Waiting') }), undefined],
    ['is not, when its guest does not answer', resting({ machine: running('Silent') }), undefined],
    ['is, when it has no agent', resting({ machine: running('None') }), 60_000],
    ['is not, when it is to stand still', resting({ vm: aVm({}, { ...IDLE, powerState: 'Paused' }) }), undefined],
    ['is not, while it moves', resting({ vm: aVm({ move: { reason: 'Drained', from: 'worker-1', incarnation: 3, requestedAt: '' } }, IDLE) }), undefined],
    ['is not, while it waits in a pool', resting({ vm: inPool(aVm({}, IDLE)) }), undefined],
    ['is not, while its node stops', resting({ nodeStopping: true }), undefined],
    ['is due at its time, though somebody had come in between', resting({ hibernationRefusal: { requestedAt: 'x', reason: 'Busy', message: '', at: later(50_000) } }), 60_000],
    ['is tried again only later, when it could not be kept', resting({ hibernationRefusal: { requestedAt: 'x', reason: 'Failed', message: '', at: later(50_000) } }), 50_000 + HIBERNATION_RETRY_MS],
  ])('%s', (_what, world, dueMs) => {
    expect(hibernationDueAt(world)).toEqual(dueMs === undefined ? undefined : later(dueMs));
  });

  it('has it written down that it sleeps, and then falls asleep unless somebody comes', () => {
    const told = { ...resting().vm, status: deriveStatus(resting() as World & { readonly vm: VirtualMachine }) } as VirtualMachine;
    expect(planMachine(resting({ vm: told, now: later(59_000) }))).toEqual({ type: 'WaitUntil', at: later(60_000) });
    const due = resting({ vm: told, now: later(60_000) });
    const report = planMachine(due);
    if (report.type !== 'Report') throw new Error(report.type);
    expect(report.status).toMatchObject({ phase: 'Running', hibernation: { reason: 'Idle', incarnation: 3, requestedAt: '2026-01-01T00:01:00Z' } });
    expect(planMachine({ ...due, vm: { ...told, status: report.status } })).toEqual({ type: 'Hibernate', requestedAt: '2026-01-01T00:01:00Z', ifIdle: true });
  });
});

describe('A machine that is to hibernate', () => {
  it('is written out whoever uses it, when somebody asked', () => {
    expect(planMachine(aWorld({ vm: aVm({ hibernation: HIBERNATION }) }))).toEqual({ type: 'Hibernate', requestedAt: HIBERNATION.requestedAt, ifIdle: false });
    const paused: MachineState = { phase: 'Paused', run: RUN, guest: { agent: 'Answered' } };
    expect(planMachine(aWorld({ machine: paused, vm: aVm({ hibernation: HIBERNATION }, { powerState: 'Paused' }) }))).toMatchObject({ type: 'Hibernate' });
  });

  it.each<[string, Partial<World>, string]>([
    ['is stopped instead, when it is to be off', { vm: aVm({ hibernation: HIBERNATION }, { powerState: 'Stopped' }) }, 'Stop'],
    ['is suspended instead, when its node stops', { vm: aVm({ hibernation: HIBERNATION }), nodeStopping: true }, 'Suspend'],
    ['stands still instead, when it moves', { vm: aVm({ hibernation: HIBERNATION, move: { reason: 'Drained', from: 'worker-1', incarnation: 3, requestedAt: '' } }) }, 'Pause'],
  ])('%s', (_what, change, type) => {
    expect(planMachine(aWorld(change)).type).toBe(type);
  });

  it('says nothing while that is quick, and says so when it is not', () => {
    const vm = aVm({ hibernation: HIBERNATION });
    const machine = transition(running(), { type: 'HibernateRequested', at: T0 });
    expect(planMachine(aWorld({ vm, machine, now: later(10) }))).toEqual({ type: 'WaitUntil', at: later(QUIET_HIBERNATION_MS) });
    const slow = planMachine(aWorld({ vm, machine, now: later(QUIET_HIBERNATION_MS) }));
    expect(slow.type === 'Report' && findCondition(slow.status.conditions, 'Ready')?.reason).toBe('Hibernating');
  });

  it('sleeps once it is kept and its process has ended, which is no failure', () => {
    const kept = transition(transition(running(), { type: 'HibernateRequested', at: T0 }), { type: 'HibernateCompleted' });
    const machine = transition(kept, { type: 'Exited', at: T0, signal: 'SIGKILL' });
    const status = deriveStatus(aWorld({ vm: aVm({ hibernation: HIBERNATION }), machine, suspended: true }));
    expect(status).toMatchObject({ phase: 'Hibernated', hibernation: { since: '2026-01-01T00:00:00Z' }, lastTermination: SLEEP });
    expect(status.lastTermination).not.toHaveProperty('signal');
    expect(findCondition(status.conditions, 'Hibernated')).toMatchObject({ status: 'True', reason: 'Requested' });
    expect(findCondition(status.conditions, 'Ready')).toMatchObject({ status: 'False', reason: 'Hibernated' });
    // And told once, it stays so without another word, also for a node agent that is new.
    for (const state of [machine, ABSENT]) expect(planMachine(aWorld({ vm: aVm(status), machine: state, suspended: true, now: later(1e6) }))).toEqual({ type: 'Nothing' });
  });

  it('that ended before it was kept has ended, and starts as after any such end', () => {
    const begun = transition(running(), { type: 'HibernateRequested', at: T0 });
    const machine = transition(begun, { type: 'Exited', at: T0, signal: 'SIGSEGV' });
    const status = deriveStatus(aWorld({ vm: aVm({ hibernation: HIBERNATION }), machine, failures: 1 }));
    expect(status).toMatchObject({ phase: 'Failed', lastTermination: { reason: 'ProcessExited', signal: 'SIGSEGV' } });
    expect(status.hibernation).toBeUndefined();
    expect(status.nextStartTime).toBeDefined();
  });

  it.each([['Failed', 'HibernationFailed'], ['Busy', undefined]] as const)('and could not (%s) runs on, and says so where something is wrong', (reason, told) => {
    const machine = transition(transition(running(), { type: 'HibernateRequested', at: T0 }), { type: 'HibernateFailed' });
    const world = aWorld({ machine, vm: aVm({ hibernation: HIBERNATION }), hibernationRefusal: { requestedAt: HIBERNATION.requestedAt, reason, message: 'DiskFull', at: T0 } });
    const action = planMachine(world);
    if (action.type !== 'Report') throw new Error(action.type);
    expect(action.status.phase).toBe('Running');
    expect(action.status.hibernation).toBeUndefined();
    expect(findCondition(action.status.conditions, 'Hibernated')?.reason).toBe(told);
  });
});

describe('A machine that sleeps', () => {
  const asleep = aVm({ phase: 'Hibernated', hibernation: { ...HIBERNATION, since: '2026-01-01T00:00:00Z' }, lastTermination: SLEEP, conditions: [{ type: 'Hibernated', status: 'True', reason: 'Idle', message: '', lastTransitionTime: '' }] });
  const woken = aVm({ ...asleep.status, phase: 'Starting', hibernation: { ...HIBERNATION, since: 'then', wakeRequestedAt: 'now' } });

  it('starts from where it was when somebody needs it, whatever its restart policy says', () => {
    for (const restartPolicy of ['Always', 'OnFailure', 'Never'] as const) {
      const vm = { ...woken, spec: { ...asleep.spec, restartPolicy } } as VirtualMachine;
      expect(planMachine(aWorld({ vm, machine: ABSENT, suspended: true }))).toEqual({ type: 'Prepare', origin: 'Suspended' });
    }
  });

  it('keeps saying that it wakes up until it runs, and then that it is awake; nobody counts that as a restart', () => {
    const run = { ...RUN, incarnation: 4 };
    const starting = deriveStatus(aWorld({ vm: woken, machine: { phase: 'Starting', run, since: T0 }, suspended: true }));
    expect(starting).toMatchObject({ phase: 'Starting', incarnation: 4, restartCount: 0, hibernation: { wakeRequestedAt: 'now' } });
    const up = deriveStatus(aWorld({ vm: aVm(starting), machine: running('Answered', run) }));
    expect(up).toMatchObject({ phase: 'Running', restartCount: 0 });
    expect(up.hibernation).toBeUndefined();
    expect(findCondition(up.conditions, 'Hibernated')).toMatchObject({ status: 'False', reason: 'Awake' });
  });

  it('is over when it is switched off', () => {
    const off = { ...asleep, spec: { ...asleep.spec, powerState: 'Stopped' } } as VirtualMachine;
    expect(planMachine(aWorld({ vm: off, machine: ABSENT, suspended: true }))).toEqual({ type: 'DiscardSuspended' });
    const status = deriveStatus(aWorld({ vm: off, machine: ABSENT }));
    expect(status.phase).toBe('Stopped');
    expect(status.hibernation).toBeUndefined();
  });

  it('is released like any other when it is deleted', () => {
    const deleted = { ...asleep, metadata: { ...asleep.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } } as VirtualMachine;
    expect(planMachine(aWorld({ vm: deleted, machine: ABSENT, suspended: true }))).toEqual({ type: 'Release' });
  });

  it('that nobody kept is no longer asleep: it starts again', () => {
    expect(planMachine(aWorld({ vm: asleep, machine: ABSENT }))).toMatchObject({ type: 'Prepare' });
  });
});
