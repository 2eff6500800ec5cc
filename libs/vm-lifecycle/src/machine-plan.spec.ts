import { findCondition, type VirtualMachineSpec, type VmTermination } from '@corral/contracts';
import fc from 'fast-check';
import { FakeNode } from './fake-node.testing.ts';
import { type MachineAction, planMachine, STOP_GRACE_MS } from './machine-plan.ts';
import { ABSENT, isLive, type MachineState } from './machine-state.ts';
import { accepts } from './machine-transition.ts';
import { anEnd, anyMachine, anyWorld, aRun, aVm, aWorld, later, T0, waiting } from './machine-world.testing.ts';
import type { World } from './restart.ts';
import { deriveStatus } from './vm-status.ts';

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

  it.each(['SwapLost', 'SuspendedStateLost'] as const)('that ended as %s waits for the word where to go on, and goes on there at once', (reason) => {
    const world = aWorld({ machine: { phase: 'Ended', termination: anEnd(reason) }, vm: aVm({ status: { incarnation: 1 } }), failures: 1 });
    const node = new FakeNode(world);
    node.step();
    expect(node.world.vm?.status?.nextStartTime).toBe('2026-01-01T00:00:30Z');
    const { vm } = node.world;
    if (vm) node.set({ vm: { ...vm, status: { ...vm.status, continueFrom: { reason, snapshot: 'last', incarnation: 1 } } } });
    expect(planMachine(node.world)).toEqual({ type: 'Prepare', origin: 'Source' });
  });

  it('whose snapshot to go on from is lost waits for another, be it one that it moved with, and does not try that one again at once', () => {
    const termination = { ...anEnd('ContinuationLost'), snapshot: 'left-with' };
    const moved = { reason: 'Moved', snapshot: 'left-with', incarnation: 1 } as const;
    const node = new FakeNode(aWorld({ machine: { phase: 'Ended', termination }, vm: aVm({ status: { incarnation: 1, continueFrom: moved, lastTermination: anEnd('Moved') } }), failures: 0 }));
    node.step();
    expect(node.world.vm?.status).toMatchObject({ phase: 'Failed', nextStartTime: '2026-01-01T00:00:30Z', lastTermination: { reason: 'ContinuationLost', snapshot: 'left-with' }, continueFrom: moved });
    const { vm } = node.world;
    if (vm) node.set({ vm: { ...vm, status: { ...vm.status, continueFrom: { reason: 'ContinuationLost', snapshot: 'checkpoint', incarnation: 1 } } } });
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
