import { Inject, Injectable, Logger } from '@nestjs/common';
import type { ObjectClient } from '@corral/contracts';
import { nodes, virtualMachineImages, virtualMachines, virtualMachineSnapshots } from '@corral/contracts';
import { EventRecorder } from '@corral/reconcile';
import { API_CONFIG, type ApiConfig } from '../../platform/config/api-config.ts';
import { Leadership } from '../../platform/leadership/leadership.ts';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { Informers } from '../controllers/informers.ts';
import { Binding } from './binding.ts';
import { BUDGETS, budgetOf } from './disruption-budgets.ts';
import { Preemptor } from './preemptor.ts';
import { SchedulerMetrics } from './scheduler-metrics.ts';
import { SchedulingSession } from './scheduling-session.ts';

/**
 * Binds machines that should run to nodes. One process of all does, since its decisions build on each other; should two
 * ever do so at once, the compare-and-set of every binding keeps a machine on one node, and the database keeps every node
 * from taking more than it has.
 */
@Injectable()
export class Scheduler {
  constructor(
    @Inject(OBJECT_CLIENT) objects: ObjectClient,
    @Inject(Informers) informers: Informers,
    @Inject(EventRecorder) events: EventRecorder,
    @Inject(Binding) binding: Binding,
    @Inject(Preemptor) preemptor: Preemptor,
    @Inject(SchedulerMetrics) metrics: SchedulerMetrics,
    @Inject(API_CONFIG) config: Pick<ApiConfig, 'schedulerProfile'>,
    @Inject(Leadership) leadership: Leadership,
  ) {
    const logger = new Logger('Scheduler');
    const needed = [nodes, virtualMachines, virtualMachineImages, virtualMachineSnapshots].map((kind) => informers.of(kind as typeof nodes));
    const budgets = BUDGETS && informers.of(BUDGETS);
    leadership.whileLeading('scheduler', async (signal) => {
      const ended = new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      await Promise.race([Promise.all([...needed, ...(budgets ? [budgets] : [])].map((informer) => informer.synced())), ended]);
      const session = new SchedulingSession({
        objects, informers, events, binding, preemptor, metrics,
        usualProfile: config.schedulerProfile,
        budgets: () => (budgets?.list() ?? []).map(budgetOf),
        onFailure: (key, error) => logger.error({ err: error }, `${key} could not be placed; trying again`),
      });
      await session.run(signal);
    });
  }
}
