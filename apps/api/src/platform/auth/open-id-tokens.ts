import { createHash } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { createRemoteJWKSet, errors, jwtVerify, type JWTPayload } from 'jose';
import { API_CONFIG, type ApiConfig } from '../config/api-config.ts';
import type { OpenIdConfig } from '../config/identity-config.ts';
import { OpenIdProvider, unreachable } from './open-id-provider.ts';
import { openIdIdentity } from './open-id-claims.ts';
import type { Authenticated } from './user.ts';

const CLOCK_SKEW_SECONDS = 30;
/** A key the provider just began to sign with is looked for at most this often, so that no forged `kid` makes us ask without end. */
const KEYS_COOLDOWN_MS = 10_000;
const KEYS_MAX_AGE_MS = 10 * 60_000;
const KEYS_TIMEOUT_MS = 5_000;

/** ID tokens of the OpenID provider as bearer tokens, which is how kubectl's OIDC plug-ins sign in. */
@Injectable()
export class OpenIdTokens {
  /** Undefined when people do not sign in by OpenID here. */
  readonly issuer: string | undefined;
  readonly #config: OpenIdConfig | undefined;
  #keys: { readonly url: string; readonly find: ReturnType<typeof createRemoteJWKSet> } | undefined;

  constructor(
    @Inject(API_CONFIG) config: ApiConfig,
    @Inject(OpenIdProvider) private readonly provider: OpenIdProvider,
  ) {
    this.#config = config.openId;
    this.issuer = config.openId?.issuer;
  }

  /** Who shows this token; undefined when it is not for us, not valid, or over. 503 while the issuer's keys cannot be read. */
  async find(token: string): Promise<Authenticated | undefined> {
    const config = this.#config;
    if (!config) return undefined;
    const keys = await this.#keySet();
    let payload: JWTPayload;
    try {
      ({ payload } = await jwtVerify(token, keys, {
        issuer: config.issuer,
        audience: [config.clientId, ...config.audiences],
        algorithms: [...config.algorithms],
        clockTolerance: CLOCK_SKEW_SECONDS,
        requiredClaims: ['exp', 'sub'],
      }));
    } catch (error) {
      if (isUnreachable(error)) throw unreachable(error);
      if (error instanceof errors.JOSEError) return undefined;
      throw unreachable(error);
    }
    const identity = openIdIdentity(config, payload);
    if (!identity || payload.exp === undefined) return undefined;
    const id = payload.jti ?? createHash('sha256').update(token).digest('hex').slice(0, 32);
    // A little late is not over, here as above.
    return { identity, credential: { ref: { type: 'OpenId', id }, expiresAt: new Date((payload.exp + CLOCK_SKEW_SECONDS) * 1000).toISOString() } };
  }

  async #keySet(): Promise<ReturnType<typeof createRemoteJWKSet>> {
    const url = await this.provider.keysUrl();
    if (this.#keys?.url !== url) {
      this.#keys = { url, find: createRemoteJWKSet(new URL(url), { cooldownDuration: KEYS_COOLDOWN_MS, cacheMaxAge: KEYS_MAX_AGE_MS, timeoutDuration: KEYS_TIMEOUT_MS }) };
    }
    return this.#keys.find;
  }
}

/** Of the errors of reading a key set, those that say nothing about the token. */
const isUnreachable = (error: unknown): boolean =>
  error instanceof errors.JWKSTimeout || (error instanceof errors.JOSEError && error.code === 'ERR_JOSE_GENERIC') || !(error instanceof errors.JOSEError);
