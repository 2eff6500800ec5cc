import { Module } from '@nestjs/common';
import { UsageMetricsRoutes } from './usage-metrics.routes.ts';
import { NodeUsageClient } from './node-usage.client.ts';

/** What nodes and machines use now. */
@Module({ providers: [NodeUsageClient, UsageMetricsRoutes] })
export class UsageMetricsModule {}
