import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { z } from 'zod';
import { API_CONFIG, type ApiConfig } from '../config/api-config.ts';
import { Database } from '../database/database.ts';
import { type AccessToken, Prisma } from '../database/generated/client.ts';
import { NextAnswer } from '../database/next-answer.ts';
import { Sql } from '../database/sql.ts';
import { Credential, earlier } from './credential.ts';
import { digestOf, isRandomSecret, randomSecret } from './digest.ts';
import { NODE_BOOTSTRAP_GROUP, nodeUserName } from './node-authorizer.ts';
import { StrangerLookups } from './stranger-lookups.ts';
import { ADMIN_GROUP, NODES_GROUP, type Authenticated, type Identity } from './user.ts';

export const SESSION_LIFETIME_MS = 12 * 60 * 60_000;
/** A token revoked in another process works at most this long here. */
const CACHE_MS = 2_000;
const MAX_CACHED = 10_000;
/** What nobody has shown for this long is looked up anew. */
const IDLE_MS = 60_000;

type Found = Session & { readonly id: string; readonly kind: string };

/** Of a token that is there: what was not found is remembered elsewhere, so that made-up tokens push none of these out. */
interface Cached {
  readonly found: Found;
  until: number;
  usedAt: number;
}

/** A console session, and the credential it was begun with, which it does not outlive. */
export type Session = Authenticated & { readonly parent: Credential | undefined };

const GONE = 'SELECT held.id::text FROM unnest($1::uuid[]) AS held(id) WHERE NOT EXISTS (SELECT FROM access_tokens t WHERE t.id = held.id)';
const Gone = z.array(z.object({ id: z.string() }));

/**
 * The deployment's own tokens, and console sessions: stored as digests. Nothing of a token ever changes, so what was looked up
 * once is only asked about again: one question for all tokens in use, whose answer is those that are gone.
 */
@Injectable()
export class AccessTokens implements OnModuleInit {
  readonly #cache = new Map<string, Cached>();
  readonly #keysById = new Map<string, string>();
  readonly #lookups = new Map<string, Promise<Found | undefined>>();
  readonly #configured: ReadonlySet<string>;
  readonly #confirmation = new NextAnswer(() => this.#confirm());

  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(Sql) private readonly sql: Sql,
    @Inject(API_CONFIG) private readonly config: ApiConfig,
    @Inject(StrangerLookups) private readonly strangers: StrangerLookups,
  ) {
    this.#configured = new Set([config.adminToken, config.nodeToken].map((token) => keyOf(digestOf(token))));
  }

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
    for (const { id } of before) this.#forget(id);
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
    const held = this.#heldBy(id);
    if (held) {
      held.usedAt = Date.now();
      await this.#confirmation.get();
    }
    const found = this.#heldBy(id)?.found ?? (await this.#fetch({ id }));
    return found && !isOver(found) ? found : undefined;
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
    const row = await this.database.accessToken.findUnique({ where: { digest } });
    await this.database.accessToken.deleteMany({ where: { digest, kind: 'Session' } });
    this.#cache.delete(keyOf(digest));
    if (row) this.#forget(row.id);
    return row?.kind === 'Session' ? row.id : undefined;
  }

  /** One question for all requests that wait for its answer: a thousand nodes may share one token. */
  #lookUp(key: string, digest: Uint8Array<ArrayBuffer>): Promise<Found | undefined> {
    const lookup = this.strangers.find(key, () => this.#fetch({ digest })).finally(() => this.#lookups.delete(key));
    this.#lookups.set(key, lookup);
    return lookup;
  }

  /** From the database, and kept. */
  async #fetch(where: { readonly id: string } | { readonly digest: Uint8Array<ArrayBuffer> }): Promise<Found | undefined> {
    const askedAt = Date.now();
    const row = await this.database.accessToken.findUnique({ where });
    if (!row) return undefined;
    const found = { ...sessionOfRow(row), id: row.id, kind: row.kind };
    this.#keep(keyOf(row.digest), found, askedAt);
    return found;
  }

  #keep(key: string, found: Found, askedAt: number): void {
    if (this.#cache.size >= MAX_CACHED) {
      this.#cache.clear();
      this.#keysById.clear();
    }
    this.#cache.set(key, { found, until: askedAt + CACHE_MS, usedAt: askedAt });
    this.#keysById.set(found.id, key);
  }

  #heldBy(id: string): Cached | undefined {
    const key = this.#keysById.get(id);
    return key === undefined ? undefined : this.#cache.get(key);
  }

  #forget(id: string): void {
    const key = this.#keysById.get(id);
    if (key !== undefined) this.#cache.delete(key);
    this.#keysById.delete(id);
  }

  /** Forgets which of the tokens in use are gone; the others hold for a while. */
  async #confirm(): Promise<void> {
    const askedAt = Date.now();
    const asked: Cached[] = [];
    const ids: string[] = [];
    for (const [key, cached] of this.#cache) {
      if (cached.usedAt < askedAt - IDLE_MS) {
        this.#cache.delete(key);
        this.#keysById.delete(cached.found.id);
      } else {
        asked.push(cached);
        ids.push(cached.found.id);
      }
    }
    if (ids.length === 0) return;
    for (const { id } of Gone.parse(await this.sql.query({ name: 'corral-tokens-gone', text: GONE, values: [ids] }))) this.#forget(id);
    for (const cached of asked) cached.until = askedAt + CACHE_MS;
  }

  async #find(secret: string): Promise<Found | undefined> {
    const digest = digestOf(secret);
    const key = keyOf(digest);
    // What could be no token of ours is not worth a question.
    if (!isRandomSecret(secret) && !this.#configured.has(key)) return undefined;
    const now = Date.now();
    if ((this.#cache.get(key)?.until ?? now) < now) await this.#confirmation.get();
    const cached = this.#cache.get(key);
    if (cached) cached.usedAt = now;
    const found = cached && cached.until >= now ? cached.found : await (this.#lookups.get(key) ?? this.#lookUp(key, digest));
    return found && !isOver(found) ? found : undefined;
  }
}

const keyOf = (digest: Uint8Array): string => Buffer.from(digest).toString('base64');
const isOver = ({ credential: { expiresAt } }: Authenticated): boolean => expiresAt !== undefined && Date.parse(expiresAt) <= Date.now();

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
