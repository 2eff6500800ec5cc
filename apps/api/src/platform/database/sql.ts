import { Inject, Injectable, Logger, Optional, type OnApplicationShutdown } from '@nestjs/common';
import { Problem } from '@corral/contracts';
import pg from 'pg';
import { API_CONFIG, type ApiConfig } from '../config/api-config.ts';
import { Prisma } from './generated/client.ts';

const CONNECTIONS = 10;
const CONNECT_TIMEOUT_MS = 5_000;
/** No statement may hold a connection for longer. */
const STATEMENT_TIMEOUT_MS = 30_000;
/** A server that has not answered by then cannot be reached, whatever its connection seems: packets may be lost for many minutes before TCP gives up. */
export const ANSWER_TIMEOUT_MS = STATEMENT_TIMEOUT_MS + 5_000;

/** What is sent to the server: a statement of Prisma's builder, or a text that is prepared once per connection under its name. */
export type Statement = Prisma.Sql | { readonly name: string; readonly text: string; readonly values: readonly unknown[] };

/**
 * Statements over the object tables, by the driver itself: what every request waits for must cost neither an engine between
 * nor a second pool's queue (docs/adr/0006). Refuses with `dependency.unavailable` when the server cannot be reached.
 */
@Injectable()
export class Sql implements OnApplicationShutdown {
  readonly #logger = new Logger(Sql.name);
  readonly #pool: pg.Pool;

  constructor(@Inject(API_CONFIG) config: ApiConfig, @Optional() answerTimeoutMs: number = ANSWER_TIMEOUT_MS) {
    this.#pool = new pg.Pool({
      connectionString: config.databaseUrl,
      max: CONNECTIONS,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      statement_timeout: STATEMENT_TIMEOUT_MS,
      query_timeout: answerTimeoutMs,
      application_name: 'corral-api-objects',
      keepAlive: true,
    });
    // An idle connection that breaks is replaced by the pool; without a listener it would end the process.
    this.#pool.on('error', ({ message }) => {
      if (!this.#pool.ending) this.#logger.warn(`An idle database connection broke: ${message}`);
    });
  }

  async query(statement: Statement): Promise<unknown[]> {
    try {
      const { rows } = await this.#pool.query<Record<string, unknown>>(
        statement instanceof Prisma.Sql ? { text: statement.text, values: statement.values } : { ...statement, values: [...statement.values] },
      );
      return rows;
    } catch (cause) {
      if (!isUnavailable(cause)) throw cause;
      throw new Problem('dependency.unavailable', 'the database cannot be reached; try again', { cause, details: { retryAfterSeconds: 1 } });
    }
  }

  /** After everything that answers requests has stopped. */
  async onApplicationShutdown(): Promise<void> {
    if (!this.#pool.ending) await this.#pool.end();
  }
}

/** PostgreSQL's classes: connection exceptions, too many connections, operator intervention (shutdown, timeout). */
const UNAVAILABLE_STATES = /^(08|53|57)/;

/** Whether the server turned us away or was lost: what it says of a statement is a DatabaseError, and a TypeError is our own. */
function isUnavailable(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) return UNAVAILABLE_STATES.test(error.code ?? '');
  return !(error instanceof TypeError || error instanceof RangeError);
}
