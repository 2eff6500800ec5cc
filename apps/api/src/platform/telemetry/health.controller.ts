import { Controller, Get, Header, Inject, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Describe } from '../http/describe.ts';
import { PostgresStore } from '../database/postgres-store.ts';
import { RequestMetrics } from './request-metrics.ts';

/** What Corral calls itself where kubectl asks for Kubernetes's version: within one minor of the kubectl most people run, which warns beyond that. */
export const GIT_VERSION = 'v1.33.0+corral.0.1.0';
const [, major = '', minor = ''] = /^v(\d+)\.(\d+)\./.exec(GIT_VERSION) ?? [];

/** Whether the server lives and can serve, and what it is. */
@Controller()
export class HealthController {
  constructor(
    @Inject(PostgresStore) private readonly store: PostgresStore,
    @Inject(RequestMetrics) private readonly requestMetrics: RequestMetrics,
  ) {}

  @Get('livez')
  @Describe({ summary: 'Whether the process lives.', answer: 'text/plain' })
  @Header('content-type', 'text/plain; charset=utf-8')
  live(): string {
    return 'ok';
  }

  @Get(['readyz', 'healthz'])
  @Describe({ summary: 'Whether it can serve.', answer: 'text/plain' })
  @Header('content-type', 'text/plain; charset=utf-8')
  async ready(@Res({ passthrough: true }) reply: FastifyReply): Promise<string> {
    try {
      await this.store.currentVersion();
      return 'ok';
    } catch {
      void reply.code(503);
      return '[-]database failed\nreadyz check failed';
    }
  }

  @Get('version')
  @Describe({ summary: 'Its version.' })
  version() {
    return {
      major,
      minor,
      gitVersion: GIT_VERSION,
      gitCommit: '',
      gitTreeState: 'clean',
      buildDate: '2026-11-20T00:00:00Z',
      goVersion: process.version,
      compiler: 'node',
      platform: `${process.platform}/${process.arch}`,
    };
  }

  @Get('metrics')
  @Describe({ summary: 'Prometheus metrics.', answer: 'text/plain' })
  async metrics(@Res() reply: FastifyReply): Promise<void> {
    await reply.type(this.requestMetrics.registry.contentType).send(await this.requestMetrics.registry.metrics());
  }
}
