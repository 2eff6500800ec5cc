import { createHmac } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { DATA_PLANE_TOKEN_ALGORITHM } from '@corral/contracts';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type CryptoKey, type JWK } from 'jose';
import { z } from 'zod';
import { Database } from '../database/database.ts';

export const SIGNING_ALGORITHM = DATA_PLANE_TOKEN_ALGORITHM;
/** A key signs this long; then another is made. */
const SIGNS_MS = 90 * 86_400_000;
/** The longest a token may live; its key is kept until no token can hang on it. */
export const MAX_TOKEN_SECONDS = 365 * 86_400;
const KEPT_MS = SIGNS_MS + MAX_TOKEN_SECONDS * 1000;
const RELOAD_MS = 60_000;
/** A key another process just made is looked for this soon. */
const MISSED_RELOAD_MS = 2_000;
/** Whoever asks for the public keys may have met one that another process just made. */
const PUBLISHED_RELOAD_MS = 250;

const PrivateJwk = z.object({ kty: z.literal('EC'), crv: z.string(), x: z.string(), y: z.string(), d: z.string() });

interface SigningKey {
  readonly id: string;
  readonly createdAt: Date;
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
  readonly publicJwk: JWK;
  /** A secret for this use alone: whoever learns it learns neither the key nor another use's. */
  secretFor(use: string): Buffer;
}

/** The keys tokens of service accounts and of the data plane are signed with: in the database, made when there is none, changed every 90 days. */
@Injectable()
export class SigningKeys {
  #keys: readonly SigningKey[] = [];
  #loadedAt = Number.NEGATIVE_INFINITY;
  #loading: Promise<void> | undefined;
  #creating: Promise<void> | undefined;

  constructor(@Inject(Database) private readonly database: Database) {}

  /** The key to sign with now. */
  async current(): Promise<SigningKey> {
    await this.#load(RELOAD_MS);
    const [newest] = this.#keys;
    if (newest && Date.now() - newest.createdAt.getTime() < SIGNS_MS) return newest;
    // Together: those who come first would each sign with a key that the others' readers do not know yet.
    await (this.#creating ??= this.#create().finally(() => (this.#creating = undefined)));
    await this.#load(0);
    const [made] = this.#keys;
    if (!made) throw new Error('the signing key that was just stored is not there');
    return made;
  }

  /** The key of this id, for verifying; undefined when there is no such key, or no longer. */
  async find(id: string): Promise<SigningKey | undefined> {
    await this.#load(RELOAD_MS);
    if (!this.#keys.some((key) => key.id === id)) await this.#load(MISSED_RELOAD_MS);
    return this.#keys.find((key) => key.id === id);
  }

  /** For whoever verifies tokens elsewhere. Source: RFC 7517. */
  async publicKeys(): Promise<readonly JWK[]> {
    await this.#load(PUBLISHED_RELOAD_MS);
    await this.current();
    return this.#keys.map(({ publicJwk }) => publicJwk);
  }

  async #create(): Promise<void> {
    const { privateKey } = await generateKeyPair(SIGNING_ALGORITHM, { extractable: true });
    const jwk = PrivateJwk.parse(await exportJWK(privateKey));
    await this.database.signingKey.create({ data: { id: await calculateJwkThumbprint(jwk), privateKey: jwk } });
    await this.database.signingKey.deleteMany({ where: { createdAt: { lt: new Date(Date.now() - KEPT_MS) } } });
  }

  async #load(maxAgeMs: number): Promise<void> {
    if (Date.now() - this.#loadedAt < maxAgeMs) return;
    this.#loading ??= this.#read().finally(() => (this.#loading = undefined));
    await this.#loading;
  }

  async #read(): Promise<void> {
    const rows = await this.database.signingKey.findMany({ orderBy: [{ createdAt: 'desc' }, { id: 'asc' }] });
    this.#keys = await Promise.all(rows.map(async ({ id, privateKey, createdAt }) => keyOf(id, PrivateJwk.parse(privateKey), createdAt)));
    this.#loadedAt = Date.now();
  }
}

async function keyOf(id: string, jwk: z.output<typeof PrivateJwk>, createdAt: Date): Promise<SigningKey> {
  const { d: _private, ...open } = jwk;
  const publicJwk: JWK = { ...open, kid: id, alg: SIGNING_ALGORITHM, use: 'sig' };
  const [privateKey, publicKey] = await Promise.all([importJWK(jwk, SIGNING_ALGORITHM), importJWK(publicJwk, SIGNING_ALGORITHM)]);
  if (privateKey instanceof Uint8Array || publicKey instanceof Uint8Array) throw new TypeError('a signing key must be an elliptic curve key');
  return { id, createdAt, privateKey, publicKey, publicJwk, secretFor: (use) => createHmac('sha256', jwk.d).update(use).digest() };
}
