import { Inject, Injectable, Logger, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { systemClock } from '@corral/base';
import { Problem } from '@corral/contracts';
import { pause, systemTimers } from '@corral/reconcile';
import { PostgresStore } from '../../platform/database/postgres-store.ts';
import { hasExpired, idempotencyKeys, type IdempotencyKey } from './idempotency-key.ts';

const SWEEP_MS = 15 * 60_000;
const PAGE = 500;

/** Forgets keys a day after they were used. */
@Injectable()
export class IdempotencySweep implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #logger = new Logger(IdempotencySweep.name);
  readonly #abort = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(@Inject(PostgresStore) private readonly store: PostgresStore) {}

  onApplicationBootstrap(): void {
    this.#running = this.#run(this.#abort.signal);
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  /** Removes what has expired by `now`; says how many. */
  async sweep(now: Date): Promise<number> {
    let removed = 0;
    let after: { readonly namespace: string; readonly name: string } | undefined;
    do {
      const { objects } = await this.store.list(idempotencyKeys, { limit: PAGE, after });
      after = objects.length === PAGE ? { namespace: '', name: objects.at(-1)?.metadata.name ?? '' } : undefined;
      const expired = (objects as readonly IdempotencyKey[]).filter((key) => hasExpired(key, now));
      const outcomes = await Promise.all(expired.map((key) => this.#remove(key)));
      removed += outcomes.filter(Boolean).length;
    } while (after && !this.#abort.signal.aborted);
    return removed;
  }

  /** Another process may be sweeping too, or a new request using the key. */
  async #remove(key: IdempotencyKey): Promise<boolean> {
    try {
      await this.store.remove(idempotencyKeys, key, key);
      return true;
    } catch (error) {
      if (error instanceof Problem && (error.code === 'object.conflict' || error.code === 'object.not-found')) return false;
      throw error;
    }
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await pause(systemTimers, SWEEP_MS, signal);
      if (signal.aborted) return;
      await this.sweep(systemClock.now()).catch((error: unknown) => this.#logger.warn({ err: error }, 'Old idempotency keys were not removed; trying again later'));
    }
  }
}
