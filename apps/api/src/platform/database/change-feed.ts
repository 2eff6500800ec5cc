import { Inject, Injectable, Logger, type BeforeApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { indexedValues, versionExpired, type Change, type FieldValue } from '@corral/api-machinery';
import { KINDS, Problem, qualifiedResource } from '@corral/contracts';
import pg from 'pg';
import { HealthChecks } from '../telemetry/health-checks.ts';
import { API_CONFIG, type ApiConfig } from '../config/api-config.ts';
import { fieldKeyOf } from './field-index.ts';
import { PostgresStore } from './postgres-store.ts';
import { RecentChanges } from './recent-changes.ts';

const BATCH = 1000;
/** A notification that got lost costs at most this long. */
const POLL_MS = 1_000;
const RECONNECT_MS = 1_000;
/** The log is read every second at the latest. */
const STALE_MS = 15_000;
/** A read waits this long for the feed to be as new as the database. */
const REACH_TIMEOUT_MS = 10_000;
/** A reader this far behind is cut off; it resumes from the log. */
const MAX_PENDING = 10_000;

/** Whoever keeps a copy: told of every change at once, before any watch. */
export interface Follower {
  changed(changes: readonly Change[]): void;
  /** The log was compacted past this process: what was changed is not known. */
  missed(): void;
}

/**
 * The tail of the change log, read once per process and handed to everyone who watches. What this process writes it knows
 * before NOTIFY says so, and takes it without reading it back where nobody else wrote between. NOTIFY only says when to
 * look: the log is the truth, so a lost notification or connection delays and never loses.
 */
@Injectable()
export class ChangeFeed implements OnModuleInit, BeforeApplicationShutdown {
  readonly #logger = new Logger(ChangeFeed.name);
  readonly #subscriptions = new Map<string, Set<ChangeSubscription>>();
  readonly #followers: Follower[] = [];
  #waiters: { readonly version: number; readonly resolve: () => void; readonly reject: () => void }[] = [];
  #recent = new RecentChanges(0);
  #position = 0;
  /** The newest version NOTIFY spoke of. */
  #announced = 0;
  #isRunning = false;
  /** When the log was last read to its end, on the monotonic clock. */
  #readAt = -Infinity;
  #listener: pg.Client | undefined;
  #reading: Promise<void> | undefined;
  #readAgain = false;
  #poll: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(
    @Inject(PostgresStore) private readonly store: PostgresStore,
    @Inject(API_CONFIG) private readonly config: ApiConfig,
    @Inject(HealthChecks) checks: HealthChecks,
  ) {
    checks.add('readyz', 'database', () => this.store.currentVersion());
    checks.add('readyz', 'change-feed', () => {
      if (!this.#isRunning || performance.now() - this.#readAt > STALE_MS) throw new Error('the change log cannot be read');
    });
    store.onSettled((commit) => {
      if (!this.#isRunning) return;
      // Where others wrote before us, their changes come first.
      if (commit && commit.base <= this.#position) this.#take(commit.changes);
      if (!commit || commit.base > this.#position || this.#announced > this.#position) this.#read();
    });
  }

  async onModuleInit(): Promise<void> {
    this.#position = await this.store.currentVersion();
    this.#recent = new RecentChanges(this.#position);
    this.#isRunning = true;
    await this.#listen();
    this.#poll = setInterval(() => this.#read(), POLL_MS);
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#poll);
    for (const subscription of this.#all()) subscription.end();
    for (const { reject } of this.#waiters.splice(0)) reject();
    await this.#listener?.end().catch(() => undefined);
    await this.#reading;
  }

  /** Everything up to here has been told. */
  get position(): number {
    return this.#position;
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  follow(follower: Follower): void {
    this.#followers.push(follower);
  }

  /**
   * Changes after `position`, from now on: all, or those of one resource, or of those the ones in one namespace or with, before
   * or after, one value of an indexed field. Close it.
   */
  subscribe(resource?: string, namespace?: string, field?: FieldValue): ChangeSubscription {
    const key = resource === undefined ? EVERYTHING : field ? `${resource}?${fieldKeyOf(field)}` : keyOf(resource, namespace);
    const group = this.#subscriptions.get(key) ?? new Set();
    this.#subscriptions.set(key, group);
    const subscription = new ChangeSubscription(
      () => this.#position,
      () => {
        group.delete(subscription);
        if (group.size === 0 && this.#subscriptions.get(key) === group) this.#subscriptions.delete(key);
      },
    );
    if (this.#stopped) subscription.end();
    else group.add(subscription);
    return subscription;
  }

  /** Changes after a version that are still in memory, oldest first; undefined when it is from before those. */
  recent(version: number, limit: number, resource?: string): readonly Change[] | undefined {
    return this.#recent.after(version, limit, resource);
  }

  /** Resolves when everything up to a version has been told; refuses with `dependency.unavailable` when that takes too long. */
  reached(version: number): Promise<void> {
    if (version <= this.#position) return Promise.resolve();
    const unreadable = new Problem('dependency.unavailable', 'the change log cannot be read; try again', { details: { retryAfterSeconds: 1 } });
    if (this.#stopped) return Promise.reject(unreadable);
    this.#read();
    return new Promise((resolve, reject) => {
      const settle = (end: () => void) => () => {
        clearTimeout(timer);
        end();
      };
      const waiter = { version, resolve: settle(resolve), reject: settle(() => reject(unreadable)) };
      const timer = setTimeout(() => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        waiter.reject();
      }, REACH_TIMEOUT_MS);
      this.#waiters.push(waiter);
    });
  }

  #take(changes: readonly Change[]): void {
    // What was read and what was written here may both tell of a change.
    const news = changes.filter(({ resourceVersion }) => resourceVersion > this.#position);
    const last = news.at(-1);
    if (!last) return;
    this.#recent.push(news);
    this.#moveTo(last.resourceVersion, () => {
      for (const follower of this.#followers) this.#tell(follower, news);
    });
    for (const change of news) {
      const { namespace } = change.object.metadata;
      const keys = [EVERYTHING, keyOf(change.resource, undefined), ...(namespace === undefined ? [] : [keyOf(change.resource, namespace)]), ...fieldKeysOf(change)];
      for (const key of keys) for (const subscription of this.#subscriptions.get(key) ?? []) subscription.push(change);
    }
  }

  /** One that fails has lost track, and begins anew; everybody else is told all the same. */
  #tell(follower: Follower, changes: readonly Change[]): void {
    try {
      follower.changed(changes);
    } catch (error) {
      this.#logger.error({ err: error }, 'A copy could not take a change in, and is made anew');
      follower.missed();
    }
  }

  #moveTo(position: number, tell: () => void): void {
    this.#position = position;
    tell();
    if (this.#waiters.length === 0) return;
    const reached = this.#waiters.filter(({ version }) => version <= position);
    this.#waiters = this.#waiters.filter(({ version }) => version > position);
    for (const { resolve } of reached) resolve();
  }

  *#all(): Generator<ChangeSubscription> {
    for (const group of [...this.#subscriptions.values()]) yield* [...group];
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
    client.on('notification', ({ payload }) => {
      this.#announced = Math.max(this.#announced, Number(payload));
      // What is announced may be our own: then it need not be read back.
      if (this.#announced > this.#position && !this.store.isWriting) this.#read();
    });
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
        // The log was compacted past us: nobody here can be told what they missed. What was written here meanwhile has been told.
        const current = Math.max(await this.store.currentVersion(), this.#position);
        for (const subscription of this.#all()) subscription.end(versionExpired(this.#position, current));
        this.#recent = new RecentChanges(current);
        this.#moveTo(current, () => {
          for (const follower of this.#followers) follower.missed();
        });
        return;
      }
      this.#take(changes);
      this.#readAt = performance.now();
      if (changes.length < BATCH) return;
    }
  }
}

const INDEXED_KINDS = new Map(KINDS.filter(({ indexedFields }) => indexedFields !== undefined).map((kind) => [qualifiedResource(kind), kind]));

/** The groups of an object before and after its change: who selected it must hear that it left. */
function fieldKeysOf({ resource, object, previous }: Change): ReadonlySet<string> {
  const kind = INDEXED_KINDS.get(resource);
  if (!kind) return NONE;
  const values = [...indexedValues(kind, object), ...(previous ? indexedValues(kind, previous) : [])];
  return new Set(values.map((value) => `${resource}?${fieldKeyOf(value)}`));
}
const NONE: ReadonlySet<string> = new Set();

/** No resource has such a name. */
const EVERYTHING = '*';
const keyOf = (resource: string, namespace: string | undefined): string => (namespace === undefined ? resource : `${resource}/${namespace}`);

export interface FeedBatch {
  /** Oldest first; empty when nothing happened in time. */
  readonly changes: readonly Change[];
  /** Everything up to this version has been seen once `changes` are. */
  readonly position: number;
}

/** One reader's share of the feed. */
export class ChangeSubscription {
  /** Where it began: changes after this version come. */
  readonly start: number;
  readonly #feedPosition: () => number;
  readonly #onClose: () => void;
  #pending: Change[] = [];
  #wake: (() => void) | undefined;
  #signal: AbortSignal | undefined;
  #end: { readonly error: Problem | undefined; readonly position: number } | undefined;

  constructor(feedPosition: () => number, onClose: () => void) {
    this.#feedPosition = feedPosition;
    this.start = feedPosition();
    this.#onClose = onClose;
  }

  push(change: Change): void {
    if (this.#end) return;
    if (this.#pending.length >= MAX_PENDING) {
      // The position stays before what is dropped: whoever resumes from it is told everything.
      this.#close(undefined, this.#pending.at(-1)?.resourceVersion ?? this.start);
      return;
    }
    this.#pending.push(change);
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
    const changes = this.#pending;
    this.#pending = [];
    return { changes, position: this.#end?.position ?? this.#feedPosition() };
  }

  end(error?: Problem): void {
    this.#close(error, this.#feedPosition());
  }

  #close(error: Problem | undefined, position: number): void {
    this.#end ??= { error, position };
    this.#wake?.();
    this.#onClose();
  }

  #wait(timeoutMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
      const timer = setTimeout(done, Math.max(0, timeoutMs));
      this.#wake = done;
      if (this.#signal === signal) return;
      // Once, and not for every event.
      this.#signal = signal;
      signal.addEventListener('abort', () => this.#wake?.(), { once: true });
    });
  }
}
