import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { API_CONFIG, type ApiConfig } from '../config/api-config.ts';
import { Database } from '../database/database.ts';
import { type AccessToken, Prisma } from '../database/generated/client.ts';
import { Credential, earlier } from './credential.ts';
import { digestOf, randomSecret } from './digest.ts';
import { NODE_BOOTSTRAP_GROUP, nodeUserName } from './node-authorizer.ts';
import { ADMIN_GROUP, NODES_GROUP, type Authenticated, type Identity } from './user.ts';

export const SESSION_LIFETIME_MS = 12 * 60 * 60_000;
/** A token revoked in another process works at most this long here. */
const CACHE_MS = 2_000;
const MAX_CACHED = 10_000;

interface Cached {
  readonly found: (Authenticated & { readonly kind: string; readonly parent: Credential | undefined }) | undefined;
  readonly until: number;
}

/** A console session, and the credential it was begun with, which it does not outlive. */
export type Session = Authenticated & { readonly parent: Credential | undefined };

/** The deployment's own tokens, and console sessions: stored as digests, looked up at every request. */
@Injectable()
export class AccessTokens implements OnModuleInit {
  readonly #cache = new Map<string, Cached>();
  readonly #lookups = new Map<string, Promise<Cached>>();

  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(API_CONFIG) private readonly config: ApiConfig,
  ) {}

  /** The deployment's own two tokens are what the configuration says now, and no longer what it said before. */
  async onModuleInit(): Promise<void> {
    const configured = [
      { token: this.config.adminToken, userName: 'system:admin', groups: [ADMIN_GROUP] },
      { token: this.config.nodeToken, userName: 'system:node', groups: [NODE_BOOTSTRAP_GROUP] },
    ].map(({ token, ...rest }) => ({ digest: digestOf(token), kind: 'Configured', ...rest }));
    await this.database.accessToken.deleteMany({ where: { kind: 'Configured', digest: { notIn: configured.map(({ digest }) => digest) } } });
    for (const row of configured) {
      await this.database.accessToken.upsert({ where: { digest: row.digest }, create: row, update: row });
    }
    await this.database.accessToken.deleteMany({ where: { expiresAt: { lt: new Date() } } });
  }

  /** A token of this node, and the ids of those it had before, which are good for nothing any more. */
  async createForNode(nodeName: string): Promise<{ readonly secret: string; readonly ended: readonly string[] }> {
    const secret = randomSecret();
    const userName = nodeUserName(nodeName);
    const [before] = await this.database.$transaction([
      this.database.accessToken.findMany({ where: { kind: 'Node', userName } }),
      this.database.accessToken.deleteMany({ where: { kind: 'Node', userName } }),
      this.database.accessToken.create({ data: { digest: digestOf(secret), kind: 'Node', userName, groups: [NODES_GROUP] } }),
    ]);
    for (const { digest } of before) this.#cache.delete(keyOf(digest));
    return { secret, ended: before.map(({ id }) => id) };
  }

  /** Whose configured token this is, or which node's. */
  async findToken(secret: string): Promise<Authenticated | undefined> {
    const found = await this.#find(secret);
    return found?.kind === 'Configured' || found?.kind === 'Node' ? found : undefined;
  }

  /** The session of this cookie; undefined when there is none, or no longer. Whether its parent still holds is not looked at. */
  async findSession(secret: string): Promise<Session | undefined> {
    const found = await this.#find(secret);
    return found?.kind === 'Session' ? found : undefined;
  }

  /** The session or configured token of this id, as it is now. */
  async findById(id: string): Promise<Session | undefined> {
    const row = await this.database.accessToken.findUnique({ where: { id } });
    return row && !isOver(row) ? sessionOfRow(row) : undefined;
  }

  /** Begins a console session; the secret is in the answer and nowhere else. It ends with the credential it was begun with. */
  async createSession({ name, groups }: Identity, parent: Credential | undefined): Promise<{ readonly secret: string; readonly expiresAt: Date }> {
    const secret = randomSecret();
    const expiresAt = earlier(new Date(Date.now() + SESSION_LIFETIME_MS), parent?.expiresAt);
    const data = { digest: digestOf(secret), kind: 'Session', userName: name, groups: [...groups], credential: parent ?? Prisma.DbNull, expiresAt };
    await this.database.accessToken.create({ data });
    return { secret, expiresAt };
  }

  /** Says which session it was. */
  async endSession(secret: string): Promise<string | undefined> {
    const digest = digestOf(secret);
    this.#cache.delete(keyOf(digest));
    const row = await this.database.accessToken.findUnique({ where: { digest } });
    await this.database.accessToken.deleteMany({ where: { digest, kind: 'Session' } });
    return row?.kind === 'Session' ? row.id : undefined;
  }

  /** One question for all requests that wait for its answer: a thousand nodes share one token. */
  #lookUp(key: string, digest: Uint8Array<ArrayBuffer>): Promise<Cached> {
    const lookup = (async () => {
      try {
        const row = await this.database.accessToken.findUnique({ where: { digest } });
        const cached: Cached = { found: row ? { ...sessionOfRow(row), kind: row.kind } : undefined, until: Date.now() + CACHE_MS };
        if (this.#cache.size >= MAX_CACHED) this.#cache.clear();
        this.#cache.set(key, cached);
        return cached;
      } finally {
        this.#lookups.delete(key);
      }
    })();
    this.#lookups.set(key, lookup);
    return lookup;
  }

  async #find(secret: string): Promise<Cached['found']> {
    const digest = digestOf(secret);
    const key = keyOf(digest);
    const now = Date.now();
    let cached = this.#cache.get(key);
    if (!cached || cached.until < now) {
      cached = await (this.#lookups.get(key) ?? this.#lookUp(key, digest));
    }
    const { found } = cached;
    const expiresAt = found?.credential.expiresAt;
    return expiresAt !== undefined && Date.parse(expiresAt) <= now ? undefined : found;
  }
}

const keyOf = (digest: Uint8Array): string => Buffer.from(digest).toString('base64');
const isOver = ({ expiresAt }: AccessToken): boolean => expiresAt !== null && expiresAt.getTime() <= Date.now();

function sessionOfRow({ id, kind, userName, groups, expiresAt, credential }: AccessToken): Session {
  const parent = Credential.safeParse(credential).data;
  return {
    identity: { name: userName, groups },
    parent,
    credential: {
      ref: { type: kind === 'Session' ? 'Session' : 'Configured', id },
      ...(expiresAt === null ? {} : { expiresAt: expiresAt.toISOString() }),
      ...(parent?.scope ? { scope: parent.scope } : {}),
    },
  };
}
