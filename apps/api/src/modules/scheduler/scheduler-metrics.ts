import { Inject, Injectable } from '@nestjs/common';
import type { SchedulingQueue } from '@corral/scheduling';
import { Counter, Gauge, Histogram } from 'prom-client';
import { RequestMetrics } from '../../platform/telemetry/request-metrics.ts';

/** What the scheduler does, in figures; names follow kube-scheduler's. */
@Injectable()
export class SchedulerMetrics {
  readonly attempts: Counter<'result'>;
  readonly decisions: Histogram;
  readonly victims: Counter;
  #queue: SchedulingQueue | undefined;

  constructor(@Inject(RequestMetrics) { registry }: RequestMetrics) {
    const registers = [registry];
    const countsOf = () => this.#queue?.counts ?? { ready: 0, backingOff: 0, waiting: 0, inFlight: 0 };
    new Gauge({
      name: 'corral_scheduler_pending_machines',
      help: 'Machines without a place, by what they wait for: their turn, the end of a back-off, an event that may help.',
      labelNames: ['queue'],
      registers,
      collect() {
        const { ready, backingOff, waiting } = countsOf();
        this.set({ queue: 'active' }, ready);
        this.set({ queue: 'backoff' }, backingOff);
        this.set({ queue: 'unschedulable' }, waiting);
      },
    });
    this.attempts = new Counter({ name: 'corral_scheduler_attempts_total', help: 'Decisions, by what came of them.', labelNames: ['result'], registers });
    this.decisions = new Histogram({ name: 'corral_scheduler_decision_duration_seconds', help: 'Time to decide on one machine, without writing.', buckets: [0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05], registers });
    this.victims = new Counter({ name: 'corral_scheduler_preemption_victims_total', help: 'Machines that had to leave for one of higher priority.', registers });
  }

  /** The queue whose figures are shown; undefined while another process leads. */
  show(queue: SchedulingQueue | undefined): void {
    this.#queue = queue;
  }
}
