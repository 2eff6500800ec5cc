import { Inject, Injectable } from '@nestjs/common';
import { Counter, Gauge } from 'prom-client';
import { RequestMetrics } from '../../platform/telemetry/request-metrics.ts';

/** What happens to nodes and to machines that leave them, for Prometheus. */
@Injectable()
export class NodeMetrics {
  readonly silent: Counter;
  readonly recovered: Counter<'from'>;
  readonly moves: Counter<'reason' | 'outcome'>;
  /** 1 while most nodes are missing and nothing is evicted. */
  readonly evictionsStopped: Gauge;

  constructor(@Inject(RequestMetrics) { registry }: RequestMetrics) {
    const registers = [registry];
    this.silent = new Counter({ name: 'corral_nodes_lost_total', help: 'Times a node stopped renewing its Lease.', registers });
    this.recovered = new Counter({ name: 'corral_machines_recovered_total', help: 'Machines taken from lost nodes, by what they continue from.', labelNames: ['from'], registers });
    this.moves = new Counter({ name: 'corral_machine_moves_total', help: 'Moves of machines between nodes, by why and how they ended.', labelNames: ['reason', 'outcome'], registers });
    this.evictionsStopped = new Gauge({ name: 'corral_evictions_stopped', help: '1 while so many nodes are missing that nothing is evicted.', registers });
  }
}
