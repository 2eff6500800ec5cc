import { Inject, Injectable, Logger, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { PostgresStore } from './postgres-store.ts';

const EVERY_MS = 60_000;
/** What a watch may always resume from. */
const KEEP_MS = 60 * 60_000;
const KEEP_CHANGES = 100_000;

/** Keeps the change log from growing for ever: at least an hour, and at least 100,000 changes, stay. */
@Injectable()
export class ChangeLogCompaction implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #logger = new Logger(ChangeLogCompaction.name);
  #timer: NodeJS.Timeout | undefined;

  constructor(@Inject(PostgresStore) private readonly store: PostgresStore) {}

  onApplicationBootstrap(): void {
    this.#timer = setInterval(() => {
      this.store
        .compactChanges(new Date(Date.now() - KEEP_MS), KEEP_CHANGES)
        .catch((error: unknown) => this.#logger.warn({ err: error }, 'The change log was not compacted; trying again'));
    }, EVERY_MS);
  }

  beforeApplicationShutdown(): void {
    clearInterval(this.#timer);
  }
}
