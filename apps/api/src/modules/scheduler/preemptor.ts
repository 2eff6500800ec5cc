import { Inject, Injectable } from '@nestjs/common';
import { systemClock } from '@corral/base';
import { toKubeTime, virtualMachines, withCondition, type ObjectClient, type VirtualMachine } from '@corral/contracts';
import { EventRecorder } from '@corral/reconcile';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { Informers } from '../controllers/informers.ts';
import { Unbinding } from '../nodes/unbinding.ts';
import { SchedulerMetrics } from './scheduler-metrics.ts';

/**
 * Makes machines leave for one of higher priority. Nothing is lost: what has run nothing yet is only taken from its node;
 * what runs is moved like a drained machine, with a snapshot of its last moment, and goes on where there is room.
 */
@Injectable()
export class Preemptor {
  constructor(
    @Inject(OBJECT_CLIENT) private readonly objects: ObjectClient,
    @Inject(Informers) private readonly informers: Informers,
    @Inject(Unbinding) private readonly unbinding: Unbinding,
    @Inject(EventRecorder) private readonly events: EventRecorder,
    @Inject(SchedulerMetrics) private readonly metrics: SchedulerMetrics,
  ) {}

  /** Refuses with `object.conflict` when the victim changed meanwhile: whoever asked decides anew. */
  async makeLeave(victim: VirtualMachine, preemptor: VirtualMachine): Promise<void> {
    const from = victim.spec?.nodeName;
    if (from === undefined || victim.metadata.deletionTimestamp !== undefined || victim.status?.move !== undefined) return;
    const by = `${preemptor.metadata.namespace ?? ''}/${preemptor.metadata.name}`;
    const message = `Makes room on ${from} for ${by}, whose priority is higher.`;
    const incarnation = victim.status?.incarnation ?? 0;
    if (incarnation === 0) await this.#unbind(victim, message);
    else await this.#move(victim, from, incarnation);
    this.events.record(victim, 'Warning', 'Preempted', message);
    this.metrics.victims.inc();
  }

  async #unbind(victim: VirtualMachine, message: string): Promise<void> {
    const { nodeName: _node, ...status } = victim.status ?? {};
    const conditions = withCondition(status.conditions, { type: 'Scheduled', status: 'False', reason: 'Preempted', message }, systemClock.now(), victim.metadata.generation + 1);
    await this.unbinding.unbind(victim, { ...status, phase: 'Pending', conditions });
  }

  async #move(victim: VirtualMachine, from: string, incarnation: number): Promise<void> {
    const move = { reason: 'Preempted', from, incarnation, requestedAt: toKubeTime(systemClock.now()) } as const;
    const written = await this.objects.replaceStatus(virtualMachines, { ...victim, status: { ...victim.status, move } });
    this.informers.of(virtualMachines).observe(written);
  }
}
