import { Inject, Injectable, Logger } from '@nestjs/common';
import { Problem } from '@corral/contracts';
import {
  allowInsecureRequests, authorizationCodeGrant, buildAuthorizationUrl, calculatePKCECodeChallenge, ClientSecretPost, discovery, None, randomNonce,
  randomPKCECodeVerifier, randomState, type Configuration, type IDToken,
} from 'openid-client';
import { API_CONFIG, type ApiConfig } from '../config/api-config.ts';

const TIMEOUT_SECONDS = 5;
/** After a failure the provider is left alone this long: every request would wait for it otherwise. */
const COOLDOWN_MS = 3_000;
const RETRY_AFTER_SECONDS = 5;
const MAX_AGE_MS = 60 * 60_000;

/** What has to be the same when the browser comes back. */
export interface SignInChecks {
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
}

/** The OpenID provider: its discovery document, read when first needed, and its sign-in with code, PKCE, state and nonce. */
@Injectable()
export class OpenIdProvider {
  readonly #logger = new Logger('OpenID');
  #discovered: { readonly configuration: Promise<Configuration>; readonly until: number } | undefined;

  constructor(@Inject(API_CONFIG) private readonly config: ApiConfig) {}

  get isConfigured(): boolean {
    return this.config.openId !== undefined;
  }

  async keysUrl(): Promise<string> {
    const { jwks_uri: url } = (await this.#configuration()).serverMetadata();
    if (url === undefined) throw unreachable(new Error('the discovery document names no jwks_uri'));
    return url;
  }

  /** Where to send the browser. */
  async begin(redirectUrl: string): Promise<{ readonly url: URL; readonly checks: SignInChecks }> {
    const configuration = await this.#configuration();
    const checks = { state: randomState(), nonce: randomNonce(), verifier: randomPKCECodeVerifier() };
    const url = buildAuthorizationUrl(configuration, {
      redirect_uri: redirectUrl,
      scope: this.config.openId?.scopes ?? 'openid',
      state: checks.state,
      nonce: checks.nonce,
      code_challenge: await calculatePKCECodeChallenge(checks.verifier),
      code_challenge_method: 'S256',
    });
    return { url, checks };
  }

  /** What the provider says of who came back at `url`; undefined when it refused, or anything does not match. */
  async finish(url: URL, { state, nonce, verifier }: SignInChecks): Promise<IDToken | undefined> {
    const configuration = await this.#configuration();
    try {
      const tokens = await authorizationCodeGrant(configuration, url, { expectedState: state, expectedNonce: nonce, pkceCodeVerifier: verifier, idTokenExpected: true });
      return tokens.claims();
    } catch (error) {
      if (isNetworkError(error)) throw unreachable(error);
      this.#logger.warn({ err: error }, 'A sign-in was refused');
      return undefined;
    }
  }

  async #configuration(): Promise<Configuration> {
    const now = Date.now();
    if (!this.#discovered || this.#discovered.until <= now) {
      const configuration = this.#discover();
      this.#discovered = { configuration, until: now + MAX_AGE_MS };
      configuration.catch((error: unknown) => {
        this.#logger.warn({ err: error }, 'The OpenID provider cannot be read');
        this.#discovered = { configuration, until: Date.now() + COOLDOWN_MS };
      });
    }
    return this.#discovered.configuration.catch((error: unknown) => {
      throw unreachable(error);
    });
  }

  async #discover(): Promise<Configuration> {
    const { openId } = this.config;
    if (!openId) throw new Error('no OpenID provider is configured');
    const authentication = openId.clientSecret === undefined ? None() : ClientSecretPost(openId.clientSecret);
    // Only a loopback issuer may be without TLS; the configuration refuses others.
    const execute = openId.issuer.startsWith('http:') ? [allowInsecureRequests] : [];
    return discovery(new URL(openId.issuer), openId.clientId, undefined, authentication, { execute, timeout: TIMEOUT_SECONDS });
  }
}

const isNetworkError = (error: unknown): boolean =>
  error instanceof Error && ((error instanceof TypeError && error.message === 'fetch failed') || ('code' in error && error.code === 'OAUTH_TIMEOUT'));

export function unreachable(cause: unknown): Problem {
  if (cause instanceof Problem) return cause;
  return new Problem('dependency.unavailable', 'the OpenID provider cannot be reached, so its tokens cannot be checked now; other credentials go on working', {
    cause,
    details: { retryAfterSeconds: RETRY_AFTER_SECONDS },
  });
}
