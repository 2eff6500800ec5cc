import { Inject, Injectable, Logger, type BeforeApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { versionExpired, type Change } from '@corral/api-machinery';
import { Problem } from '@corral/contracts';
import pg from 'pg';
import { API_CONFIG, type ApiConfig } from '../config/api-config.ts';
import { PostgresStore } from './postgres-store.ts';

const BATCH = 1000;
/** A notification that got lost costs at most this long. */
const POLL_MS = 1_000;
const RECONNECT_MS = 1_000;
/** A reader this far behind is cut off; it resumes from the log. */
const MAX_PENDING = 10_000;

/**
 * The tail of the change log, read once per process and handed to everyone who watches. NOTIFY only says when to look:
 * the log is the truth, so a lost notification or connection delays and never loses.
 */
@Injectable()
export class ChangeFeed implements OnModuleInit, BeforeApplicationShutdown {
  readonly #logger = new Logger(ChangeFeed.name);
  readonly #subscriptions = new Set<ChangeSubscription>();
  #position = 0;
  #listener: pg.Client | undefined;
  #reading: Promise<void> | undefined;
  #readAgain = false;
  #poll: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(
    @Inject(PostgresStore) private readonly store: PostgresStore,
    @Inject(API_CONFIG) private readonly config: ApiConfig,
  ) {}

  async onModuleInit(): Promise<void> {
    this.#position = await this.store.currentVersion();
    await this.#listen();
    this.#poll = setInterval(() => this.#read(), POLL_MS);
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#poll);
    for (const subscription of this.#subscriptions) subscription.end();
    await this.#listener?.end().catch(() => undefined);
    await this.#reading;
  }

  /** Changes after `position`, from now on. Close it. */
  subscribe(resource?: string): ChangeSubscription {
    const subscription = new ChangeSubscription(resource, this.#position, () => this.#subscriptions.delete(subscription));
    if (this.#stopped) subscription.end();
    else this.#subscriptions.add(subscription);
    return subscription;
  }

  async #listen(): Promise<void> {
    const client = new pg.Client({ connectionString: this.config.databaseUrl, application_name: 'corral-api-feed', keepAlive: true });
    const lost = (): void => {
      if (this.#listener !== client) return;
      this.#listener = undefined;
      this.#relisten();
    };
    client.on('error', lost);
    client.on('end', lost);
    client.on('notification', () => this.#read());
    await client.connect();
    await client.query('LISTEN corral_changes');
    this.#listener = client;
    this.#read();
  }

  #relisten(): void {
    if (this.#stopped) return;
    setTimeout(() => {
      if (this.#stopped) return;
      this.#listen().catch((error: unknown) => {
        this.#logger.warn({ err: error }, 'Cannot listen for changes; polling meanwhile');
        this.#relisten();
      });
    }, RECONNECT_MS);
  }

  /** One reader at a time; a wake-up during a read makes it look once more. */
  #read(): void {
    if (this.#stopped) return;
    if (this.#reading) {
      this.#readAgain = true;
      return;
    }
    this.#reading = this.#drain()
      .catch((error: unknown) => this.#logger.warn({ err: error }, 'The change log could not be read; trying again'))
      .finally(() => {
        this.#reading = undefined;
        if (!this.#readAgain) return;
        this.#readAgain = false;
        this.#read();
      });
  }

  async #drain(): Promise<void> {
    for (;;) {
      let changes: readonly Change[];
      try {
        changes = await this.store.changesAfter(this.#position, BATCH);
      } catch (error) {
        if (!(error instanceof Problem && error.code === 'version.expired')) throw error;
        // The log was compacted past us: nobody here can be told what they missed.
        const current = await this.store.currentVersion();
        for (const subscription of this.#subscriptions) subscription.end(versionExpired(this.#position, current));
        this.#position = current;
        return;
      }
      this.#position = changes.at(-1)?.resourceVersion ?? this.#position;
      for (const subscription of this.#subscriptions) subscription.push(changes, this.#position);
      if (changes.length < BATCH) return;
    }
  }
}

export interface FeedBatch {
  /** Oldest first; empty when nothing happened in time. */
  readonly changes: readonly Change[];
  /** Everything up to this version has been seen once `changes` are. */
  readonly position: number;
}

/** One reader's share of the feed. */
export class ChangeSubscription {
  readonly start: number;
  readonly #resource: string | undefined;
  readonly #onClose: () => void;
  #pending: Change[] = [];
  #position: number;
  #wake: (() => void) | undefined;
  #end: { readonly error: Problem | undefined } | undefined;

  constructor(resource: string | undefined, start: number, onClose: () => void) {
    this.#resource = resource;
    this.start = start;
    this.#position = start;
    this.#onClose = onClose;
  }

  push(changes: readonly Change[], position: number): void {
    if (this.#end) return;
    const relevant = this.#resource === undefined ? changes : changes.filter(({ resource }) => resource === this.#resource);
    if (this.#pending.length + relevant.length > MAX_PENDING) {
      // The position stays before what is dropped: whoever resumes from it is told everything.
      this.end();
      return;
    }
    this.#position = position;
    if (relevant.length === 0) return;
    this.#pending.push(...relevant);
    this.#wake?.();
  }

  /**
   * The changes since the last call; waits for some, at most `timeoutMs`. Undefined when the feed has ended for this
   * reader: it reads too slowly, or the server stops. Rejects when history was forgotten.
   */
  async next(timeoutMs: number, signal: AbortSignal): Promise<FeedBatch | undefined> {
    if (this.#pending.length === 0 && !this.#end && !signal.aborted) await this.#wait(timeoutMs, signal);
    if (this.#pending.length === 0) {
      if (this.#end?.error) throw this.#end.error;
      if (this.#end || signal.aborted) return undefined;
    }
    return { changes: this.#pending.splice(0), position: this.#position };
  }

  end(error?: Problem): void {
    this.#end ??= { error };
    this.#wake?.();
    this.#onClose();
  }

  #wait(timeoutMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        this.#wake = undefined;
        resolve();
      };
      const timer = setTimeout(done, Math.max(0, timeoutMs));
      signal.addEventListener('abort', done, { once: true });
      this.#wake = done;
    });
  }
}
