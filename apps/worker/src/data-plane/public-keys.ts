import { createLocalJWKSet, errors, type CryptoKey, type FlattenedJWSInput, type JWSHeaderParameters } from 'jose';
import { z } from 'zod';

/** Keys that the API does not publish any more are given up after this long. */
const REFRESH_MS = 10 * 60_000;
/** Tokens with made-up key ids ask the API no more often than this. */
const MISSED_REFRESH_MS = 1_000;

/** Source: RFC 7517, 5. */
const JwkSet = z.object({ keys: z.array(z.looseObject({ kty: z.string(), kid: z.string() })).max(100) });

type Resolve = ReturnType<typeof createLocalJWKSet>;

export interface PublicKeysOptions {
  /** Asks the API for its key set. */
  fetch(): Promise<unknown>;
  /** Milliseconds that only go forward. */
  now(): number;
  onFailure(error: unknown): void;
}

/**
 * The keys the API signs with now, as last heard: a node that cannot reach the API goes on with what it has, and one that
 * meets a key it does not know asks first.
 */
export class PublicKeys {
  readonly #options: PublicKeysOptions;
  #resolve: Resolve | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;
  #loading: Promise<void> | undefined;

  constructor(options: PublicKeysOptions) {
    this.#options = options;
  }

  /** As jose asks for it. Throws JWKSNoMatchingKey when the API has no such key, and what `fetch` throws when it had to be asked. */
  readonly find = async (header: JWSHeaderParameters, token: FlattenedJWSInput): Promise<CryptoKey> => {
    const resolve = this.#resolve;
    if (!resolve) return (await this.#loaded())(header, token);
    if (this.#ageMs > REFRESH_MS) this.#load().catch((error: unknown) => this.#options.onFailure(error));
    try {
      return await resolve(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || (this.#ageMs < MISSED_REFRESH_MS && !this.#loading)) throw error;
      return (await this.#loaded())(header, token);
    }
  };

  get #ageMs(): number {
    return this.#options.now() - this.#askedAt;
  }

  async #loaded(): Promise<Resolve> {
    await this.#load();
    if (!this.#resolve) throw new Error('the keys that were just loaded are not there');
    return this.#resolve;
  }

  #load(): Promise<void> {
    this.#loading ??= this.#read().finally(() => (this.#loading = undefined));
    return this.#loading;
  }

  async #read(): Promise<void> {
    this.#askedAt = this.#options.now();
    this.#resolve = createLocalJWKSet(JwkSet.parse(await this.#options.fetch()));
  }
}
