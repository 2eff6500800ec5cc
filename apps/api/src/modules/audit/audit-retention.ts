import { Inject, Injectable, Logger } from '@nestjs/common';
import { pause, systemTimers } from '@corral/reconcile';
import { z } from 'zod';
import { API_CONFIG, type ApiConfig } from '../../platform/config/api-config.ts';
import { Database } from '../../platform/database/database.ts';
import { Leadership } from '../../platform/leadership/leadership.ts';

const EVERY_MS = 10 * 60_000;
const DAY_MS = 86_400_000;
const BATCH = 5_000;
const Forgotten = z.tuple([z.object({ forgotten: z.coerce.number() })]);

/** Forgets what is older than the log is to remember, in small transactions. */
@Injectable()
export class AuditRetention {
  readonly #logger = new Logger('AuditRetention');

  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(API_CONFIG) private readonly config: ApiConfig,
    @Inject(Leadership) leadership: Leadership,
  ) {
    leadership.whileLeading('audit-retention', (signal) => this.#run(signal));
  }

  /** Says how many records were forgotten. */
  async forget(now: Date, signal?: AbortSignal): Promise<number> {
    const before = new Date(now.getTime() - this.config.auditRetentionDays * DAY_MS);
    let sum = 0;
    for (;;) {
      const [{ forgotten }] = Forgotten.parse(await this.database.$queryRaw`SELECT corral_forget_audit_log(${before}, ${BATCH}::int) AS forgotten`);
      sum += forgotten;
      if (forgotten < BATCH || signal?.aborted) return sum;
    }
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.forget(new Date(), signal).catch((error: unknown) => this.#logger.warn({ err: error }, 'Old audit records were not forgotten; trying again'));
      await pause(systemTimers, EVERY_MS, signal);
    }
  }
}
