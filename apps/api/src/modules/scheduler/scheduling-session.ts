import { assertNever, systemClock } from '@corral/base';
import { findCondition, nodes, Problem, virtualMachineImages, virtualMachines, virtualMachineSnapshots, withCondition, type ObjectClient, type VirtualMachine, type VirtualMachineStatus } from '@corral/contracts';
import { systemTimers, type EventRecorder } from '@corral/reconcile';
import {
  Cluster, explain, helpfulEvents, keyOf, machineRequest, planPreemption, profileOf, schedule, SchedulingQueue,
  type DisruptionBudget, type MachineRequest, type Preemption, type ProfileName, type Profile, type Rejections,
} from '@corral/scheduling';
import type { Informers } from '../controllers/informers.ts';
import { writeStatus } from '../controllers/write-status.ts';
import type { Binding } from './binding.ts';
import { imageKey, snapshotKey, sourceOf, type MachineSource } from './machine-source.ts';
import type { Preemptor } from './preemptor.ts';
import type { SchedulerMetrics } from './scheduler-metrics.ts';

/** Writes under way at a time; they are committed in groups, so more of them cost little more. */
const MAX_IN_FLIGHT = 128;
/** The longest the loop decides before others of this process get their turn. */
const MAX_TURN_MS = 4;

const LOST_RACES: ReadonlySet<Problem['code']> = new Set(['object.conflict', 'object.not-found', 'node.full']);

export interface SchedulingSessionOptions {
  readonly objects: ObjectClient;
  readonly informers: Informers;
  readonly events: EventRecorder;
  readonly binding: Binding;
  readonly preemptor: Preemptor;
  readonly metrics: SchedulerMetrics;
  readonly usualProfile: ProfileName;
  readonly budgets: () => readonly DisruptionBudget[];
  onFailure(what: string, error: unknown): void;
}

/**
 * One term of leading the scheduler: takes machines from the queue, decides on each at once and alone, and writes what was
 * decided while it decides on the next. What it knows begins with the informers' copies and ends with the term.
 */
export class SchedulingSession {
  readonly #options: SchedulingSessionOptions;
  readonly #cluster = new Cluster();
  readonly #queue = new SchedulingQueue(systemTimers);
  readonly #inFlight = new Set<Promise<void>>();
  /** Source → machines that wait for it. */
  readonly #waitingFor = new Map<string, Set<string>>();
  /** Machine → the source it waits for. */
  readonly #awaited = new Map<string, string>();
  /** What each machine without a place was last seen to wish: its status is no reason to try again. */
  readonly #wishes = new Map<string, string>();
  #wake: () => void = () => undefined;

  constructor(options: SchedulingSessionOptions) {
    this.#options = options;
  }

