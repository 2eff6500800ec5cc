import { Inject, Injectable } from '@nestjs/common';
import { systemClock } from '@corral/base';
import {
  findCondition, nodes, podDisruptionBudgets, Problem, startSourceOf, toKubeTime, virtualMachines,
  type MoveReason, type Node, type ObjectClient, type VirtualMachine, type VirtualMachineStatus,
} from '@corral/contracts';
import { EventRecorder } from '@corral/reconcile';
import { clusterOf, explain, machineRequest, schedule } from '@corral/scheduling';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { Informers } from '../controllers/informers.ts';
import { writeStatus } from '../controllers/write-status.ts';
import { grantOf, isCoveredBy } from './disruption-budget.ts';
import { hasPod } from '../pods/pod-of.ts';
import { Unbinding } from './unbinding.ts';

export interface MoveRequest {
  readonly reason: MoveReason;
  /** Whether disruption budgets have a say. */
  readonly budgets: 'Respected' | 'Ignored';
  /** Decide, and write nothing. */
  readonly isDryRun?: boolean;
}

/** Another writer is faster now and then; more often than this something is wrong. */
const MAX_ATTEMPTS = 10;

/** Asks machines to leave the node they are on. */
@Injectable()
export class Moves {
  constructor(
    @Inject(OBJECT_CLIENT) private readonly objects: ObjectClient,
    @Inject(Informers) private readonly informers: Informers,
    @Inject(EventRecorder) private readonly events: EventRecorder,
    @Inject(Unbinding) private readonly unbinding: Unbinding,
  ) {}

  /**
   * Begins a move, or finds it begun. Refuses with `request.too-many` what may succeed later: a budget that is used up, or
   * no other node with room. What has not started yet leaves at once.
   */
  async request(namespace: string, name: string, request: MoveRequest): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      const vm = await this.objects.get(virtualMachines, namespace, name);
      if (!vm || !hasPod(vm)) throw new Problem('object.not-found', `pods "${name}" not found`, { details: { name, kind: 'pods' } });
      try {
        return await this.#begin(vm, request);
      } catch (error) {
        if (!(error instanceof Problem && error.code === 'object.conflict') || attempt === MAX_ATTEMPTS) throw error;
      }
    }
  }

  /** Why no node but its own can take the machine; undefined when one can. */
  noPlaceFor(vm: VirtualMachine): string | undefined {
    const others = this.informers.of(nodes).list().filter(({ metadata }) => metadata.name !== vm.spec?.nodeName);
    const { memoryMiB, v86Build } = vm.status ?? {};
    // A memory restores on the emulator it ran on, and on no other.
    const request = machineRequest(vm, { image: startSourceOf(vm).image, memoryMiB, v86Build });
    const placement = schedule(request, clusterOf(others, this.informers.of(virtualMachines).list()));
    return placement.outcome === 'Placed' ? undefined : explain(placement.rejections);
  }

  async #begin(vm: VirtualMachine, request: MoveRequest): Promise<void> {
    const from = vm.spec?.nodeName;
    const { incarnation } = vm.status ?? {};
    if (vm.metadata.deletionTimestamp !== undefined || from === undefined || vm.status?.move !== undefined) return;
    const noPlace = incarnation === undefined ? undefined : this.noPlaceFor(vm);
    if (noPlace !== undefined) throw later(`Cannot move it away from ${from}: ${noPlace}`, 'NoOtherNode');
    // Last of the checks: what a budget was charged for does leave.
    if (request.budgets === 'Respected') await this.#charge(vm, request.isDryRun ?? false);
    if (request.isDryRun) return;
    if (incarnation === undefined) {
      await this.unbinding.unbind(vm, notStarted(vm.status));
      return;
    }
    const node = await this.objects.get(nodes, undefined, from);
    const reason = request.reason === 'Evicted' && node?.spec?.unschedulable ? 'Drained' : request.reason;
    const move = { reason, from, incarnation, requestedAt: toKubeTime(systemClock.now()) };
    const moving = await writeStatus(this.objects, this.informers.of(virtualMachines), virtualMachines, vm, { ...vm.status, move });
    this.events.record(moving, 'Normal', 'Moving', `It is to leave ${from}: ${TEXTS[reason]}.`);
  }

  /** Every budget that covers the machine must let it go. */
  async #charge(vm: VirtualMachine, isDryRun: boolean): Promise<void> {
    const { items } = await this.objects.list(podDisruptionBudgets, { namespace: vm.metadata.namespace ?? '' });
    const covering = items.filter((budget) => isCoveredBy(budget, vm)).map((budget) => ({ budget, grant: grantOf(budget, vm, systemClock.now()) }));
    for (const { grant } of covering) {
      if (grant.outcome === 'Refused') throw later("Cannot evict pod as it would violate the pod's disruption budget.", 'DisruptionBudget', grant.why);
    }
    if (isDryRun) return;
    for (const { budget, grant } of covering) {
      if (grant.outcome === 'Granted') await this.objects.replaceStatus(podDisruptionBudgets, { ...budget, status: grant.status });
    }
  }
}

const TEXTS: Readonly<Record<MoveReason, string>> = {
  Evicted: 'it was evicted',
  Drained: 'the node is drained',
  Tainted: 'the node has a taint it does not tolerate',
  NodeStopping: 'the node agent stops',
  Preempted: 'it makes room for one of higher priority',
};

/** Without Retry-After, as Kubernetes has it: client libraries would wait by themselves, ten times over, before they told kubectl. */
const later = (message: string, reason: string, why = message): Problem =>
  new Problem('request.too-many', message, { details: { causes: [{ reason, message: why }] } });

function notStarted(status: VirtualMachineStatus | undefined): VirtualMachineStatus {
  const { nodeName: _node, ...kept } = status ?? {};
  return { ...kept, phase: 'Pending', conditions: (status?.conditions ?? []).filter(({ type }) => type !== 'Scheduled') };
}

/** Whether a node asks for its machines to be taken away before it goes. */
export const isEmptying = ({ status }: Node): boolean => status?.corral?.isEmptying === true && findCondition(status.conditions, 'Ready')?.status !== 'Unknown';

