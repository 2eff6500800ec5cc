import { getHeapStatistics } from 'node:v8';
import { Inject, Injectable, Logger, Optional } from '@nestjs/common';
import { versionExpired, versionNotReached, type Change, type Store, type StoredPage, type StoreQuery, type Write } from '@corral/api-machinery';
import { qualifiedResource, type KindDefinition, type KubeObject } from '@corral/contracts';
import { ChangeFeed } from './change-feed.ts';
import { KindCache } from './kind-cache.ts';
import { NextAnswer } from './next-answer.ts';
import { PostgresStore, type Extent } from './postgres-store.ts';

/** Injects another bound for all kinds together, in characters of JSON: in memory an object takes about two bytes for each, and one more once it was sent. */
export const MAX_CACHE_WEIGHT = Symbol('MaxCacheWeight');
/** A kind that did not fit is tried again after this long. */
const RETRY_LARGE_MS = 10 * 60_000;

type CachedKind =
  | { readonly state: 'Loading'; readonly changes: Change[]; readonly loaded: Promise<KindCache | undefined> }
  | { readonly state: 'Loaded'; readonly cache: KindCache }
  | { readonly state: 'TooLarge'; readonly until: number };

/**
 * The Store as requests use it: reads come from memory, writes go to PostgreSQL. A read is as new as every write
 * acknowledged before it, also by other processes: it asks the database which version is current, one question for all reads
 * that wait, and answers when the change feed has brought the copies there. (Kubernetes's way, KEP-2340.) Past states, and
 * kinds too large to keep, are read from PostgreSQL.
 */
@Injectable()
export class CachedStore implements Store {
  readonly #logger = new Logger(CachedStore.name);
  readonly #kinds = new Map<string, CachedKind>();
  readonly #extent: NextAnswer<Extent>;

