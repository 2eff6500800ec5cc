import { assertNever } from '@corral/base';
import {
  findCondition,
  SWAP_LOST_EXIT_CODE,
  type VirtualMachine,
  type VirtualMachineSpec,
  type VirtualMachineStatus,
  type VmTermination,
} from '@corral/contracts';
import fc from 'fast-check';
import { ABSENT, isLive, type MachineState, type Run } from './machine-state.ts';
import { MACHINE_FINALIZER, type MachineAction, planMachine, STOP_GRACE_MS } from './machine-plan.ts';
import { accepts, ACCEPTED, IllegalTransition, transition } from './machine-transition.ts';
import { failuresAfter, restartDelayMs, type World } from './restart.ts';
import { deriveStatus } from './vm-status.ts';

const T0 = new Date('2026-01-01T00:00:00Z');
const later = (ms: number): Date => new Date(T0.getTime() + ms);

interface Wish {
  readonly powerState?: VirtualMachineSpec['powerState'];
  readonly restartPolicy?: VirtualMachineSpec['restartPolicy'];
  readonly deleted?: boolean;
  readonly claimed?: boolean;
  readonly status?: VirtualMachineStatus;
}

function aVm({
  powerState = 'Running',
  restartPolicy = 'Always',
  deleted = false,
  claimed = true,
  status,
}: Wish = {}): VirtualMachine {
  return {
    apiVersion: 'corral.dev/v1',
    kind: 'VirtualMachine',
    metadata: {
      name: 'demo',
      namespace: 'default',
      uid: 'u',
      resourceVersion: '1',
      generation: 1,
      creationTimestamp: '2026-01-01T00:00:00Z',
      ...(claimed ? { finalizers: [MACHINE_FINALIZER] } : {}),
      ...(deleted ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
    },
    spec: {
      source: { image: 'linux-minimal' },
      powerState,
      restartPolicy,
      bootPolicy: 'Golden',
      nodeSelector: {},
      nodeName: 'worker-1',
    },
    ...(status ? { status } : {}),
  };
}

const aRun = (incarnation = 1, guestAgent = true): Run => ({
  incarnation,
  startedAt: T0,
  startedFrom: { type: 'Boot', name: 'linux-minimal' },
  memoryMiB: 128,
  v86Build: 'b',
  imageParts: { artifacts: {}, commandLine: '', guestAgent, acpi: false },
});
const waiting = (type: Run['startedFrom']['type']): MachineState => ({
  phase: 'Running',
  run: { ...aRun(), startedFrom: { type, name: 'linux-minimal' } },
  guest: { agent: 'Waiting' },
});
const anEnd = (reason: VmTermination['reason'], incarnation = 1): VmTermination => ({
  reason,
  message: 'why',
  incarnation,
  finishedAt: '2026-01-01T00:00:00Z',
});

function aWorld(change: Partial<World> = {}): World {
  return {
    nodeName: 'worker-1',
    vm: aVm(),
    machine: ABSENT,
    suspended: false,
    diskWritten: false,
    failures: 0,
    nodeStopping: false,
    now: T0,
    ...change,
  };
}

/** A node that does exactly what the plan says, through the real transition table, with an API that keeps what is reported. */
class FakeNode {
  world: World;
  readonly started: number[] = [];
  readonly reports: VirtualMachineStatus[] = [];

  constructor(world: World) {
    this.world = world;
  }

  set(change: Partial<World>): void {
    this.world = { ...this.world, ...change };
  }

  apply(event: Parameters<typeof transition>[1]): void {
    const machine = transition(this.world.machine, event);
    const ended = machine.phase === 'Ended' && isLive(this.world.machine) ? this.world.machine.run : undefined;
    const ranMs = ended ? this.world.now.getTime() - ended.startedAt.getTime() : 0;
    const suspendedNow = (this.world.machine.phase === 'Suspending' && machine.phase === 'Ended') || event.type === 'HibernateCompleted';
    this.set({
      machine,
      ...(ended ? { failures: failuresAfter(this.world.failures, ranMs) } : {}),
      ...(suspendedNow ? { suspended: true } : {}),
    });
  }

  /** One step of the plan and of the world's answer to it. False when there was nothing to do. */
  step(): boolean {
    const action = planMachine(this.world);
    if (action.type === 'Nothing') return this.#worldMovesOn();
    if (action.type === 'WaitUntil') {
      if (this.#worldMovesOn()) return true;
      this.set({ now: new Date(Math.max(action.at.getTime(), this.world.now.getTime())) });
      return true;
    }
    this.#perform(action);
    return true;
  }

  stepsUntilQuiet(): number {
    for (let steps = 0; steps < 60; steps++) if (!this.step()) return steps;
    throw new Error(`never quiet: ${JSON.stringify(planMachine(this.world))} in ${JSON.stringify(this.world)}`);
  }

  #worldMovesOn(): boolean {
    const { machine, now, vm } = this.world;
    if (machine.phase === 'Preparing') {
      const { continueFrom } = vm?.status ?? {};
      this.apply({
        type: 'PreparationSucceeded',
        origin: 'Source',
        startedFrom: continueFrom ? { type: 'Snapshot', name: continueFrom.snapshot } : aRun().startedFrom,
        memoryMiB: 128,
        v86Build: 'b',
        imageParts: aRun().imageParts,
      });
    } else if (machine.phase === 'Starting') this.apply({ type: 'Started', at: now });
    else if (machine.phase === 'Running' && machine.guest.agent === 'Waiting')
      this.apply({ type: 'AgentAnswered', at: later(9) });
    else if (machine.phase === 'Hibernating' && !machine.isKept) this.apply({ type: 'HibernateCompleted' });
    else if (machine.phase === 'Stopping' || machine.phase === 'Suspending' || machine.phase === 'Hibernating')
      this.apply({ type: 'Exited', at: now, exitCode: 0 });
    else return false;
    return true;
  }

  #status(status: VirtualMachineStatus): void {
    if (this.world.vm) this.set({ vm: { ...this.world.vm, status } });
    this.reports.push(status);
  }

  #perform(action: Exclude<MachineAction, { type: 'Nothing' | 'WaitUntil' }>): void {
    const { vm, now, machine } = this.world;
    switch (action.type) {
      case 'Claim':
        if (vm) this.set({ vm: { ...vm, metadata: { ...vm.metadata, finalizers: [MACHINE_FINALIZER] } } });
        return;
      case 'Prepare':
        return this.apply({ type: 'PrepareRequested', at: now });
      case 'Start': {
        const run = { ...aRun(action.incarnation), startedAt: now, ...(machine.phase === 'Prepared' ? { startedFrom: machine.startedFrom } : {}) };
        this.started.push(action.incarnation);
        this.apply({ type: 'StartRequested', run, at: now });
        this.set({ suspended: false });
        if (vm) this.#status(deriveStatus({ ...this.world, vm }));
        return;
      }
      case 'Pause':
        return this.apply({ type: 'PauseCompleted' });
      case 'Resume':
        return this.apply({ type: 'ResumeCompleted' });
      case 'Stop':
        return this.apply({ type: 'StopRequested', graceMs: action.graceMs, at: now });
      case 'Kill':
        expect(isLive(machine)).toBe(true);
        return this.apply({ type: 'Exited', at: now, signal: 'SIGKILL' });
      case 'Suspend':
        return this.apply({ type: 'SuspendRequested', at: now });
      case 'Hibernate':
        return this.apply({ type: 'HibernateRequested', at: now });
      case 'DiscardSuspended':
        return this.set({ suspended: false });
      case 'Report':
        return this.#status(action.status);
      case 'Release':
        if (vm) this.set({ vm: { ...vm, metadata: { ...vm.metadata, finalizers: [] } } });
        return this.set({ machine: ABSENT, diskWritten: false, suspended: false, vm: undefined });
      case 'Forget':
        return this.set({
          machine: { phase: 'Absent' },
          vm: undefined,
          diskWritten: false,
          suspended: false,
          nodeStopping: false,
          failures: -1,
        });
      default:
        assertNever(action, 'action');
    }
  }
}

