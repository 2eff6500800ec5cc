import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { PrismaPg } from '@prisma/adapter-pg';
import { API_CONFIG, type ApiConfig } from '../config/api-config.ts';
import { PrismaClient } from './generated/client.ts';
import { ANSWER_TIMEOUT_MS } from './sql.ts';

const CONNECTIONS = 20;
const CONNECT_TIMEOUT_MS = 5_000;
/** No query of the API may hold a connection for longer. */
const STATEMENT_TIMEOUT_MS = 30_000;

/** The one way to PostgreSQL, with typed access to its tables. */
@Injectable()
export class Database extends PrismaClient implements OnApplicationShutdown {
  readonly #last: (() => Promise<void>)[] = [];

  constructor(@Inject(API_CONFIG) config: ApiConfig) {
    super({
      adapter: new PrismaPg({
        connectionString: config.databaseUrl,
        max: CONNECTIONS,
        connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
        statement_timeout: STATEMENT_TIMEOUT_MS,
        query_timeout: ANSWER_TIMEOUT_MS,
        application_name: 'corral-api',
      }),
    });
  }

  /** For what has to be written last, when nothing answers requests any more. */
  beforeDisconnect(write: () => Promise<void>): void {
    this.#last.push(write);
  }

  /** After everything that answers requests has stopped. */
  async onApplicationShutdown(): Promise<void> {
    for (const write of this.#last) await write();
    await this.$disconnect();
  }
}