  async run(signal: AbortSignal): Promise<void> {
    const unsubscribe = this.#subscribe();
    this.#options.metrics.show(this.#queue);
    try {
      while (!signal.aborted) {
        this.#takeTurn();
        await this.#pause(signal);
      }
    } finally {
      this.#options.metrics.show(undefined);
      for (const end of unsubscribe) end();
      await Promise.all(this.#inFlight);
    }
  }

  #subscribe(): (() => void)[] {
    const { informers } = this.#options;
    for (const node of informers.of(nodes).list()) this.#cluster.updateNode(node.metadata.name, node);
    for (const vm of informers.of(virtualMachines).list()) this.#see(keyOf(vm), vm);
    return [
      informers.of(nodes).onChange(({ name }, node) => this.#happened(this.#cluster.updateNode(name, node))),
      informers.of(virtualMachines).onChange(({ namespace, name }, vm) => this.#see(`${namespace}/${name}`, vm)),
      informers.of(virtualMachineImages).onChange(({ name }) => this.#sourceChanged(imageKey(name))),
      informers.of(virtualMachineSnapshots).onChange(({ namespace, name }) => this.#sourceChanged(snapshotKey(namespace, name))),
    ];
  }

  #see(key: string, vm: VirtualMachine | undefined): void {
    this.#happened(this.#cluster.updateMachine(key, vm));
    const wish = vm && wishOf(vm);
    if (!vm || wish === undefined) {
      this.#wishes.delete(key);
      this.#queue.remove(key);
      this.#waitNoMore(key);
      // Room is kept for those who want it.
      this.#happened(this.#cluster.nominate(key, undefined));
      return;
    }
    if (this.#wishes.get(key) === wish) return;
    if (!this.#wishes.has(key)) this.#renominate(key, vm);
    this.#wishes.set(key, wish);
    this.#queue.add(key, vm.spec?.priority ?? 0);
    this.#wake();
  }

  /** Room that an earlier leader had made stays kept. */
  #renominate(key: string, vm: VirtualMachine): void {
    const nodeName = vm.status?.nominatedNodeName;
    if (nodeName !== undefined) this.#cluster.nominate(key, { nodeName, machine: machineRequest(vm) });
  }

  #happened(events: Parameters<SchedulingQueue['happened']>[0]): void {
    if (events.length === 0) return;
    this.#queue.happened(events);
    this.#wake();
  }

  #sourceChanged(source: string): void {
    const keys = this.#waitingFor.get(source);
    if (!keys) return;
    this.#waitingFor.delete(source);
    for (const key of keys) {
      this.#awaited.delete(key);
      this.#queue.wake(key);
    }
    this.#wake();
  }

  #waitNoMore(key: string): void {
    const source = this.#awaited.get(key);
    if (source === undefined) return;
    this.#awaited.delete(key);
    const keys = this.#waitingFor.get(source);
    keys?.delete(key);
    if (keys?.size === 0) this.#waitingFor.delete(source);
  }

  /** Decides on whoever is ready, as long as there is a hand free to write and time in this turn. */
  #takeTurn(): void {
    const until = performance.now() + MAX_TURN_MS;
    while (this.#inFlight.size < MAX_IN_FLIGHT && performance.now() < until) {
      const key = this.#queue.take();
      if (key === undefined) return;
      const startedAt = performance.now();
      const action = this.#decide(key);
      this.#options.metrics.decisions.observe((performance.now() - startedAt) / 1000);
      if (!action) continue;
      const work = action().catch((error: unknown) => this.#failed(key, error)).finally(() => {
        this.#inFlight.delete(work);
        this.#wake();
      });
      this.#inFlight.add(work);
    }
  }

  /** Until something may be done: a machine is ready, a write has ended, or time is up for one that waits. */
  async #pause(signal: AbortSignal): Promise<void> {
    if (this.#queue.isReady && this.#inFlight.size < MAX_IN_FLIGHT) return new Promise((resolve) => setImmediate(resolve));
    const dueAt = this.#queue.nextAt();
    await new Promise<void>((resolve) => {
      const cancel = dueAt === undefined ? () => undefined : systemTimers.after(Math.max(1, Math.ceil(dueAt - systemTimers.now())), () => this.#wake());
      this.#wake = () => {
        cancel();
        signal.removeEventListener('abort', this.#wake);
        this.#wake = () => undefined;
        resolve();
      };
      signal.addEventListener('abort', this.#wake, { once: true });
    });
  }

  /** What is to be written about the machine; undefined when nothing is. All it changes here holds from this moment. */
  #decide(key: string): (() => Promise<void>) | undefined {
    const { informers, usualProfile, metrics } = this.#options;
    const vm = vmOf(informers, key);
    const profile = vm && wishOf(vm) !== undefined ? profileOf(vm.spec?.schedulerName, usualProfile) : undefined;
    if (!vm || !profile) {
      this.#queue.remove(key);
      return undefined;
    }
    const source = sourceOf(vm, informers);
    if (source.type === 'Waiting') return this.#waitFor(key, vm, source);
    const request = machineRequest(vm, source.view);
    const placement = schedule(request, this.#cluster, profile);
    switch (placement.outcome) {
      case 'Placed':
        this.#cluster.assume(request, placement.nodeName);
        return () => this.#bind(vm, placement.nodeName, source.view.memoryMiB);
      case 'Unschedulable':
        metrics.attempts.inc({ result: 'unschedulable' });
        return this.#findRoom(vm, request, placement.rejections, profile);
      default:
        return assertNever(placement, 'placement');
    }
  }

  #waitFor(key: string, vm: VirtualMachine, { about, reason, message }: Extract<MachineSource, { type: 'Waiting' }>): () => Promise<void> {
    this.#queue.reject(key, new Set());
    this.#waitNoMore(key);
    this.#awaited.set(key, about);
    this.#waitingFor.set(about, (this.#waitingFor.get(about) ?? new Set()).add(key));
    this.#options.metrics.attempts.inc({ result: 'waiting' });
    return () => this.#refuse(vm, reason, message, undefined);
  }

  async #bind(vm: VirtualMachine, nodeName: string, defaultMemoryMiB: number | undefined): Promise<void> {
    const bound = await this.#options.binding.bind(vm, nodeName, defaultMemoryMiB);
    // The binding took it from the queue. If it is there still, it was taken from its node again before we heard of either.
    this.#queue.retry(keyOf(vm));
    this.#options.metrics.attempts.inc({ result: 'scheduled' });
    this.#options.events.record(bound, 'Normal', 'Scheduled', `Bound to ${nodeName}.`);
  }

  /** The machine fits nowhere as things are: says so, and makes others leave where that helps. */
  #findRoom(vm: VirtualMachine, request: MachineRequest, rejections: Rejections, profile: Profile): () => Promise<void> {
    const preemption = planPreemption(request, this.#cluster, rejections, this.#options.budgets(), profile);
    const mayPreempt = request.neverPreempts !== true && this.#cluster.hasBelow(request.priority);
    this.#queue.reject(request.key, new Set([...helpfulEvents(rejections), ...(mayPreempt ? (['DepartureChanged'] as const) : [])]));
    this.#happened(this.#cluster.nominate(request.key, preemption && { nodeName: preemption.nodeName, machine: request }));
    return async () => {
      const message = explain(rejections) + (preemption ? roomMade(preemption) : '');
      await this.#refuse(vm, 'Unschedulable', message, preemption?.nodeName);
      for (const { key } of preemption?.victims ?? []) {
        const victim = vmOf(this.#options.informers, key);
        if (victim) await this.#options.preemptor.makeLeave(victim, vm);
      }
    };
  }

  async #refuse(vm: VirtualMachine, reason: string, message: string, nominatedNodeName: string | undefined): Promise<void> {
    const { objects, informers, events } = this.#options;
    const { nominatedNodeName: _before, ...kept } = vm.status ?? {};
    const told = findCondition(kept.conditions, 'Scheduled');
    const conditions = withCondition(kept.conditions, { type: 'Scheduled', status: 'False', reason, message }, systemClock.now(), vm.metadata.generation);
    const status: VirtualMachineStatus = { ...kept, phase: 'Pending', conditions, ...(nominatedNodeName === undefined ? {} : { nominatedNodeName }) };
    await writeStatus(objects, informers.of(virtualMachines), virtualMachines, vm, status);
    if (told?.message !== message) events.record(vm, 'Warning', 'FailedScheduling', message);
  }

  /** What was decided could not be written: the place is free again, and the machine is tried again soon. */
  #failed(key: string, error: unknown): void {
    this.#happened(this.#cluster.forget(key));
    this.#queue.retry(key);
    // Also when only the telling failed: what is not told is decided on, and told, again.
    this.#queue.wake(key);
    this.#options.metrics.attempts.inc({ result: 'error' });
    // A lost race is how optimistic writes work; the next try reads anew.
    if (error instanceof Problem && LOST_RACES.has(error.code)) return;
    this.#options.onFailure(key, error);
  }
}

function vmOf(informers: Informers, key: string): VirtualMachine | undefined {
  const slash = key.indexOf('/');
  return informers.of(virtualMachines).get(key.slice(0, slash), key.slice(slash + 1));
}

/** Everything a machine without a place says about the place it wants; undefined when it wants none. */
function wishOf({ metadata, spec, status }: VirtualMachine): string | undefined {
  if (!spec || metadata.deletionTimestamp !== undefined || spec.nodeName !== undefined || spec.powerState === 'Stopped') return undefined;
  // One that sleeps needs no node.
  if (status?.phase === 'Hibernated') return undefined;
  return JSON.stringify([metadata.uid, metadata.generation, metadata.labels, status?.continueFrom]);
}

function roomMade({ nodeName, victims }: Preemption): string {
  if (victims.length === 0) return `; waits for machines that leave ${nodeName}`;
  return `; ${victims.length} of lower priority ${victims.length === 1 ? 'makes' : 'make'} room on ${nodeName}`;
}
