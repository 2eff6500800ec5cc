import { Inject, Injectable, Logger, type BeforeApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { apiKeys, nodes, qualifiedResource, secrets, serviceAccounts, type KindDefinition, type KubeObject } from '@corral/contracts';
import { ChangeFeed } from '../database/change-feed.ts';
import { PostgresStore } from '../database/postgres-store.ts';

/** What the feed does not tell in time is looked up again after this long. */
const CACHE_MS = 4_000;
const MAX_CACHED = 10_000;
const IDLE_MS = 60_000;
const RETRY_MS = 500;

const ACCOUNTS = serviceAccounts as KindDefinition;
const KEYS: KindDefinition = apiKeys;
const FOLLOWED: readonly KindDefinition[] = [ACCOUNTS, KEYS, secrets];

interface Cached {
  readonly object: Promise<KubeObject | undefined>;
  readonly until: number;
}

/**
 * The objects credentials hang on, as they are now: kept for seconds, and forgotten as soon as the change log says that they
 * changed, in every API process.
 */
@Injectable()
export class LiveObjects implements OnModuleInit, BeforeApplicationShutdown {
  readonly #logger = new Logger('Credentials');
  readonly #cache = new Map<string, Cached>();
  readonly #abort = new AbortController();
  readonly #onChange: (() => void)[] = [];

  constructor(
    @Inject(PostgresStore) private readonly store: PostgresStore,
    @Inject(ChangeFeed) private readonly feed: ChangeFeed,
  ) {}

  onModuleInit(): void {
    for (const kind of FOLLOWED) void this.#follow(qualifiedResource(kind));
  }

  beforeApplicationShutdown(): void {
    this.#abort.abort();
  }

  /** Told after anything a credential may hang on was changed or deleted. */
  onChange(listener: () => void): void {
    this.#onChange.push(listener);
  }

  account(namespace: string, name: string): Promise<KubeObject | undefined> {
    return this.#find(ACCOUNTS, namespace, name);
  }

  apiKey(namespace: string, name: string): Promise<KubeObject | undefined> {
    return this.#find(KEYS, namespace, name);
  }

  secret(namespace: string, name: string): Promise<KubeObject | undefined> {
    return this.#find(secrets, namespace, name);
  }

  node(name: string): Promise<KubeObject | undefined> {
    return this.#find(nodes, '', name);
  }

  #find(kind: KindDefinition, namespace: string, name: string): Promise<KubeObject | undefined> {
    const key = keyOf(qualifiedResource(kind), namespace, name);
    const now = Date.now();
    const cached = this.#cache.get(key);
    if (cached && cached.until > now) return cached.object;
    // The promise is kept, not its value: a change that comes while it is being read throws it away too.
    const object = this.store.get(kind, namespace === '' ? undefined : namespace, name);
    object.catch(() => this.#cache.delete(key));
    if (this.#cache.size >= MAX_CACHED) this.#cache.clear();
    this.#cache.set(key, { object, until: now + CACHE_MS });
    return object;
  }

  async #follow(resource: string): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      const subscription = this.feed.subscribe(resource);
      try {
        for (;;) {
          const batch = await subscription.next(IDLE_MS, signal);
          if (!batch) break;
          for (const { object } of batch.changes) this.#cache.delete(keyOf(resource, object.metadata.namespace ?? '', object.metadata.name));
          if (batch.changes.length > 0) for (const listener of this.#onChange) listener();
        }
      } catch (error) {
        this.#logger.warn({ err: error }, `Following ${resource} failed; trying again`);
      } finally {
        subscription.end();
      }
      // What happened meanwhile is not known.
      this.#cache.clear();
      if (!signal.aborted) await new Promise((resolve) => setTimeout(resolve, RETRY_MS).unref());
    }
  }
}

const keyOf = (resource: string, namespace: string, name: string): string => `${resource}/${namespace}/${name}`;
