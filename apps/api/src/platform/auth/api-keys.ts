import { Inject, Injectable, Logger } from '@nestjs/common';
import { apiKeys, serviceAccountOf, toKubeTime, type ApiKey } from '@corral/contracts';
import { Database } from '../database/database.ts';
import type { ApiKeyDigest } from '../database/generated/client.ts';
import { PostgresStore } from '../database/postgres-store.ts';
import { isApiKeySecret } from './api-key-secret.ts';
import { hasExpired, type Credential, type CredentialRef } from './credential.ts';
import { digestOf } from './digest.ts';
import { LiveObjects } from './live-objects.ts';
import { StrangerLookups } from './stranger-lookups.ts';
import type { Authenticated } from './user.ts';

/** How exact the time of last use is, which keeps a busy key from being written at every request. */
const USE_RESOLUTION_MS = 60_000;
const MAX_CACHED = 10_000;
type Location = Pick<ApiKeyDigest, 'namespace' | 'name'>;
type KeyRef = CredentialRef & { readonly type: 'ApiKey' };

export const digestOfKey = (secret: string): string => Buffer.from(digestOf(secret)).toString('hex');

/** API keys as credentials: the object is the truth, so deleting it revokes the key, and a watch tells every process. */
@Injectable()
export class ApiKeys {
  readonly #logger = new Logger('ApiKeys');
  /** Where the key of a digest is; a key never moves. */
  readonly #locations = new Map<string, Location>();
  readonly #noted = new Map<string, number>();

  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(PostgresStore) private readonly store: PostgresStore,
    @Inject(LiveObjects) private readonly objects: LiveObjects,
    @Inject(StrangerLookups) private readonly strangers: StrangerLookups,
  ) {}

  /** Who shows this key; undefined when there is none such, or no longer. */
  async find(secret: string): Promise<Authenticated | undefined> {
    if (!isApiKeySecret(secret)) return undefined;
    const digest = digestOfKey(secret);
    const location = this.#locations.get(digest) ?? (await this.#locate(digest));
    const key = location && ((await this.objects.apiKey(location.namespace, location.name)) as ApiKey | undefined);
    if (key?.spec?.digest !== digest || !(await this.#isGood(key))) return undefined;
    const { spec, metadata } = key;
    const { owner } = spec;
    if (!owner) return undefined;
    this.#noteUse(key);
    const credential: Credential = {
      ref: { type: 'ApiKey', namespace: metadata.namespace ?? '', name: metadata.name, uid: metadata.uid },
      ...(spec.expiresAt === undefined ? {} : { expiresAt: spec.expiresAt }),
      scope: spec.scope,
    };
    return { identity: { name: owner.username, groups: owner.groups, ...(owner.uid === undefined ? {} : { uid: owner.uid }) }, credential };
  }

  /** Whether the key is still there and still good. */
  async isLive({ namespace, name, uid }: KeyRef): Promise<boolean> {
    const key = (await this.objects.apiKey(namespace, name)) as ApiKey | undefined;
    return key?.metadata.uid === uid && this.#isGood(key);
  }

  async #isGood({ metadata, spec }: ApiKey): Promise<boolean> {
    if (!spec || hasExpired(spec) || metadata.deletionTimestamp !== undefined) return false;
    const stoodFor = serviceAccountOf(spec.owner?.username ?? '');
    if (!stoodFor) return spec.serviceAccountName === undefined;
    // Rights of an account end with it; another account of the same name does not inherit the key.
    const account = await this.objects.account(stoodFor.namespace, stoodFor.name);
    return account !== undefined && account.metadata.deletionTimestamp === undefined && account.metadata.uid === spec.owner?.uid;
  }

  async #locate(digest: string): Promise<Location | undefined> {
    const location = await this.strangers.find(digest, async () => (await this.database.apiKeyDigest.findUnique({ where: { digest } })) ?? undefined);
    if (!location) return undefined;
    if (this.#locations.size >= MAX_CACHED) this.#locations.clear();
    this.#locations.set(digest, location);
    return location;
  }

  /** In the background: a request never waits for it, and a lost race means that another process noted the same. */
  #noteUse(key: ApiKey): void {
    const now = Date.now();
    const { uid } = key.metadata;
    const last = Math.max(this.#noted.get(uid) ?? 0, Date.parse(key.status?.lastUsedAt ?? '') || 0);
    if (now - last < USE_RESOLUTION_MS) return;
    if (this.#noted.size >= MAX_CACHED) this.#noted.clear();
    this.#noted.set(uid, now);
    const status = { ...key.status, lastUsedAt: toKubeTime(new Date(now)) };
    this.store.update(apiKeys, key, { ...key, status }).catch((error: unknown) => this.#logger.debug({ err: error }, 'The last use of a key was not noted'));
  }
}