const anyEnd = fc.constantFrom<VmTermination['reason']>(
  'Stopped',
  'GuestPoweredOff',
  'GuestPanicked',
  'ProcessExited',
  'EmulatorFailed',
  'StartFailed',
  'NodeStopped',
);

const anyMachine = (incarnation: number): fc.Arbitrary<MachineState> => {
  const run = aRun(incarnation);
  return fc.constantFrom<MachineState>(
    ABSENT,
    { phase: 'Preparing', since: T0 },
    { phase: 'Unprepared', reason: 'StorageUnreachable', message: '', permanent: false, retryAt: later(2_000) },
    ...(incarnation === 0
      ? []
      : ([
          { phase: 'Starting', run, since: T0 },
          { phase: 'Running', run, guest: { agent: 'Waiting' } },
          { phase: 'Running', run, guest: { agent: 'Answered', startMilliseconds: 3 } },
          { phase: 'Running', run, guest: { agent: 'Silent' } },
          { phase: 'Paused', run, guest: { agent: 'Answered' } },
          { phase: 'Panicked', run, message: 'Oops', at: T0 },
          { phase: 'Stopping', run, since: T0, graceMs: 0 },
          { phase: 'Stopping', run, since: T0, graceMs: STOP_GRACE_MS },
          { phase: 'Ended', termination: anEnd('ProcessExited', incarnation) },
          { phase: 'Ended', termination: anEnd('GuestPoweredOff', incarnation) },
        ] satisfies MachineState[])),
  );
};

