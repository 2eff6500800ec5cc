import { Inject, Injectable, Logger } from '@nestjs/common';
import { pause, systemTimers } from '@corral/reconcile';
import { Leadership } from '../leadership/leadership.ts';
import { PostgresStore } from './postgres-store.ts';

const EVERY_MS = 60_000;
/** What a watch may always resume from. Source: kube-apiserver keeps five minutes, --etcd-compaction-interval. */
const KEEP_MS = 10 * 60_000;
/** A quiet system remembers longer. */
const KEEP_CHANGES = 10_000;

/** Keeps the change log from growing for ever: ten minutes, and 10,000 changes, stay. A thousand nodes renew 60,000 Leases in that time. */
@Injectable()
export class ChangeLogCompaction {
  readonly #logger = new Logger(ChangeLogCompaction.name);

  constructor(
    @Inject(PostgresStore) private readonly store: PostgresStore,
    @Inject(Leadership) leadership: Leadership,
  ) {
    leadership.whileLeading('change-log-compaction', (signal) => this.#run(signal));
  }

  async #run(signal: AbortSignal): Promise<void> {
    for (;;) {
      await pause(systemTimers, EVERY_MS, signal);
      if (signal.aborted) return;
      await this.store
        .compactChanges(new Date(Date.now() - KEEP_MS), KEEP_CHANGES)
        .catch((error: unknown) => this.#logger.warn({ err: error }, 'The change log was not compacted; trying again'));
    }
  }
}
