import { Inject, Injectable } from '@nestjs/common';
import { assertNever, systemClock } from '@corral/base';
import {
  findCondition, nodes, Problem, qualifiedResource, toKubeTime, virtualMachines,
  type ObjectClient, type VirtualMachine, type VirtualMachineStatus,
} from '@corral/contracts';
import { EventRecorder } from '@corral/reconcile';
import { isDormant, isGoingBack, isToSleep } from '@corral/vm-lifecycle';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { Informers } from '../controllers/informers.ts';
import { writeStatus } from '../controllers/write-status.ts';
import { Moves } from '../nodes/moves.ts';
import { Unbinding } from '../nodes/unbinding.ts';
import { planWake } from './wake.plan.ts';

/** A machine that is not awake by then needs more than patience. */
export const WAKE_DEADLINE_MS = 30_000;
const RETRY_AFTER_S = 5;
/** Another writer is faster now and then; more often than this something is wrong. */
const MAX_ATTEMPTS = 10;

/** Sends machines to sleep and wakes them up. What becomes of that is their nodes' doing. */
@Injectable()
export class Hibernations {
  constructor(
    @Inject(OBJECT_CLIENT) private readonly objects: ObjectClient,
    @Inject(Informers) private readonly informers: Informers,
    @Inject(EventRecorder) private readonly events: EventRecorder,
    @Inject(Moves) private readonly moves: Moves,
    @Inject(Unbinding) private readonly unbinding: Unbinding,
  ) {
    // Whoever waits for a machine hears of it here.
    informers.of(virtualMachines);
  }

