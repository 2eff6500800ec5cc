import { assertNever, type Clock } from '@corral/base';
import {
  type ObjectClient,
  type ObjectKey,
  Problem,
  type VirtualMachine,
  virtualMachines,
  type VirtualMachineSpec,
  type VirtualMachineStatus,
} from '@corral/contracts';
import { type EventRecorder, type Informer, type ReconcileResult } from '@corral/reconcile';
import {
  deriveStatus,
  type MachineAction,
  MACHINE_FINALIZER,
  type MachineState,
  planMachine,
  type Run,
  transition,
  type World,
} from '@corral/vm-lifecycle';
import { type Machine } from '../machine/machine.ts';
import { type StartGate } from './start-gate.ts';
import { type Supervisor } from '../machine/supervisor.ts';

export interface ConvergenceOptions {
  readonly nodeName: string;
  readonly client: ObjectClient;
  readonly machines: Informer<VirtualMachineSpec, VirtualMachineStatus>;
  readonly supervisor: Supervisor;
  readonly startGate: StartGate;
  readonly recorder: EventRecorder;
  readonly clock: Clock;
}

/** More steps in one go than any plan needs: beyond it something is wrong, and the queue's back-off is the right place to wait. */
const MAX_STEPS = 20;
const KILL_RECHECK_MS = 1_000;

/** Performs, one machine at a time, what `planMachine` decides. */
export class Convergence {
  readonly #options: ConvergenceOptions;
  /** Set once the node agent stops: running machines are suspended, and nothing starts. */
  nodeStopping = false;

  constructor(options: ConvergenceOptions) {
    this.#options = options;
  }

