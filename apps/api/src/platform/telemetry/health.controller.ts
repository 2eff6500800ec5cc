import { Controller, Get, Inject, Param, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Describe } from '../http/describe.ts';
import { HealthChecks } from './health-checks.ts';
import { RequestMetrics } from './request-metrics.ts';

/** What Corral calls itself where kubectl asks for Kubernetes's version: within one minor of the kubectl most people run, which warns beyond that. */
export const GIT_VERSION = 'v1.33.0+corral.0.1.0';
const [, major = '', minor = ''] = /^v(\d+)\.(\d+)\./.exec(GIT_VERSION) ?? [];

const PLAIN_TEXT = 'text/plain; charset=utf-8';

interface ProbeQuery {
  readonly verbose?: string;
  readonly exclude?: string | readonly string[];
}

/** `healthz` is the old name of `readyz`. */
const probeOf = ({ url }: FastifyRequest): 'livez' | 'readyz' => (/^\/livez\b/.test(url) ? 'livez' : 'readyz');

/** Whether the server lives and can serve, and what it is. */
@Controller()
export class HealthController {
  constructor(
    @Inject(HealthChecks) private readonly checks: HealthChecks,
    @Inject(RequestMetrics) private readonly requestMetrics: RequestMetrics,
  ) {}

  @Get(['livez', 'readyz', 'healthz'])
  @Describe({ summary: 'Whether the process lives, or can serve; `?verbose` names every check.', answer: 'text/plain' })
  probe(@Req() request: FastifyRequest, @Query() query: ProbeQuery, @Res({ passthrough: true }) reply: FastifyReply): Promise<string> {
    return this.#answer(probeOf(request), query, reply);
  }

  @Get(['livez/:check', 'readyz/:check', 'healthz/:check'])
  @Describe({ summary: 'One check by its name.', answer: 'text/plain' })
  async check(@Req() request: FastifyRequest, @Param('check') name: string, @Res({ passthrough: true }) reply: FastifyReply): Promise<string> {
    const probe = probeOf(request);
    void reply.type(PLAIN_TEXT);
    if (!this.checks.names(probe).includes(name)) {
      void reply.code(404);
      return `no check is called ${name}; there are ${this.checks.names(probe).join(', ')}\n`;
    }
    const [result] = await this.checks.run(probe, [name]);
    if (result?.isOk) return 'ok';
    void reply.code(503);
    return `${name} failed: reason withheld\n`;
  }

  /** As kube-apiserver prints it: `ok`, or every check where one failed or `verbose` was asked for. */
  async #answer(probe: 'livez' | 'readyz', { verbose, exclude }: ProbeQuery, reply: FastifyReply): Promise<string> {
    const excluded = [exclude ?? []].flat();
    const results = await this.checks.run(probe);
    const isOk = results.every((result) => result.isOk || excluded.includes(result.name));
    void reply.type(PLAIN_TEXT).code(isOk ? 200 : 503);
    if (isOk && verbose === undefined) return 'ok';
    const lines = results.map((result) => (excluded.includes(result.name) ? `[+]${result.name} excluded: ok` : result.isOk ? `[+]${result.name} ok` : `[-]${result.name} failed: reason withheld`));
    return `${lines.join('\n')}\n${probe} check ${isOk ? 'passed' : 'failed'}\n`;
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