  /** Asks the machine to hibernate; one that does already is left alone. Refusals: `object.not-found`; `vm.not-running`; `object.conflict` while it moves. */
  hibernate(namespace: string, name: string): Promise<VirtualMachine> {
    return this.#change(namespace, name, async (vm) => {
      if (isToSleep(vm)) return vm;
      const { phase = 'Pending', incarnation } = vm.status ?? {};
      if (vm.status?.move) throw new Problem('object.conflict', `virtual machine "${name}" leaves its node; hibernate it where it arrives`, { details: detailsOf(vm) });
      if ((phase !== 'Running' && phase !== 'Paused') || incarnation === undefined || vm.status?.hibernation) throw notRunning(vm, phase);
      const hibernation = { reason: 'Requested', requestedAt: toKubeTime(systemClock.now()), incarnation } as const;
      const asked = await this.#write(vm, { ...vm.status, hibernation });
      this.events.record(asked, 'Normal', 'Hibernating', 'It was asked to hibernate.');
      return asked;
    });
  }

  /** Asks the machine to wake up; one that is awake is left alone. Refusals: `object.not-found`; `request.forbidden` over quota; `node.full`; `node.unreachable`. */
  wake(namespace: string, name: string): Promise<VirtualMachine> {
    return this.#change(namespace, name, (vm) => this.#wake(vm, false));
  }

  /**
   * Wakes a machine that sleeps, or is about to, and resolves once it can be used, or is in a state that says why not. Refusals:
   * those of `wake`, and `vm.waking` when it takes too long.
   */
  async awaken(vm: VirtualMachine): Promise<void> {
    const { namespace = '', name, uid } = vm.metadata;
    const asked = await this.wake(namespace, name);
    const tooLong = AbortSignal.timeout(WAKE_DEADLINE_MS);
    try {
      await this.#untilAwake(namespace, name, uid, asked.metadata.resourceVersion, tooLong);
    } catch (error) {
      if (!tooLong.aborted) throw error;
      const message = `virtual machine "${name}" sleeps, and is not awake after ${WAKE_DEADLINE_MS / 1000} s; try again`;
      throw new Problem('vm.waking', message, { details: { ...detailsOf(vm), retryAfterSeconds: RETRY_AFTER_S } });
    }
  }

  /** Resolves once the machine sleeps no more, or is no longer the one of this uid; rejects when the signal aborts. */
  async untilAwake(namespace: string, name: string, uid: string, signal: AbortSignal): Promise<void> {
    const vm = await this.objects.get(virtualMachines, namespace, name);
    if (vm) await this.#untilAwake(namespace, name, uid, vm.metadata.resourceVersion, signal);
  }

  async #untilAwake(namespace: string, name: string, uid: string, sinceVersion: string, signal: AbortSignal): Promise<void> {
    const machines = this.informers.of(virtualMachines);
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    const look = (now: VirtualMachine | undefined): void => {
      // A copy that is older than what was written says nothing.
      if (now?.metadata.uid === uid && BigInt(now.metadata.resourceVersion) < BigInt(sinceVersion)) return;
      if (now?.metadata.uid !== uid || !isOnItsWay(now)) resolve(undefined);
    };
    const abandon = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', abandon, { once: true });
    if (signal.aborted) abandon();
    const stop = machines.onChange((key, now) => {
      if (key.namespace === namespace && key.name === name) look(now);
    });
    try {
      const known = machines.get(namespace, name);
      if (known) look(known);
      await promise;
    } finally {
      stop();
      signal.removeEventListener('abort', abandon);
    }
  }

  /** Whether the machine of this uid sleeps, or is about to, as far as is known here: its process may hear nothing any more. */
  isFallingAsleep(namespace: string, name: string, uid: string): boolean {
    const vm = this.informers.of(virtualMachines).get(namespace, name);
    return vm?.metadata.uid === uid && isToSleep(vm);
  }

  /** Whether the machine of this uid sleeps, or is about to, as of now. */
  async isDormant(namespace: string, name: string, uid: string): Promise<boolean> {
    const vm = await this.objects.get(virtualMachines, namespace, name);
    return vm?.metadata.uid === uid && isDormant(vm);
  }

  /** Whether the machine of this uid sleeps, or goes on from a snapshot any moment, as of now: what is open to it can be carried over. */
  async willGoOn(namespace: string, name: string, uid: string): Promise<boolean> {
    const vm = await this.objects.get(virtualMachines, namespace, name);
    return vm?.metadata.uid === uid && (isDormant(vm) || isGoingBack(vm));
  }

  async #change(namespace: string, name: string, change: (vm: VirtualMachine) => Promise<VirtualMachine>): Promise<VirtualMachine> {
    for (let attempt = 1; ; attempt += 1) {
      const vm = await this.objects.get(virtualMachines, namespace, name);
      if (!vm) throw new Problem('object.not-found', `${qualifiedResource(virtualMachines)} "${name}" not found`, { details: { name, group: virtualMachines.group, kind: virtualMachines.plural } });
      if (vm.metadata.deletionTimestamp !== undefined) throw notRunning(vm, 'Terminating');
      try {
        return await change(vm);
      } catch (error) {
        if (!(error instanceof Problem && error.code === 'object.conflict') || vm.status?.move || attempt === MAX_ATTEMPTS) throw error;
      }
    }
  }

  async #wake(vm: VirtualMachine, isNodeFull: boolean): Promise<VirtualMachine> {
    if (!isToSleep(vm)) return vm;
    const nodeName = vm.spec?.nodeName;
    const node = nodeName === undefined ? undefined : await this.objects.get(nodes, undefined, nodeName);
    const step = planWake({ vm, node, noPlace: this.moves.noPlaceFor(vm), isNodeFull, now: systemClock.now() });
    switch (step.type) {
      case 'Nothing':
        return vm;
      case 'InPlace':
        try {
          return await this.#write(vm, step.status);
        } catch (error) {
          if (!(error instanceof Problem && error.code === 'node.full') || isNodeFull) throw error;
          return this.#wake(vm, true);
        }
      case 'Elsewhere': {
        const unbound = await this.unbinding.unbind(vm, step.status);
        this.events.record(unbound, 'Normal', 'WakingElsewhere', `It left ${nodeName}, where it slept.`);
        return unbound;
      }
      case 'Refuse':
        throw new Problem(step.why === 'NodeFull' ? 'node.full' : 'node.unreachable', step.message, { details: { ...detailsOf(vm), retryAfterSeconds: RETRY_AFTER_S } });
      default:
        return assertNever(step, 'wake step');
    }
  }

  #write(vm: VirtualMachine, status: VirtualMachineStatus): Promise<VirtualMachine> {
    return writeStatus(this.objects, this.informers.of(virtualMachines), virtualMachines, vm, status);
  }
}

/** Whether there is still something to wait for: it wakes up, or its guest has yet to answer for the first time since. */
function isOnItsWay(vm: VirtualMachine): boolean {
  if (vm.spec?.powerState === 'Stopped' || vm.metadata.deletionTimestamp !== undefined) return false;
  if (isDormant(vm) || isGoingBack(vm)) return vm.status?.phase !== 'Failed';
  return vm.status?.phase === 'Running' && findCondition(vm.status.conditions, 'Ready')?.reason === 'WaitingForAgent';
}

const detailsOf = ({ metadata }: VirtualMachine) => ({ name: metadata.name, group: virtualMachines.group, kind: virtualMachines.plural, uid: metadata.uid });

function notRunning(vm: VirtualMachine, phase: string): Problem {
  const causes = [{ reason: phase, message: `phase is ${phase}`, field: 'status.phase' }];
  return new Problem('vm.not-running', `virtual machine "${vm.metadata.name}" is ${phase}, not Running or Paused`, { details: { ...detailsOf(vm), causes } });
}