  async reconcile(key: ObjectKey): Promise<ReconcileResult> {
    const { supervisor, machines } = this.#options;
    const vm = this.#boundHere(machines.get(key.namespace, key.name));
    const taken = vm && !supervisor.find(vm.metadata.uid) ? vm.status?.claim?.virtualMachine : undefined;
    if (vm && taken) await supervisor.handOver(taken.uid, { uid: vm.metadata.uid, key });
    let wakeAt: Date | undefined;
    // A name may be used again while the earlier machine of that name is still ending.
    for (const machine of supervisor.named(key)) {
      if (machine.uid !== vm?.metadata.uid && !this.#isClaimed(machine)) wakeAt = earlier(wakeAt, await this.#converge(machine));
    }
    if (vm) wakeAt = earlier(wakeAt, await this.#converge(await supervisor.ensure(vm.metadata.uid, key)));
    if (!wakeAt) return { type: 'Done' };
    return { type: 'RequeueAfter', delayMs: Math.max(1, wakeAt.getTime() - this.#options.clock.now().getTime()) };
  }

  /** Steps until the machine is where it should be, or something must happen first; the result says when to look again at the latest. */
  async #converge(machine: Machine): Promise<Date | undefined> {
    for (let steps = 0; steps < MAX_STEPS; steps++) {
      const world = this.#observe(machine);
      const action = planMachine(world);
      if (!isStarting(machine.state)) this.#options.startGate.leave(machine.uid);
      if (action.type === 'Nothing') return undefined;
      if (action.type === 'WaitUntil') return action.at;
      // It waits for its turn; until then it has no process, and its incarnation is the one before.
      if (action.type === 'Start' && !this.#options.startGate.enter(machine.uid, machine.key)) return undefined;
      try {
        await this.#perform(machine, world, action);
      } catch (error) {
        if (!(error instanceof Problem && error.code === 'object.conflict')) throw error;
        await this.#refresh(machine);
      }
      if (action.type === 'Forget') return undefined;
      // Its end is told when it comes; looking again at once would only kill it again.
      if (action.type === 'Kill') return new Date(this.#options.clock.now().getTime() + KILL_RECHECK_MS);
    }
    throw new Error(`Machine ${machine.uid} did not converge within ${MAX_STEPS} steps`);
  }

  #observe(machine: Machine): World {
    const { nodeName, machines, clock } = this.#options;
    return {
      nodeName,
      vm: this.#boundHere(machines.getByUid(machine.uid)),
      machine: machine.state,
      suspended: machine.suspended,
      diskWritten: machine.diskWritten,
      failures: machine.failures,
      ...(machine.toldLineage === undefined ? {} : { lineage: machine.toldLineage }),
      ...(machine.residentBytes === undefined ? {} : { residentBytes: machine.residentBytes }),
      ...(machine.idleSince === undefined ? {} : { idleSince: machine.idleSince }),
      ...(machine.hibernationRefusal === undefined ? {} : { hibernationRefusal: machine.hibernationRefusal }),
      ...(machine.memory === undefined ? {} : { memory: machine.memory }),
      nodeStopping: this.nodeStopping,
      now: clock.now(),
    };
  }

  /** Its object is gone because another has taken its place, under whose key it goes on. */
  #isClaimed({ uid }: Machine): boolean {
    return this.#options.machines.list().some((vm) => vm.status?.claim?.virtualMachine?.uid === uid && this.#boundHere(vm) !== undefined);
  }

  #boundHere(vm: VirtualMachine | undefined): VirtualMachine | undefined {
    return vm?.spec?.nodeName === this.#options.nodeName ? vm : undefined;
  }

  async #perform(
    machine: Machine,
    world: World,
    action: Exclude<MachineAction, { type: 'Nothing' | 'WaitUntil' }>,
  ): Promise<void> {
    const { vm } = world;
    switch (action.type) {
      case 'Kill':
        return machine.kill();
      case 'Stop':
        return machine.stop(action.graceMs);
      case 'Suspend':
        return machine.suspend();
      case 'Hibernate':
        return machine.hibernate(action.requestedAt, action.ifIdle);
      case 'Pause':
        return machine.pause();
      case 'Resume':
        return machine.resume();
      case 'DiscardSuspended':
        return machine.discardSuspended();
      case 'Forget':
        return this.#options.supervisor.forget(machine);
      case 'Claim':
      case 'Prepare':
      case 'Start':
      case 'Report':
      case 'Release':
        if (!vm) throw new Error(`${action.type} needs the API's object`);
        return this.#performOn(vm, machine, world, action);
      default:
        assertNever(action, 'machine action');
    }
  }

  async #performOn(
    vm: VirtualMachine,
    machine: Machine,
    world: World,
    action: Extract<MachineAction, { type: 'Claim' | 'Prepare' | 'Start' | 'Report' | 'Release' }>,
  ): Promise<void> {
    switch (action.type) {
      case 'Claim':
        return this.#replaceFinalizers(vm, [...(vm.metadata.finalizers ?? []), MACHINE_FINALIZER]);
      case 'Prepare':
        return machine.prepare(vm, action.origin);
      case 'Start':
        return this.#start(vm, machine, world, action.incarnation);
      case 'Report':
        await this.#writeStatus(vm, action.status);
        return this.#tellBackOff(vm, action.status);
      case 'Release':
        await this.#options.supervisor.forget(machine);
        return this.#replaceFinalizers(
          vm,
          (vm.metadata.finalizers ?? []).filter((finalizer) => finalizer !== MACHINE_FINALIZER),
        );
      default:
        assertNever(action, 'machine action');
    }
  }

  /** The incarnation is raised in the API before any process of it exists: whoever loses the compare-and-set starts nothing. */
  async #start(vm: VirtualMachine, machine: Machine, world: World, incarnation: number): Promise<void> {
    const { preparation, state } = machine;
    if (!preparation || state.phase !== 'Prepared') throw new Error('A start needs a preparation');
    const now = this.#options.clock.now();
    const { phase: _phase, origin: _origin, ...facts } = state;
    const run: Run = { incarnation, startedAt: now, ...facts };
    const starting = transition(state, { type: 'StartRequested', run, at: now });
    await this.#writeStatus(vm, deriveStatus({ ...world, vm, machine: starting }));
    if (machine.state === state) machine.start(vm, run);
  }

  async #writeStatus(vm: VirtualMachine, status: VirtualMachineStatus): Promise<void> {
    const { client, machines } = this.#options;
    machines.observe(await client.replaceStatus(virtualMachines, { ...vm, status }));
  }

  async #replaceFinalizers(vm: VirtualMachine, finalizers: readonly string[]): Promise<void> {
    const { client, machines } = this.#options;
    try {
      machines.observe(await client.replace(virtualMachines, { ...vm, metadata: { ...vm.metadata, finalizers } }));
    } catch (error) {
      // Gone already: the watch will tell.
      if (!(error instanceof Problem && error.code === 'object.not-found')) throw error;
    }
  }

  /** Reads past the cache after a lost compare-and-set. */
  async #refresh(machine: Machine): Promise<void> {
    const { client, machines, nodeName } = this.#options;
    // A list, because a node may read nothing but what is bound to it.
    const { namespace, name } = machine.key;
    const { items } = await client.list(virtualMachines, { namespace, fieldSelector: `spec.nodeName=${nodeName},metadata.name=${name}` });
    for (const vm of items) machines.observe(vm);
  }

  #tellBackOff(vm: VirtualMachine, status: VirtualMachineStatus): void {
    const { nextStartTime, lastTermination } = status;
    if (nextStartTime === undefined || vm.status?.nextStartTime !== undefined) return;
    this.#options.recorder.record(
      vm,
      'Warning',
      'BackOff',
      `Ended (${lastTermination?.reason ?? 'unknown'}); starts again after a back-off`,
    );
  }
}

/** Whether it uses the CPU as a start does: until a restored guest answers, or one that boots has a process. */
function isStarting(machine: MachineState): boolean {
  if (machine.phase === 'Prepared' || machine.phase === 'Starting') return true;
  return machine.phase === 'Running' && machine.guest.agent === 'Waiting' && machine.run.startedFrom.type !== 'Boot';
}

const earlier = (a: Date | undefined, b: Date | undefined): Date | undefined => (!a ? b : !b ? a : a < b ? a : b);