  constructor(
    @Inject(PostgresStore) private readonly store: PostgresStore,
    @Inject(ChangeFeed) private readonly feed: ChangeFeed,
    @Optional() @Inject(MAX_CACHE_WEIGHT) private readonly maxWeight: number = getHeapStatistics().heap_size_limit / 16,
  ) {
    this.#extent = new NextAnswer(() => this.store.extent());
    feed.follow({ changed: (changes) => this.#apply(changes), missed: () => this.#kinds.clear() });
  }

  async get(kind: KindDefinition, namespace: string | undefined, name: string): Promise<KubeObject | undefined> {
    const { cache } = await this.#current(kind);
    return cache ? cache.get(spaceOf(kind, namespace), name) : this.store.get(kind, namespace, name);
  }

  /** What this process knows of an object, which may be old: for writers, whose write says what it was based on. */
  peek(kind: KindDefinition, namespace: string | undefined, name: string): KubeObject | undefined {
    const known = this.#kinds.get(qualifiedResource(kind));
    return known?.state === 'Loaded' ? known.cache.get(spaceOf(kind, namespace), name) : undefined;
  }

  /** Where everything is in memory, `limit` is the caller's wish; elsewhere no more than `batch` are fetched at once. */
  async list(kind: KindDefinition, query: StoreQuery): Promise<StoredPage> {
    const { cache, extent } = await this.#current(kind, query.mayBeOld);
    const { at, batch = Infinity, limit = Infinity, ...rest } = query;
    if (at !== undefined && extent) {
      if (at < extent.oldest) throw versionExpired(at, extent.oldest);
      if (at > extent.current) throw versionNotReached(at, extent.current);
    }
    if (!cache || (at !== undefined && at < cache.lastChange)) {
      const most = Math.min(batch, limit);
      return this.store.list(kind, { ...query, limit: Number.isFinite(most) ? most : undefined });
    }
    const resourceVersion = at ?? Math.max(this.feed.position, cache.loadedAt);
    const namespace = kind.scope === 'Namespaced' ? query.namespace : undefined;
    return { ...cache.list({ ...rest, namespace, limit }), resourceVersion };
  }

  create(kind: KindDefinition, object: KubeObject): Promise<KubeObject> {
    return this.store.create(kind, object);
  }

  update(kind: KindDefinition, current: KubeObject, next: KubeObject): Promise<KubeObject> {
    return this.store.update(kind, current, next);
  }

  remove(kind: KindDefinition, current: KubeObject, final: KubeObject): Promise<KubeObject> {
    return this.store.remove(kind, current, final);
  }

  transact(writes: readonly Write[]): Promise<readonly KubeObject[]> {
    return this.store.transact(writes);
  }

  async currentVersion(): Promise<number> {
    return (await this.#extent.get()).current;
  }

  async changesAfter(version: number, limit: number, resource?: string): Promise<readonly Change[]> {
    const { oldest } = await this.#extent.get();
    if (version < oldest) throw versionExpired(version, oldest);
    return this.feed.recent(version, limit, resource) ?? this.store.changesAfter(version, limit, resource);
  }

  /** The copy of a kind, as new as the database was after this call; undefined when PostgreSQL has to be asked. */
  async #current(kind: KindDefinition, mayBeOld = false): Promise<{ readonly cache: KindCache | undefined; readonly extent?: Extent }> {
    for (;;) {
      const cache = await this.#load(kind);
      if (mayBeOld && cache) return { cache };
      const extent = await this.#extent.get();
      if (!cache) return { cache, extent };
      await this.feed.reached(extent.current);
      // Unless it was dropped meanwhile.
      const known = this.#kinds.get(qualifiedResource(kind));
      if (known?.state === 'Loaded') return { cache: known.cache, extent };
    }
  }

  #load(kind: KindDefinition): Promise<KindCache | undefined> | KindCache | undefined {
    const resource = qualifiedResource(kind);
    const known = this.#kinds.get(resource);
    if (known?.state === 'Loaded') return known.cache;
    if (known?.state === 'Loading') return known.loaded;
    if (!this.feed.isRunning || (known && known.until > Date.now())) return undefined;
    const changes: Change[] = [];
    const loaded = this.#fetch(kind, changes);
    this.#kinds.set(resource, { state: 'Loading', changes, loaded });
    return loaded;
  }

  /** The list is from after the feed's position, so what the feed says meanwhile joins it without a gap. */
  async #fetch(kind: KindDefinition, changes: readonly Change[]): Promise<KindCache | undefined> {
    const resource = qualifiedResource(kind);
    const isStillWanted = (): boolean => {
      const known = this.#kinds.get(resource);
      return known?.state === 'Loading' && known.changes === changes;
    };
    try {
      if (this.#weight() + (await this.store.weightOf(kind)) > this.maxWeight) {
        if (isStillWanted()) this.#giveUp(resource);
        return undefined;
      }
      const { objects, resourceVersion } = await this.store.list(kind, {});
      const cache = new KindCache(kind, objects, resourceVersion);
      for (const change of changes) cache.apply(change);
      if (!isStillWanted()) return await this.#load(kind);
      this.#kinds.set(resource, { state: 'Loaded', cache });
      return cache;
    } catch (error) {
      if (isStillWanted()) this.#kinds.delete(resource);
      throw error;
    }
  }

  #apply(changes: readonly Change[]): void {
    for (const change of changes) {
      const known = this.#kinds.get(change.resource);
      if (known?.state === 'Loading') known.changes.push(change);
      else if (known?.state === 'Loaded') {
        known.cache.apply(change);
        this.#makeRoom();
      }
    }
  }

  /** The heaviest goes, whichever grew last: what is small and read often stays. */
  #makeRoom(): void {
    while (this.#weight() > this.maxWeight) {
      const [first, ...others] = this.contents();
      if (!first) return;
      this.#giveUp(others.reduce((heaviest, other) => (other.weight > heaviest.weight ? other : heaviest), first).resource);
    }
  }

  #giveUp(resource: string): void {
    this.#logger.warn(`${resource} have become too many to be kept in memory; they are read from PostgreSQL`);
    this.#kinds.set(resource, { state: 'TooLarge', until: Date.now() + RETRY_LARGE_MS });
  }

  /** What is in memory now. */
  contents(): readonly { readonly resource: string; readonly objects: number; readonly weight: number }[] {
    return [...this.#kinds].flatMap(([resource, known]) => (known.state === 'Loaded' ? [{ resource, objects: known.cache.size, weight: known.cache.weight }] : []));
  }

  #weight(): number {
    let weight = 0;
    for (const known of this.#kinds.values()) if (known.state === 'Loaded') weight += known.cache.weight;
    return weight;
  }
}

const spaceOf = (kind: KindDefinition, namespace: string | undefined): string => (kind.scope === 'Namespaced' ? (namespace ?? '') : '');
