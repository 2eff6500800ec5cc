import type { OpenIdConfig } from '../config/identity-config.ts';
import type { Identity } from './user.ts';

type Claims = Readonly<Record<string, unknown>>;
type Mapping = Pick<OpenIdConfig, 'usernameClaim' | 'usernamePrefix' | 'groupsClaim' | 'groupsPrefix' | 'requiredClaims'>;

/** Names Corral gives itself: no provider may hand them out, whatever its prefix. */
const RESERVED = 'system:';

/**
 * Who the claims of a verified token say it is; undefined when a required claim is missing or another, or there is no
 * usable name. Source of the rules: kube-apiserver, --oidc-*: an e-mail address counts only when the provider verified it.
 */
export function openIdIdentity(config: Mapping, claims: Claims): Identity | undefined {
  for (const [claim, value] of Object.entries(config.requiredClaims)) if (claims[claim] !== value) return undefined;
  const name = claims[config.usernameClaim];
  if (typeof name !== 'string' || name === '') return undefined;
  if (config.usernameClaim === 'email' && 'email_verified' in claims && claims['email_verified'] !== true) return undefined;
  const userName = `${config.usernamePrefix}${name}`;
  if (userName.startsWith(RESERVED)) return undefined;
  const groups = groupsOf(claims[config.groupsClaim]).map((group) => `${config.groupsPrefix}${group}`);
  return { name: userName, groups: groups.filter((group) => !group.startsWith(RESERVED)) };
}

/** One group may come as a string. */
function groupsOf(claim: unknown): string[] {
  if (typeof claim === 'string') return claim === '' ? [] : [claim];
  return Array.isArray(claim) ? claim.filter((group): group is string => typeof group === 'string' && group !== '') : [];
}
