import { Inject, Injectable } from '@nestjs/common';
import type { Controller, Look } from '@corral/reconcile';
import { Counter, Gauge, Histogram } from 'prom-client';
import { RequestMetrics } from '../../platform/telemetry/request-metrics.ts';

/** What controllers do, in figures. */
@Injectable()
export class ReconcileMetrics {
  readonly #controllers: Controller[] = [];
  readonly #durations: Histogram<'controller'>;
  readonly #looks: Counter<'controller' | 'result'>;
  readonly #errors: Counter<'controller'>;
  readonly #retries: Counter<'controller'>;
  readonly #corrections: Counter<'controller'>;

  constructor(@Inject(RequestMetrics) { registry }: RequestMetrics) {
    const registers = [registry];
    const labelNames = ['controller'] as const;
    const controllers = this.#controllers;
    new Gauge({
      name: 'corral_reconcile_queue_depth',
      help: 'Keys waiting to be looked at; of a shared queue, those of all processes.',
      labelNames,
      registers,
      async collect() {
        await Promise.all(controllers.map(async (controller) => this.set({ controller: controller.name }, await controller.depth().catch(() => NaN))));
      },
    });
    this.#durations = new Histogram({
      name: 'corral_reconcile_duration_seconds',
      help: 'How long one look took.',
      labelNames,
      buckets: [0.0001, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30, 120],
      registers,
    });
    this.#looks = new Counter({ name: 'corral_reconcile_total', help: 'Looks, by what they came to.', labelNames: ['controller', 'result'], registers });
    this.#errors = new Counter({ name: 'corral_reconcile_errors_total', help: 'Looks that failed.', labelNames, registers });
    this.#retries = new Counter({ name: 'corral_reconcile_retries_total', help: 'Looks because a look before asked for another, or failed.', labelNames, registers });
    this.#corrections = new Counter({
      name: 'corral_reconcile_corrections_total',
      help: 'Looks called for by nothing but a resync that had to change something: each is an event that was missed.',
      labelNames,
      registers,
    });
  }

  add(controller: Controller): void {
    this.#controllers.push(controller);
    for (const counter of [this.#errors, this.#retries, this.#corrections]) counter.inc({ controller: controller.name }, 0);
  }

  observe(controller: string, { cause, outcome, durationMs }: Look): void {
    this.#durations.observe({ controller }, durationMs / 1000);
    this.#looks.inc({ controller, result: outcome.toLowerCase() });
    if (outcome === 'Failed') this.#errors.inc({ controller });
    if (cause === 'Again') this.#retries.inc({ controller });
  }

  correct(controller: string): void {
    this.#corrections.inc({ controller });
  }
}
