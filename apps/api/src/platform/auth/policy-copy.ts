import { setTimeout as pause } from 'node:timers/promises';
import { AccessPolicy } from '@corral/access-control';
import type { Change, StoredPage } from '@corral/api-machinery';
import { clusterRoleBindings, clusterRoles, Problem, qualifiedResource, roleBindings, roles } from '@corral/contracts';
import { Inject, Injectable, Logger, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { ChangeFeed } from '../database/change-feed.ts';
import { PostgresStore } from '../database/postgres-store.ts';

const KINDS = [roles, roleBindings, clusterRoles, clusterRoleBindings];
const RETRY_MS = 500;
const RETRY_AFTER_S = 1;

/** A policy as it was listed, and from which version of each kind on the feed has news for it. */
class Copy {
  readonly policy = new AccessPolicy();
  readonly #listedAt = new Map<string, number>();

  fill(resource: string, { objects, resourceVersion }: StoredPage): void {
    for (const object of objects) this.policy.apply({ type: 'ADDED', resource, object, previous: undefined });
    this.#listedAt.set(resource, resourceVersion);
  }

  /** Whether any of them was about roles or bindings. */
  take(changes: readonly Change[]): boolean {
    const news = changes.filter(({ resource, resourceVersion }) => resourceVersion > (this.#listedAt.get(resource) ?? Infinity));
    for (const change of news) this.policy.apply(change);
    return news.length > 0;
  }
}

/**
 * Every role and binding in this process's memory: filled from the store, kept up by the change feed. Whoever asks before
 * it is filled is refused; a copy that lost track of the feed decides as before until a new one is full.
 */
@Injectable()
export class PolicyCopy implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #logger = new Logger('AccessPolicy');
  readonly #stop = new AbortController();
  #current: Copy | undefined;
  #version = 0;
  /** What was heard of while a new copy is being filled. */
  #heard: Change[] | undefined;

  constructor(
    @Inject(PostgresStore) private readonly store: PostgresStore,
    @Inject(ChangeFeed) private readonly feed: ChangeFeed,
  ) {
    feed.follow({
      changed: (changes) => {
        if (this.#current?.take(changes)) this.#version += 1;
        this.#heard?.push(...changes);
      },
      missed: () => void this.#fill(),
    });
  }

  /** The policy as it is known now; refuses with 503 while nothing is known. */
  get policy(): AccessPolicy {
    if (this.#current) return this.#current.policy;
    throw new Problem('dependency.unavailable', 'roles and bindings have not been read yet; try again', { details: { retryAfterSeconds: RETRY_AFTER_S } });
  }

  /** Another number after every change: what was decided is decided the same way as long as it stays. */
  get version(): number {
    return this.#version;
  }

  /** Nothing is served before the first attempt to fill it. */
  async onApplicationBootstrap(): Promise<void> {
    await new Promise<void>((resolve) => void this.#fill(resolve));
  }

  beforeApplicationShutdown(): void {
    this.#stop.abort();
  }

  /** Takes in everything written so far, so that who changed a right sees it changed in the next request. */
  async catchUp(): Promise<void> {
    await this.feed.reached(await this.store.currentVersion());
  }

  async #fill(tried: () => void = () => undefined): Promise<void> {
    const heard: Change[] = [];
    this.#heard = heard;
    // Until it is full, or something was missed once more and another copy is being filled.
    while (this.#heard === heard && !this.#stop.signal.aborted) {
      try {
        const copy = await this.#read();
        if (this.#heard !== heard) break;
        copy.take(heard);
        this.#current = copy;
        this.#version += 1;
        this.#heard = undefined;
      } catch (error) {
        tried();
        this.#logger.warn({ err: error }, 'Roles and bindings could not be read; trying again');
        await pause(RETRY_MS, undefined, { signal: this.#stop.signal }).catch(() => undefined);
      }
    }
    tried();
  }

  async #read(): Promise<Copy> {
    const copy = new Copy();
    for (const kind of KINDS) copy.fill(qualifiedResource(kind), await this.store.list(kind, {}));
    return copy;
  }
}
