import { Global, Module } from '@nestjs/common';
import { HealthController } from './health.controller.ts';
import { RequestMetrics } from './request-metrics.ts';

@Global()
@Module({ controllers: [HealthController], providers: [RequestMetrics], exports: [RequestMetrics] })
export class TelemetryModule {}
