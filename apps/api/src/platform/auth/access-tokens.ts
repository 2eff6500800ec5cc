import { Inject, Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { API_CONFIG, type ApiConfig } from '../config/api-config.ts';
import { Database } from '../database/database.ts';
import { digestOf, randomSecret } from './digest.ts';
import { ADMIN_GROUP, NODES_GROUP, type User } from './user.ts';

export const SESSION_LIFETIME_MS = 12 * 60 * 60_000;
/** A token revoked in another process works at most this long here. */
const CACHE_MS = 4_000;
const MAX_CACHED = 10_000;

type Identity = Pick<User, 'name' | 'groups'>;
interface Cached {
  readonly identity: (Identity & { readonly isSession: boolean; readonly expiresAt: Date | undefined }) | undefined;
  readonly until: number;
}

/** Bearer tokens and console sessions: stored as digests, looked up at every request. */
@Injectable()
export class AccessTokens implements OnModuleInit {
  readonly #logger = new Logger(AccessTokens.name);
  readonly #cache = new Map<string, Cached>();

  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(API_CONFIG) private readonly config: ApiConfig,
  ) {}

  /** The deployment's own two tokens are what the configuration says now, and no longer what it said before. */
  async onModuleInit(): Promise<void> {
    const configured = [
      { token: this.config.adminToken, userName: 'system:admin', groups: [ADMIN_GROUP] },
      { token: this.config.nodeToken, userName: 'system:node', groups: [NODES_GROUP] },
    ].map(({ token, ...rest }) => ({ digest: digestOf(token), kind: 'Configured', ...rest }));
    await this.database.accessToken.deleteMany({ where: { kind: 'Configured', digest: { notIn: configured.map(({ digest }) => digest) } } });
    for (const row of configured) {
      await this.database.accessToken.upsert({ where: { digest: row.digest }, create: row, update: row });
    }
    await this.database.accessToken.deleteMany({ where: { expiresAt: { lt: new Date() } } });
    this.#logger.debug('Configured tokens are in place');
  }

  /** Who holds this secret; undefined when nobody does, or no longer. */
  async find(secret: string, kind: 'Token' | 'Session'): Promise<(Identity & { readonly expiresAt: Date | undefined }) | undefined> {
    const digest = digestOf(secret);
    const key = Buffer.from(digest).toString('base64');
    const now = Date.now();
    let cached = this.#cache.get(key);
    if (!cached || cached.until < now) {
      const row = await this.database.accessToken.findUnique({ where: { digest } });
      cached = {
        identity: row ? { name: row.userName, groups: row.groups, isSession: row.kind === 'Session', expiresAt: row.expiresAt ?? undefined } : undefined,
        until: now + CACHE_MS,
      };
      if (this.#cache.size >= MAX_CACHED) this.#cache.clear();
      this.#cache.set(key, cached);
    }
    const { identity } = cached;
    if (!identity || (identity.expiresAt && identity.expiresAt.getTime() < now)) return undefined;
    return identity.isSession === (kind === 'Session') ? identity : undefined;
  }

  /** Begins a console session; the secret is in the answer and nowhere else. */
  async createSession(user: Identity): Promise<{ readonly secret: string; readonly expiresAt: Date }> {
    const secret = randomSecret();
    const expiresAt = new Date(Date.now() + SESSION_LIFETIME_MS);
    await this.database.accessToken.create({ data: { digest: digestOf(secret), kind: 'Session', userName: user.name, groups: [...user.groups], expiresAt } });
    return { secret, expiresAt };
  }

  async endSession(secret: string): Promise<void> {
    const digest = digestOf(secret);
    this.#cache.delete(Buffer.from(digest).toString('base64'));
    await this.database.accessToken.deleteMany({ where: { digest, kind: 'Session' } });
  }
}
