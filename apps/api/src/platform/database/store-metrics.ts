import { Inject, Injectable } from '@nestjs/common';
import { Counter, Gauge, Histogram } from 'prom-client';
import { RequestMetrics } from '../telemetry/request-metrics.ts';
import { CachedStore } from './cached-store.ts';
import { ChangeFeed } from './change-feed.ts';
import { PostgresStore } from './postgres-store.ts';

/** What the store of this process does, for Prometheus: whether groups form, what memory holds, and how far the feed is. */
@Injectable()
export class StoreMetrics {
  constructor(
    @Inject(RequestMetrics) { registry }: RequestMetrics,
    @Inject(PostgresStore) store: PostgresStore,
    @Inject(CachedStore) cached: CachedStore,
    @Inject(ChangeFeed) feed: ChangeFeed,
  ) {
    const registers = [registry];
    const writes = new Histogram({ name: 'corral_write_batch_writes', help: 'Writes that were committed together.', buckets: [1, 2, 5, 10, 20, 50, 100, 200], registers });
    store.onSettled((commit) => {
      if (commit && commit.changes.length > 0) writes.observe(commit.changes.length);
    });
    new Counter({
      name: 'corral_writes_gathered_total',
      help: 'Renewals, such as those of Leases, that waited some milliseconds to be committed with others.',
      registers,
      collect() {
        this.reset();
        this.inc(store.gathered);
      },
    });
    new Gauge({
      name: 'corral_change_feed_version',
      help: 'The resourceVersion up to which this process has told of changes.',
      registers,
      collect() {
        this.set(feed.position);
      },
    });
    new Gauge({
      name: 'corral_cache_objects',
      help: 'Objects kept in memory, by resource. A resource that is not here is read from PostgreSQL.',
      labelNames: ['resource'],
      registers,
      collect() {
        this.reset();
        for (const { resource, objects } of cached.contents()) this.set({ resource }, objects);
      },
    });
    new Gauge({
      name: 'corral_cache_characters',
      help: 'About how many characters the objects kept in memory have as JSON.',
      registers,
      collect() {
        this.set(cached.contents().reduce((sum, { weight }) => sum + weight, 0));
      },
    });
  }
}