const anyWorld: fc.Arbitrary<World> = fc.constantFrom(0, 1, 7).chain((incarnation) =>
  fc
    .record({
      powerState: fc.constantFrom('Running' as const, 'Paused' as const, 'Stopped' as const),
      restartPolicy: fc.constantFrom('Always' as const, 'OnFailure' as const, 'Never' as const),
      deleted: fc.boolean(),
      claimed: fc.boolean(),
      machine: anyMachine(incarnation),
      suspended: fc.boolean(),
      diskWritten: fc.boolean(),
      failures: fc.constantFrom(0, 1, 4, 40),
      reason: fc.option(anyEnd, { nil: undefined }),
      gone: fc.boolean(),
    })
    .map(({ machine, suspended, diskWritten, failures, reason, gone, ...wish }) => {
      const lastTermination =
        reason && incarnation > 0 && !isLive(machine) ? { lastTermination: anEnd(reason, incarnation) } : {};
      const status: VirtualMachineStatus = incarnation === 0 ? {} : { incarnation, ...lastTermination };
      return aWorld({
        vm: gone ? undefined : aVm({ ...wish, status }),
        machine,
        suspended: suspended && !isLive(machine),
        diskWritten,
        failures,
      });
    }),
);

describe('planMachine', () => {
  it('converges from any observed state, and then stays quiet', () => {
    fc.assert(
      fc.property(anyWorld, (start) => {
        const node = new FakeNode(start);
        let forgotten = false;
        for (let steps = 0; steps < 40 && !forgotten; steps++) {
          forgotten = planMachine(node.world).type === 'Forget';
          if (!node.step()) break;
        }
        const { machine, vm } = node.world;
        if (start.vm === undefined || start.vm.metadata.deletionTimestamp !== undefined) {
          expect([forgotten || vm === undefined, isLive(machine)]).toEqual([true, false]);
          return;
        }
        expect(planMachine(node.world)).toEqual({ type: 'Nothing' });
        const wanted = start.vm.spec?.powerState;
        const policy = start.vm.spec?.restartPolicy;
        if (wanted === 'Stopped') expect([isLive(machine), vm?.status?.phase]).toEqual([false, 'Stopped']);
        else if (machine.phase === 'Panicked' || !isLive(machine)) expect(policy).not.toBe('Always');
        else expect(machine.phase).toBe(wanted);
      }),
      { numRuns: 3_000 },
    );
  });

  it('never starts one incarnation twice, whatever happens to the process and the wish meanwhile', () => {
    const happening = fc.oneof(
      fc.record({ type: fc.constant('step' as const), count: fc.integer({ min: 1, max: 6 }) }),
      fc.record({ type: fc.constant('exit' as const), signal: fc.constantFrom('SIGKILL', 'SIGSEGV') }),
      fc.constant({ type: 'panic' as const }),
      fc.constant({ type: 'agent restarts' as const }),
      fc.record({
        type: fc.constant('wish' as const),
        powerState: fc.constantFrom('Running' as const, 'Paused' as const, 'Stopped' as const),
      }),
      fc.record({ type: fc.constant('node' as const), stopping: fc.boolean() }),
      fc.constant({ type: 'sleep' as const }),
      fc.constant({ type: 'wake' as const }),
    );
    fc.assert(
      fc.property(fc.array(happening, { maxLength: 20 }), (happenings) => {
        const node = new FakeNode(aWorld({ vm: aVm({ claimed: false }) }));
        for (const next of happenings) {
          const { machine, vm, now } = node.world;
          if (next.type === 'step') for (let count = 0; count < next.count; count++) node.step();
          else if (next.type === 'exit' && isLive(machine))
            node.apply({ type: 'Exited', at: now, signal: next.signal });
          else if (next.type === 'panic' && accepts(machine, 'GuestPanicked'))
            node.apply({ type: 'GuestPanicked', message: 'Oops', at: now });
          else if (next.type === 'agent restarts') node.set({ machine: ABSENT, failures: 0 });
          else if (next.type === 'wish' && vm?.spec)
            node.set({ vm: { ...vm, spec: { ...vm.spec, powerState: next.powerState } } });
          else if (next.type === 'node') node.set({ nodeStopping: next.stopping });
          else if (next.type === 'sleep' && vm?.status?.phase === 'Running' && !vm.status.hibernation)
            node.set({ vm: { ...vm, status: { ...vm.status, hibernation: { reason: 'Requested', requestedAt: String(now), incarnation: vm.status.incarnation ?? 0 } } } });
          else if (next.type === 'wake' && vm?.status?.hibernation)
            node.set({ vm: { ...vm, status: { ...vm.status, hibernation: { ...vm.status.hibernation, wakeRequestedAt: String(now) } } } });
        }
        expect(node.started).toEqual(node.started.map((_, index) => index + 1));
        for (const [index, status] of node.reports.entries()) {
          const previous = node.reports[index - 1];
          expect(status.incarnation ?? 0).toBeGreaterThanOrEqual(previous?.incarnation ?? 0);
          // An incarnation is only followed once its end has been told.
          if (previous?.incarnation && status.incarnation !== previous.incarnation)
            expect(previous.lastTermination?.incarnation).toBe(previous.incarnation);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it.each<[string, Partial<World>, Partial<MachineAction>]>([
    ['claims a machine before anything else', { vm: aVm({ claimed: false }) }, { type: 'Claim' }],
    ['starts a new machine from its source', {}, { type: 'Prepare', origin: 'Source' }],
    [
      'starts from the suspended state where there is one',
      {
        suspended: true,
        diskWritten: true,
        vm: aVm({ restartPolicy: 'Never', status: { incarnation: 1, lastTermination: anEnd('NodeStopped') } }),
      },
      { type: 'Prepare', origin: 'Suspended' },
    ],
    [
      'boots the written disk rather than going back to the source',
      { diskWritten: true, vm: aVm({ status: { incarnation: 1, lastTermination: anEnd('Stopped') } }) },
      { type: 'Prepare', origin: 'Disk' },
    ],
    [
      'raises the incarnation when it starts',
      {
        machine: {
          phase: 'Prepared',
          origin: 'Source',
          startedFrom: aRun().startedFrom,
          memoryMiB: 1,
          v86Build: 'b',
          imageParts: aRun().imageParts,
        },
        vm: aVm({ status: { incarnation: 4 } }),
      },
      { type: 'Start', incarnation: 5 },
    ],
    [
      'asks a running guest to shut down',
      {
        machine: { phase: 'Running', run: aRun(), guest: { agent: 'Answered' } },
        vm: aVm({ powerState: 'Stopped', status: { incarnation: 1 } }),
      },
      { type: 'Stop', graceMs: STOP_GRACE_MS },
    ],
    [
      'does not wait for a guest nobody can ask',
      {
        machine: { phase: 'Running', run: aRun(), guest: { agent: 'None' } },
        vm: aVm({ powerState: 'Stopped', status: { incarnation: 1 } }),
      },
      { type: 'Stop', graceMs: 0 },
    ],
    [
      'lets a paused guest run before it asks it to shut down',
      {
        machine: { phase: 'Paused', run: aRun(), guest: { agent: 'Answered' } },
        vm: aVm({ powerState: 'Stopped', status: { incarnation: 1 } }),
      },
      { type: 'Resume' },
    ],
    [
      'stops a deleted machine without asking',
      {
        machine: { phase: 'Running', run: aRun(), guest: { agent: 'Answered' } },
        vm: aVm({ deleted: true, status: { incarnation: 1 } }),
      },
      { type: 'Stop', graceMs: 0 },
    ],
    [
      'does not wait out a graceful stop once the machine is deleted',
      {
        machine: { phase: 'Stopping', run: aRun(), since: T0, graceMs: STOP_GRACE_MS },
        vm: aVm({ deleted: true, status: { incarnation: 1 } }),
      },
      { type: 'Stop', graceMs: 0 },
    ],
    [
      'releases a deleted machine only once its process is gone',
      {
        machine: { phase: 'Ended', termination: anEnd('Stopped') },
        vm: aVm({ deleted: true, status: { incarnation: 1 } }),
      },
      { type: 'Release' },
    ],
    [
      'kills a process that outstays its stop',
      {
        machine: { phase: 'Stopping', run: aRun(), since: T0, graceMs: 0 },
        vm: aVm({ powerState: 'Stopped', status: { incarnation: 1 } }),
        now: later(60_000),
      },
      { type: 'Kill' },
    ],
    [
      'kills a start that hangs',
      {
        machine: { phase: 'Starting', run: aRun(), since: T0 },
        vm: aVm({ status: { incarnation: 1 } }),
        now: later(60_000),
      },
      { type: 'Kill' },
    ],
    [
      'ends an incarnation that another one has followed',
      {
        machine: { phase: 'Running', run: aRun(1), guest: { agent: 'Answered' } },
        vm: aVm({ status: { incarnation: 2 } }),
      },
      { type: 'Kill' },
    ],
    [
      'ends a machine that is no longer bound here',
      { machine: { phase: 'Running', run: aRun(1), guest: { agent: 'Answered' } }, vm: undefined },
      { type: 'Kill' },
    ],
    [
      'calls off a start that is no longer bound here',
      { machine: { phase: 'Starting', run: aRun(1), since: T0 }, vm: undefined },
      { type: 'Stop', graceMs: 0 },
    ],
    ...(['NodeLost', 'Moved'] as const).map((reason): [string, Partial<World>, Partial<MachineAction>] => [
      `ends an incarnation that was given up (${reason}) while nobody could tell this node, though it is bound here again`,
      {
        machine: { phase: 'Running', run: aRun(3), guest: { agent: 'Answered' } },
        vm: aVm({ status: { incarnation: 3, lastTermination: anEnd(reason, 3) } }),
      },
      { type: 'Kill' },
    ]),
    [
      'holds a machine still that is about to leave',
      {
        machine: { phase: 'Running', run: aRun(1), guest: { agent: 'Answered' } },
        vm: aVm({ status: { incarnation: 1, move: { reason: 'Drained', from: 'worker-1', incarnation: 1, requestedAt: '2026-01-01T00:00:00Z' } } }),
      },
      { type: 'Pause' },
    ],
    [
      'lets it go on when the move was given up',
      {
        machine: { phase: 'Paused', run: aRun(1), guest: { agent: 'Answered' } },
        vm: aVm({ status: { incarnation: 1 } }),
      },
      { type: 'Resume' },
    ],
    [
      'starts what was moved, whatever its policy says about ends',
      {
        vm: aVm({ restartPolicy: 'Never', status: { incarnation: 1, lastTermination: anEnd('Moved'), continueFrom: { reason: 'Moved', snapshot: 's', incarnation: 1 } } }),
      },
      { type: 'Prepare', origin: 'Source' },
    ],
    [
      'continues what was moved from where it left, not from what lies here since it was here before',
      {
        diskWritten: true,
        suspended: true,
        vm: aVm({ status: { incarnation: 1, lastTermination: anEnd('Moved'), continueFrom: { reason: 'Moved', snapshot: 's', incarnation: 1 } } }),
      },
      { type: 'Prepare', origin: 'Source' },
    ],
    [
      'suspends what runs when the node stops',
      {
        machine: { phase: 'Running', run: aRun(1), guest: { agent: 'Answered' } },
        vm: aVm({ status: { incarnation: 1 } }),
        nodeStopping: true,
      },
      { type: 'Suspend' },
    ],
    [
      'starts nothing while the node stops',
      { nodeStopping: true, vm: aVm({ status: deriveStatus({ ...aWorld({ nodeStopping: true }), vm: aVm() }) }) },
      { type: 'Nothing' },
    ],
    [
      'drops the suspended state of a machine switched off',
      { suspended: true, vm: aVm({ powerState: 'Stopped' }) },
      { type: 'DiscardSuspended' },
    ],
    [
      'keeps quiet about a young preparation',
      { machine: { phase: 'Preparing', since: T0 } },
      { type: 'WaitUntil', at: later(500) },
    ],
    ['tells of a guest that boots at once', { machine: waiting('Boot') }, { type: 'Report' }],
    [
      'keeps quiet about a restored guest whose agent may answer any moment',
      { machine: waiting('GoldenSnapshot') },
      { type: 'WaitUntil', at: later(1_000) },
    ],
    [
      'tells of a restored guest whose agent does not answer soon',
      { machine: waiting('GoldenSnapshot'), now: later(1_000) },
      { type: 'Report' },
    ],
    [
      'pauses a restored guest without waiting for its agent',
      { machine: waiting('GoldenSnapshot'), vm: aVm({ powerState: 'Paused' }) },
      { type: 'Pause' },
    ],
    ['forgets what the API does not know', { vm: undefined }, { type: 'Forget' }],
  ])('%s', (_guarantee, change, expected) => {
    expect(planMachine(aWorld(change))).toMatchObject(expected);
  });

  it.each<[VirtualMachineSpec['restartPolicy'], VmTermination['reason'], boolean]>([
    ['Always', 'GuestPoweredOff', true],
    ['Always', 'GuestPanicked', true],
    ['Always', 'ProcessExited', true],
    ['OnFailure', 'GuestPoweredOff', false],
    ['OnFailure', 'GuestPanicked', true],
    ['OnFailure', 'ProcessExited', true],
    ['Never', 'GuestPoweredOff', false],
    ['Never', 'GuestPanicked', false],
    ['Never', 'ProcessExited', false],
  ])('restartPolicy %s after %s: starts again is %s', (restartPolicy, reason, again) => {
    const node = new FakeNode(
      aWorld({
        machine: { phase: 'Ended', termination: anEnd(reason) },
        vm: aVm({ restartPolicy, status: { incarnation: 1 } }),
        failures: 1,
      }),
    );
    node.stepsUntilQuiet();
    expect(node.started).toEqual(again ? [2] : []);
    expect(node.world.vm?.status?.restartCount).toBe(again ? 1 : undefined);
    expect(node.world.vm?.status?.lastTermination?.reason).toBe(reason);
  });

  it('that lost a page waits for the word where to go on, and goes on there at once', () => {
    const world = aWorld({ machine: { phase: 'Ended', termination: anEnd('SwapLost') }, vm: aVm({ status: { incarnation: 1 } }), failures: 1 });
    const node = new FakeNode(world);
    node.step();
    expect(node.world.vm?.status?.nextStartTime).toBe('2026-01-01T00:00:30Z');
    const { vm } = node.world;
    if (vm) node.set({ vm: { ...vm, status: { ...vm.status, continueFrom: { reason: 'SwapLost', snapshot: 'last', incarnation: 1 } } } });
    expect(planMachine(node.world)).toEqual({ type: 'Prepare', origin: 'Source' });
  });

  it('starts a machine that had switched itself off once its user switches it off and on', () => {
    const node = new FakeNode(
      aWorld({
        machine: { phase: 'Ended', termination: anEnd('GuestPoweredOff') },
        vm: aVm({ restartPolicy: 'Never', status: { incarnation: 1 } }),
      }),
    );
    node.stepsUntilQuiet();
    for (const powerState of ['Stopped', 'Running'] as const) {
      const { vm } = node.world;
      if (vm?.spec) node.set({ vm: { ...vm, spec: { ...vm.spec, powerState } } });
      node.stepsUntilQuiet();
    }
    expect(node.started).toEqual([2]);
  });

  it('keeps a promised back-off when the node agent restarts meanwhile', () => {
    const node = new FakeNode(
      aWorld({
        machine: { phase: 'Ended', termination: anEnd('ProcessExited') },
        vm: aVm({ status: { incarnation: 1 } }),
        failures: 5,
      }),
    );
    node.step();
    expect(node.world.vm?.status?.nextStartTime).toBe('2026-01-01T00:00:16Z');
    node.set({ machine: ABSENT, failures: 0, now: later(5_000) });
    expect(planMachine(node.world)).toEqual({ type: 'WaitUntil', at: later(16_000) });
  });

  it('tells a panic at once, keeps the process for its screen during the back-off, and counts the restart', () => {
    const node = new FakeNode(
      aWorld({
        machine: { phase: 'Panicked', run: aRun(), message: 'VFS: Unable to mount root', at: T0 },
        vm: aVm({ status: { incarnation: 1 } }),
      }),
    );
    expect(node.step()).toBe(true);
    const { status } = node.world.vm ?? {};
    expect(findCondition(status?.conditions, 'GuestPanicked')).toMatchObject({
      status: 'True',
      message: 'VFS: Unable to mount root',
    });
    expect([status?.phase, status?.lastTermination?.reason]).toEqual(['Failed', 'GuestPanicked']);
    expect(planMachine(node.world)).toEqual({ type: 'WaitUntil', at: later(1_000) });
    node.stepsUntilQuiet();
    expect(node.started).toEqual([2]);
    expect(node.world.vm?.status).toMatchObject({
      restartCount: 1,
      phase: 'Running',
      lastTermination: { reason: 'GuestPanicked' },
    });
    expect(findCondition(node.world.vm?.status?.conditions, 'GuestPanicked')?.status).toBe('False');
  });

  it('what a lost machine continues from is kept until it runs, then forgotten; Never leaves it Failed', () => {
    const lost = { incarnation: 3, lastTermination: anEnd('NodeLost', 3), continueFrom: { reason: 'NodeLost', snapshot: 's', incarnation: 3 } } as const;
    const node = new FakeNode(aWorld({ vm: aVm({ status: lost }) }));
    node.stepsUntilQuiet();
    expect(node.started).toEqual([4]);
    for (const { incarnation, phase, continueFrom } of node.reports) {
      if (phase === 'Starting') expect(continueFrom).toEqual(lost.continueFrom);
      if (phase === 'Running') expect({ incarnation, continueFrom }).toEqual({ incarnation: 4, continueFrom: undefined });
    }
    expect(node.world.vm?.status?.phase).toBe('Running');

    const never = new FakeNode(aWorld({ vm: aVm({ restartPolicy: 'Never', status: lost }) }));
    never.stepsUntilQuiet();
    expect(never.started).toEqual([]);
    expect(never.world.vm?.status).toMatchObject({ phase: 'Failed', lastTermination: { reason: 'NodeLost' } });
  });

  it('what is sent back to a snapshot goes on from it, whatever it was doing and whatever its policy says of ends, and never from anything else', () => {
    fc.assert(
      fc.property(anyMachine(3), fc.constantFrom('Always' as const, 'OnFailure' as const, 'Never' as const), fc.boolean(), fc.boolean(), (machine, restartPolicy, suspended, diskWritten) => {
        const continueFrom = { reason: 'RolledBack', snapshot: 's', incarnation: 3 } as const;
        const prepared: MachineState = { phase: 'Prepared', origin: 'Disk', startedFrom: { type: 'Boot', name: 'linux-minimal' }, memoryMiB: 128, v86Build: 'b', imageParts: aRun().imageParts };
        for (const state of [machine, prepared]) {
          const vm = aVm({ restartPolicy, status: { incarnation: 3, lastTermination: anEnd('RolledBack', 3), continueFrom } });
          const node = new FakeNode(aWorld({ vm, machine: state, suspended: suspended && !isLive(state), diskWritten, failures: 9 }));
          node.stepsUntilQuiet();
          expect(node.started).toEqual([4]);
          const { status } = node.world.vm ?? {};
          expect(status).toMatchObject({ phase: 'Running', incarnation: 4, startedFrom: { type: 'Snapshot', name: 's' }, lastTermination: { reason: 'RolledBack', incarnation: 3 }, restartCount: 0 });
          expect(status?.continueFrom).toBeUndefined();
          expect(node.reports.map(({ phase }) => phase)).not.toContain('Failed');
        }
      }),
    );
  });

  it('what is switched off and sent back waits until it is switched on', () => {
    const continueFrom = { reason: 'RolledBack', snapshot: 's', incarnation: 3 } as const;
    const node = new FakeNode(aWorld({ vm: aVm({ powerState: 'Stopped', status: { incarnation: 3, phase: 'Stopped', lastTermination: anEnd('Stopped', 3), continueFrom } }), diskWritten: true }));
    node.stepsUntilQuiet();
    expect([node.started, node.world.vm?.status?.continueFrom]).toEqual([[], continueFrom]);
    if (node.world.vm) node.set({ vm: { ...aVm(), status: { ...node.world.vm.status } } });
    node.stepsUntilQuiet();
    expect(node.world.vm?.status).toMatchObject({ incarnation: 4, startedFrom: { type: 'Snapshot', name: 's' } });
  });

  it('an incarnation that died with its node agent is told before the next begins', () => {
    const node = new FakeNode(aWorld({ vm: aVm({ status: { incarnation: 3, phase: 'Running' } }) }));
    node.stepsUntilQuiet();
    expect(node.started).toEqual([4]);
    expect(node.world.vm?.status?.lastTermination).toMatchObject({ reason: 'NodeStopped', incarnation: 3 });
  });

  it('reports resident bytes only when they moved by more than a tenth', () => {
    const node = new FakeNode(aWorld());
    node.stepsUntilQuiet();
    node.set({ residentBytes: 100 });
    expect([node.stepsUntilQuiet(), node.world.vm?.status?.residentBytes]).toEqual([1, 100]);
    for (const [residentBytes, told] of [
      [109, 100],
      [91, 100],
      [111, 111],
    ] as const) {
      node.set({ residentBytes });
      node.stepsUntilQuiet();
      expect(node.world.vm?.status?.residentBytes).toBe(told);
    }
  });
});

describe('transition', () => {
  it('refuses what the table leaves out', () => {
    expect(() => transition(ABSENT, { type: 'PauseCompleted' })).toThrow(IllegalTransition);
    expect(() =>
      transition({ phase: 'Panicked', run: aRun(), message: '', at: T0 }, { type: 'AgentAnswered', at: T0 }),
    ).toThrow(IllegalTransition);
  });

  it('accepts the end of a process in every phase that has one, and only there', () => {
    for (const [phase, events] of Object.entries(ACCEPTED)) {
      const live = ['Starting', 'Running', 'Paused', 'Panicked', 'Stopping', 'Suspending', 'Hibernating'].includes(phase);
      expect([phase, (events as readonly string[]).includes('Exited')]).toEqual([phase, live]);
    }
  });

  it.each<[string, MachineState, Parameters<typeof transition>[1], Partial<VmTermination>]>([
    [
      'a process that is killed',
      { phase: 'Running', run: aRun(), guest: { agent: 'Answered' } },
      { type: 'Exited', at: T0, signal: 'SIGKILL' },
      { reason: 'ProcessExited', signal: 'SIGKILL' },
    ],
    [
      'a page that could not be had again',
      { phase: 'Running', run: aRun(), guest: { agent: 'Answered' } },
      { type: 'Exited', at: T0, exitCode: SWAP_LOST_EXIT_CODE },
      { reason: 'SwapLost', exitCode: SWAP_LOST_EXIT_CODE },
    ],
    [
      'a guest that powers off',
      { phase: 'Running', run: aRun(), guest: { agent: 'Answered' } },
      { type: 'Exited', at: T0, exitCode: 0, ended: { reason: 'GuestPoweredOff', message: '' } },
      { reason: 'GuestPoweredOff', exitCode: 0 },
    ],
    [
      'a stop that was asked for',
      { phase: 'Stopping', run: aRun(), since: T0, graceMs: 1 },
      { type: 'Exited', at: T0, exitCode: 0, ended: { reason: 'GuestPoweredOff', message: '' } },
      { reason: 'Stopped' },
    ],
    [
      'a start that is refused',
      { phase: 'Starting', run: aRun(), since: T0 },
      { type: 'Exited', at: T0, failure: { reason: 'SnapshotCorrupt', message: 'page 3' } },
      { reason: 'StartFailed', message: 'SnapshotCorrupt: page 3' },
    ],
    [
      'a suspend',
      { phase: 'Suspending', run: aRun(), since: T0 },
      { type: 'Exited', at: T0, exitCode: 0 },
      { reason: 'NodeStopped' },
    ],
  ])('says why it ended: %s', (_what, machine, event, expected) => {
    const ended = transition(machine, event);
    expect(ended.phase === 'Ended' && ended.termination).toMatchObject(expected);
  });
});

describe('restartDelayMs', () => {
  it.each([
    [0, 0],
    [1, 1_000],
    [2, 2_000],
    [5, 16_000],
    [9, 256_000],
    [10, 300_000],
    [999, 300_000],
  ])('after %i ends in a row waits %i ms', (failures, expected) => {
    expect(restartDelayMs(failures)).toBe(expected);
  });

  it('begins anew after ten minutes of running', () => {
    expect([failuresAfter(7, 10 * 60_000), failuresAfter(7, 10 * 60_000 - 1)]).toEqual([1, 8]);
  });
});
