import { Logger, type BeforeApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { Selection, type Store } from '@corral/api-machinery';
import { Problem, qualifiedResource, type KindDefinition, type KubeObject } from '@corral/contracts';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Watches } from '../resources/watches.ts';

const BOOKMARK_EVERY_MS = 60_000;
const RETRY_MS = 500;
const SYNC_DEADLINE_MS = 10_000;

/**
 * Every object of a kind that rules a namespace, by namespace, as last heard of: it keeps writes in namespaces without any
 * as cheap as if there were none. It may be stale.
 */
export class NamespaceRules<T extends KubeObject> implements OnModuleInit, BeforeApplicationShutdown {
  readonly #logger = new Logger('NamespaceRules');
  readonly #abort = new AbortController();
  readonly #namespaces = new Map<string, Map<string, T>>();
  readonly #synced = Promise.withResolvers<undefined>();
  #hasSynced = false;
  #running: Promise<void> = Promise.resolve();

  constructor(
    private readonly kind: KindDefinition,
    private readonly watches: Watches,
    private readonly store: Pick<Store, 'list'>,
  ) {}

  onModuleInit(): void {
    this.#running = this.#run(this.#abort.signal);
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  get resource(): string {
    return qualifiedResource(this.kind);
  }

  /** Those of one namespace. */
  async of(namespace: string): Promise<readonly T[]> {
    if (!this.#hasSynced) await this.#firstList();
    const found = this.#namespaces.get(namespace);
    return found === undefined ? NONE : [...found.values()];
  }

  /** Reads those of one namespace anew. */
  async refresh(namespace: string): Promise<readonly T[]> {
    const { objects, resourceVersion } = await this.store.list(this.kind, { namespace });
    const listed = new Set(objects.map(({ metadata }) => metadata.name));
    for (const one of await this.of(namespace)) {
      if (!listed.has(one.metadata.name) && Number(one.metadata.resourceVersion) <= resourceVersion) this.#remove(one);
    }
    for (const one of objects) this.observe(one);
    return objects as readonly T[];
  }

  /** Takes in what this process wrote, before the watch tells. */
  observe(object: KubeObject): void {
    const { namespace = '', name, resourceVersion } = object.metadata;
    const found = this.#namespaces.get(namespace) ?? new Map<string, T>();
    const known = found.get(name);
    if (known && Number(known.metadata.resourceVersion) >= Number(resourceVersion)) return;
    found.set(name, object as T);
    this.#namespaces.set(namespace, found);
  }

  forget(object: KubeObject): void {
    this.#remove(object);
  }

  #remove({ metadata: { namespace = '', name, resourceVersion } }: KubeObject): void {
    const found = this.#namespaces.get(namespace);
    const known = found?.get(name);
    if (!found || !known || Number(known.metadata.resourceVersion) > Number(resourceVersion)) return;
    found.delete(name);
    if (found.size === 0) this.#namespaces.delete(namespace);
  }

  async #firstList(): Promise<void> {
    const late = new AbortController();
    const deadline = sleep(SYNC_DEADLINE_MS, undefined, { signal: late.signal }).then(
      () => Promise.reject(new Problem('dependency.unavailable', `the ${this.kind.plural} are not known yet; try again`, { details: { retryAfterSeconds: 1 } })),
      () => undefined,
    );
    await Promise.race([this.#synced.promise, deadline]).finally(() => late.abort());
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#follow(signal).catch((error: unknown) => {
        if (!signal.aborted) this.#logger.warn({ err: error }, `Following ${this.kind.plural} failed; trying again`);
      });
      await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const existing = new Set<string>();
    let isInitial = true;
    const options = { start: { from: 'Existing' }, marksInitialEnd: true, bookmarkEveryMs: BOOKMARK_EVERY_MS, signal } as const;
    for await (const item of this.watches.watch(new Selection(this.kind, {}), options)) {
      if (item.type === 'Event') {
        if (isInitial) existing.add(item.event.object.metadata.uid);
        if (item.event.type === 'DELETED') this.#remove(item.event.object);
        else this.observe(item.event.object);
      } else if (item.isInitialEnd) {
        isInitial = false;
        this.#keepOnly(existing, item.resourceVersion);
        this.#hasSynced = true;
        this.#synced.resolve(undefined);
      }
    }
  }

  /** What was deleted while nobody followed. */
  #keepOnly(existing: ReadonlySet<string>, at: number): void {
    const known = [...this.#namespaces.values()].flatMap((found) => [...found.values()]);
    for (const one of known) {
      if (!existing.has(one.metadata.uid) && Number(one.metadata.resourceVersion) <= at) this.#remove(one);
    }
  }
}

const NONE: readonly never[] = [];
