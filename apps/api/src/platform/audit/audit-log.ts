import { Inject, Injectable, Logger } from '@nestjs/common';
import { Counter, Gauge } from 'prom-client';
import { Database } from '../database/database.ts';
import { RequestMetrics } from '../telemetry/request-metrics.ts';
import { ANONYMOUS } from '../auth/user.ts';
import { auditRecordOf, type AuditedRequest, type AuditRecord } from './audit-record.ts';

/** How long a record waits for others to be written with it. */
const GATHER_MS = 100;
const BATCH = 500;
/** Beyond this, what was refused is dropped; it costs whoever asks nothing, so it could be any number. */
const MAX_REFUSED = 5_000;
/** Beyond this, anything is dropped: the database has been away for long, so no write is accepted either. */
const MAX_RECORDS = 50_000;
const RETRY_MS = 1_000;
/** Requests nobody signed are recorded up to this rate; a flood of them is counted, not kept. */
const ANONYMOUS_PER_SECOND = 50;
const FAREWELL_ATTEMPTS = 3;

/**
 * What was done, written behind the answers and in batches. A clean stop writes what is left before the database is let go;
 * what cannot be kept is counted, and what is lost at a stop is in the server's own log.
 */
@Injectable()
export class AuditLog {
  readonly #logger = new Logger('Audit');
  #records: AuditRecord[] = [];
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;
  #anonymous = { second: 0, count: 0 };
  readonly #dropped: Counter<'why'>;

  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(RequestMetrics) { registry }: RequestMetrics,
  ) {
    this.#dropped = new Counter({ name: 'corral_audit_records_dropped_total', help: 'Audit records that were not kept.', labelNames: ['why'], registers: [registry] });
    const waiting = (): number => this.#records.length;
    new Gauge({
      name: 'corral_audit_records_waiting',
      help: 'Audit records that are not written yet.',
      registers: [registry],
      collect() {
        this.set(waiting());
      },
    });
    for (const why of ['flood', 'refused', 'full', 'stopped']) this.#dropped.inc({ why }, 0);
    database.beforeDisconnect(() => this.#finish());
  }

  /** Never waits, never fails. */
  note(request: AuditedRequest): void {
    const record = auditRecordOf(request);
    if (!record) return;
    const why = this.#whyNot(record);
    if (why !== undefined) {
      this.#dropped.inc({ why });
      if (why === 'full') this.#logger.error({ record }, 'An audit record was dropped: the database takes none');
      return;
    }
    this.#records.push(record);
    this.#schedule(GATHER_MS);
  }

  /** Resolves when everything noted so far is written; rejects when writing it failed. */
  async flushed(): Promise<void> {
    // One that is under way may have begun before the last record came.
    await this.#writing?.catch(() => undefined);
    await this.#drain();
  }

  #whyNot({ decision, credential, userName, at }: AuditRecord): string | undefined {
    if (this.#records.length >= MAX_RECORDS) return 'full';
    // What is open to everybody, as signing in is, costs a stranger nothing either.
    const isStranger = credential === undefined && userName === ANONYMOUS.name;
    if (decision === 'Allowed' && !isStranger) return undefined;
    if (this.#records.length >= MAX_REFUSED) return 'refused';
    if (!isStranger) return undefined;
    const second = Math.floor(at.getTime() / 1000);
    if (this.#anonymous.second !== second) this.#anonymous = { second, count: 0 };
    this.#anonymous.count += 1;
    return this.#anonymous.count > ANONYMOUS_PER_SECOND ? 'flood' : undefined;
  }

  #schedule(delayMs: number): void {
    if (this.#timer) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#drain().then(
        () => this.#records.length > 0 && this.#schedule(GATHER_MS),
        (error: unknown) => {
          this.#logger.warn({ err: error, waiting: this.#records.length }, 'The audit log cannot be written; trying again');
          this.#schedule(RETRY_MS);
        },
      );
    }, delayMs);
    this.#timer.unref();
  }

  /** One writer at a time: two would write the same records, and forget others. */
  #drain(): Promise<void> {
    this.#writing ??= this.#write().finally(() => (this.#writing = undefined));
    return this.#writing;
  }

  async #write(): Promise<void> {
    while (this.#records.length > 0) {
      const batch = this.#records.slice(0, BATCH);
      await this.database.$executeRaw`
        INSERT INTO audit_log (at, request_id, user_name, groups, impersonated_by, credential, verb, api_group, resource, subresource, namespace, name, path, address, user_agent, decision, code, reason)
        SELECT r.at, r."requestId", r."userName", ARRAY(SELECT json_array_elements_text(r.groups)), r."impersonatedBy", r.credential, r.verb, r."apiGroup", r.resource, r.subresource, r.namespace, r.name, r.path, r.address, r."userAgent", r.decision, r.code, r.reason
        FROM json_to_recordset(${JSON.stringify(batch)}::json) AS r(
          at timestamptz, "requestId" text, "userName" text, groups json, "impersonatedBy" text, credential text, verb text, "apiGroup" text, resource text, subresource text,
          namespace text, name text, path text, address text, "userAgent" text, decision text, code int, reason text)`;
      this.#records = this.#records.slice(batch.length);
    }
  }

  /** Nothing answers requests any more. */
  async #finish(): Promise<void> {
    clearTimeout(this.#timer);
    for (let attempt = 1; attempt <= FAREWELL_ATTEMPTS; attempt += 1) {
      await this.flushed().catch((error: unknown) => this.#logger.warn({ err: error }, 'The audit log cannot be written'));
      if (this.#records.length === 0) return;
    }
    this.#dropped.inc({ why: 'stopped' }, this.#records.length);
    for (const record of this.#records) this.#logger.error({ record }, 'This audit record could not be written before the server stopped');
    this.#records = [];
  }
}
