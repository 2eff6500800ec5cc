import { assertNever } from '@corral/base';
import type { VirtualMachineStatus } from '@corral/contracts';
import { MACHINE_FINALIZER, type MachineAction, planMachine } from './machine-plan.ts';
import { ABSENT, isLive } from './machine-state.ts';
import { transition } from './machine-transition.ts';
import { aRun, later } from './machine-world.testing.ts';
import { failuresAfter, type World } from './restart.ts';
import { deriveStatus } from './vm-status.ts';

/** A node that does exactly what the plan says, through the real transition table, with an API that keeps what is reported. */
export class FakeNode {
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
