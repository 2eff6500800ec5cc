import { Injectable } from '@nestjs/common';
import type { RequestAttributes } from '@corral/api-machinery';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

/** Figures of this process for Prometheus. Names follow kube-apiserver's where the meaning is the same. */
@Injectable()
export class RequestMetrics {
  readonly registry = new Registry();
  readonly #requests = new Counter({
    name: 'apiserver_request_total',
    help: 'Requests by verb, resource and status code.',
    labelNames: ['verb', 'group', 'resource', 'subresource', 'code'],
    registers: [this.registry],
  });
  readonly #durations = new Histogram({
    name: 'apiserver_request_duration_seconds',
    help: 'Time from request to end of answer, without watches.',
    labelNames: ['verb', 'group', 'resource', 'subresource'],
    buckets: [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [this.registry],
  });
  readonly watches = new Gauge({
    name: 'apiserver_longrunning_requests',
    help: 'Watches open now.',
    labelNames: ['group', 'resource'],
    registers: [this.registry],
  });

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }

  /** `isKnown`: the resource is one the API serves; others would let callers make up label values. */
  observe(attributes: RequestAttributes, isKnown: boolean, code: number, seconds: number): void {
    const labels =
      attributes.isResource && isKnown
        ? { verb: attributes.verb, group: attributes.group, resource: attributes.resource, subresource: attributes.subresource }
        : { verb: attributes.verb, group: '', resource: '', subresource: '' };
    this.#requests.inc({ ...labels, code: String(code) });
    if (labels.verb !== 'watch') this.#durations.observe(labels, seconds);
  }
}
