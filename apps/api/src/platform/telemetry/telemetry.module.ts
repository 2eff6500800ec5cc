import { Global, Module } from '@nestjs/common';
import { HealthController } from './health.controller.ts';
import { HealthChecks } from './health-checks.ts';
import { RequestMetrics } from './request-metrics.ts';

@Global()
@Module({ controllers: [HealthController], providers: [HealthChecks, RequestMetrics], exports: [HealthChecks, RequestMetrics] })
export class TelemetryModule {}
