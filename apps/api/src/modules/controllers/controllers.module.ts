import { Global, Logger, Module } from '@nestjs/common';
import { systemClock } from '@corral/base';
import { type ObjectClient } from '@corral/contracts';
import { EventRecorder } from '@corral/reconcile';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { Informers } from './informers.ts';
import { ReconcileMetrics } from './reconcile-metrics.ts';
import { Reconcilers } from './reconcilers.ts';
import { SharedQueues } from './shared-queues.ts';

/** What every controller of the API process stands on. */
@Global()
@Module({
  providers: [
    Informers,
    ReconcileMetrics,
    SharedQueues,
    Reconcilers,
    {
      provide: EventRecorder,
      useFactory: (client: ObjectClient) => {
        const logger = new Logger('Events');
        return new EventRecorder({ client, component: 'corral-controllers', clock: systemClock, onFailure: (error) => logger.warn({ err: error }, 'An event was not written') });
      },
      inject: [OBJECT_CLIENT],
    },
  ],
  exports: [Informers, Reconcilers, EventRecorder],
})
export class ControllersModule {}
