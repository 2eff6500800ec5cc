import { Inject, Injectable } from '@nestjs/common';
import { Counter, Gauge } from 'prom-client';
import { RequestMetrics } from '../../platform/telemetry/request-metrics.ts';

/** What the sweep of the object store found and removed, for Prometheus. */
@Injectable()
export class StorageMetrics {
  /** Of the last complete round through the store. */
  readonly packBytes: Gauge<'state'>;
  readonly packsRemoved: Counter;

  constructor(@Inject(RequestMetrics) { registry }: RequestMetrics) {
    const registers = [registry];
    this.packBytes = new Gauge({ name: 'corral_pack_bytes', help: 'Bytes of packs in the object store: needed by a snapshot or machine, or unnamed and waiting for the end of their grace.', labelNames: ['state'], registers });
    this.packsRemoved = new Counter({ name: 'corral_packs_removed_total', help: 'Packs removed because nothing had named them for the whole grace.', registers });
  }
}
