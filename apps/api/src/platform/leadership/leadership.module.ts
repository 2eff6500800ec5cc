import { Global, Inject, Injectable, Logger, Module, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { Gauge } from 'prom-client';
import { API_CONFIG, type ApiConfig } from '../config/api-config.ts';
import { RequestMetrics } from '../telemetry/request-metrics.ts';
import { Leadership } from './leadership.ts';

/** The Leadership of this process, from its start to its end. */
@Injectable()
export class ProcessLeadership extends Leadership implements OnApplicationBootstrap, BeforeApplicationShutdown {
  constructor(@Inject(API_CONFIG) config: ApiConfig, @Inject(RequestMetrics) metrics: RequestMetrics) {
    const logger = new Logger(Leadership.name);
    const leading = new Gauge({ name: 'corral_leader', help: '1 for work that this process of all leads.', labelNames: ['name'], registers: [metrics.registry] });
    super({
      databaseUrl: config.databaseUrl,
      onFailure: (error) => logger.warn({ err: error }, 'Leadership was interrupted; trying again'),
      onChange: (name, isLeading) => leading.set({ name }, isLeading ? 1 : 0),
    });
  }

  onApplicationBootstrap(): void {
    this.start();
  }

  beforeApplicationShutdown(): Promise<void> {
    return this.stop();
  }
}

@Global()
@Module({ providers: [ProcessLeadership, { provide: Leadership, useExisting: ProcessLeadership }], exports: [Leadership] })
export class LeadershipModule {}
