import { Inject, Injectable } from '@nestjs/common';
import { assertNever } from '@corral/base';
import { decodeJwt } from 'jose';
import { AccessTokens, type Session } from './access-tokens.ts';
import { ApiKeys } from './api-keys.ts';
import { looksLikeApiKey } from './api-key-secret.ts';
import { hasExpired, type Credential } from './credential.ts';
import { OpenIdTokens } from './open-id-tokens.ts';
import { ServiceAccountTokens } from './service-account-tokens.ts';
import type { Authenticated } from './user.ts';

/** Every way to prove who one is, and whether the proof still holds. */
@Injectable()
export class Credentials {
  constructor(
    @Inject(AccessTokens) private readonly tokens: AccessTokens,
    @Inject(ApiKeys) private readonly apiKeys: ApiKeys,
    @Inject(ServiceAccountTokens) private readonly accounts: ServiceAccountTokens,
    @Inject(OpenIdTokens) private readonly openId: OpenIdTokens,
  ) {}

  /**
   * Who shows this bearer token; undefined when nobody does, or no longer. A token only its issuer can vouch for is
   * refused with `dependency.unavailable` while the issuer cannot be reached.
   */
  async authenticate(bearer: string): Promise<Authenticated | undefined> {
    if (looksLikeApiKey(bearer)) return this.apiKeys.find(bearer);
    const issuer = issuerOf(bearer);
    if (issuer !== undefined && issuer === this.accounts.issuer) return this.accounts.find(bearer);
    if (issuer !== undefined && issuer === this.openId.issuer) return this.openId.find(bearer);
    return this.tokens.findToken(bearer);
  }

  /** The session of this cookie, if it and what it was begun with still hold. */
  async session(secret: string): Promise<Session | undefined> {
    const session = await this.tokens.findSession(secret);
    return session && (session.parent === undefined || (await this.isValid(session.parent))) ? session : undefined;
  }

  /** Whether what was shown then is still good now. */
  async isValid(credential: Credential): Promise<boolean> {
    if (hasExpired(credential)) return false;
    const { ref } = credential;
    switch (ref.type) {
      case 'Configured':
        return (await this.tokens.findById(ref.id)) !== undefined;
      case 'Session': {
        const session = await this.tokens.findById(ref.id);
        return session !== undefined && (session.parent === undefined || this.isValid(session.parent));
      }
      case 'ApiKey':
        return this.apiKeys.isLive(ref);
      case 'ServiceAccountToken':
        return this.accounts.isLive(ref);
      case 'OpenId':
        return true;
      default:
        return assertNever(ref, 'credential');
    }
  }
}

/** Who claims to have issued it: nothing is believed before the signature was checked. */
function issuerOf(token: string): string | undefined {
  if (token.split('.').length !== 3) return undefined;
  try {
    return decodeJwt(token).iss;
  } catch {
    return undefined;
  }
}
