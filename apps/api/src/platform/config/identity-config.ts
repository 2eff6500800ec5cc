import { z } from 'zod';
import { isNetwork } from '../http/address-policy.ts';

/** An empty variable is one that is not set. */
const optional = <T extends z.ZodType>(schema: T) => z.preprocess((value) => (value === '' ? undefined : value), schema.optional());
const withDefault = (value: string) => z.preprocess((text) => (text === '' ? undefined : text), z.string().default(value));
const list = (text: string): string[] => text.split(',').map((item) => item.trim()).filter((item) => item !== '');
const words = (value = '') => withDefault(value).pipe(z.string().transform(list));

const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'] as const;
const LOOPBACK = ['127.0.0.1', '[::1]', 'localhost'];

function isIssuer(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, search, hash } = new URL(text);
  return search === '' && hash === '' && (protocol === 'https:' || (protocol === 'http:' && LOOPBACK.includes(hostname)));
}

const claimValues = (text: string): Record<string, string> => Object.fromEntries(list(text).map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]));

/** Who people and programs are, and what is remembered of what they did. */
export const IDENTITY_ENV = {
  /** Set: people sign in with this OpenID provider. */
  CORRAL_OIDC_ISSUER: optional(z.string().refine(isIssuer, 'must be the https:// URL of an OpenID issuer (http:// only on this machine)')),
  CORRAL_OIDC_CLIENT_ID: optional(z.string()),
  /** Absent: a public client. PKCE is used either way. */
  CORRAL_OIDC_CLIENT_SECRET: optional(z.string()),
  /** Further audiences whose tokens are taken, e.g. that of kubectl's own client. */
  CORRAL_OIDC_AUDIENCES: words(),
  CORRAL_OIDC_SCOPES: withDefault('openid profile email'),
  CORRAL_OIDC_USERNAME_CLAIM: withDefault('sub'),
  /** Before every name the provider gives; `-` is none. */
  CORRAL_OIDC_USERNAME_PREFIX: withDefault('oidc:'),
  CORRAL_OIDC_GROUPS_CLAIM: withDefault('groups'),
  CORRAL_OIDC_GROUPS_PREFIX: withDefault('oidc:'),
  /** `claim=value,…` that a token must have. */
  CORRAL_OIDC_REQUIRED_CLAIMS: withDefault('').pipe(
    z.string().refine((text) => list(text).every((pair) => /^[^=]+=./.test(pair)), 'must be claim=value pairs, separated by commas').transform(claimValues),
  ),
  CORRAL_OIDC_SIGNING_ALGORITHMS: words('RS256,ES256,EdDSA').pipe(z.array(z.enum(ALGORITHMS, `must be some of ${ALGORITHMS.join(', ')}`)).min(1)),
  /** Where browsers reach the console, when the server cannot tell from their requests. */
  CORRAL_PUBLIC_URL: optional(z.url({ protocol: /^https?$/, error: 'must be an http(s) URL' })),
  /** Issuer and default audience of service accounts' tokens. */
  CORRAL_SERVICE_ACCOUNT_ISSUER: withDefault('https://kubernetes.default.svc.cluster.local'),
  /** How long the audit log remembers. */
  CORRAL_AUDIT_RETENTION_DAYS: z.preprocess((value) => (value === '' ? undefined : value), z.coerce.number('must be a number of days').int().min(1).max(3650).default(90)),
  /** Proxies whose `X-Forwarded-For` is believed, e.g. `10.0.0.0/8`. */
  CORRAL_TRUSTED_PROXIES: words().refine((networks) => networks.every(isNetwork), 'must be addresses or networks such as 10.1.0.0/16, separated by commas'),
};

const IdentityEnv = z.object(IDENTITY_ENV);
type IdentityEnv = z.output<typeof IdentityEnv>;

/** Variables that make sense together only. */
export function requireWholeOpenId(env: Pick<IdentityEnv, 'CORRAL_OIDC_ISSUER' | 'CORRAL_OIDC_CLIENT_ID'>, context: z.core.$RefinementCtx): void {
  const pair = ['CORRAL_OIDC_ISSUER', 'CORRAL_OIDC_CLIENT_ID'] as const;
  const missing = pair.filter((name) => env[name] === undefined);
  if (missing.length !== 1) return;
  context.addIssue({ code: 'custom', path: missing, message: `must be set when ${pair.find((name) => name !== missing[0]) ?? ''} is` });
}

/** Settings of the OpenID provider people sign in with. */
export interface OpenIdConfig {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string | undefined;
  readonly audiences: readonly string[];
  readonly scopes: string;
  readonly usernameClaim: string;
  readonly usernamePrefix: string;
  readonly groupsClaim: string;
  readonly groupsPrefix: string;
  readonly requiredClaims: Readonly<Record<string, string>>;
  readonly algorithms: readonly string[];
}

export interface IdentityConfig {
  readonly openId: OpenIdConfig | undefined;
  readonly publicUrl: string | undefined;
  readonly serviceAccountIssuer: string;
  readonly auditRetentionDays: number;
  readonly trustedProxies: readonly string[];
}

export function identityConfigOf(env: IdentityEnv): IdentityConfig {
  const { CORRAL_OIDC_ISSUER: issuer, CORRAL_OIDC_CLIENT_ID: clientId } = env;
  const prefix = (text: string): string => (text === '-' ? '' : text);
  return {
    openId:
      issuer === undefined || clientId === undefined
        ? undefined
        : {
            issuer,
            clientId,
            clientSecret: env.CORRAL_OIDC_CLIENT_SECRET,
            audiences: env.CORRAL_OIDC_AUDIENCES,
            scopes: env.CORRAL_OIDC_SCOPES,
            usernameClaim: env.CORRAL_OIDC_USERNAME_CLAIM,
            usernamePrefix: prefix(env.CORRAL_OIDC_USERNAME_PREFIX),
            groupsClaim: env.CORRAL_OIDC_GROUPS_CLAIM,
            groupsPrefix: prefix(env.CORRAL_OIDC_GROUPS_PREFIX),
            requiredClaims: env.CORRAL_OIDC_REQUIRED_CLAIMS,
            algorithms: env.CORRAL_OIDC_SIGNING_ALGORITHMS,
          },
    publicUrl: env.CORRAL_PUBLIC_URL,
    serviceAccountIssuer: env.CORRAL_SERVICE_ACCOUNT_ISSUER,
    auditRetentionDays: env.CORRAL_AUDIT_RETENTION_DAYS,
    trustedProxies: env.CORRAL_TRUSTED_PROXIES,
  };
}

/** Of these variables and defaults for the rest. */
export const readIdentityConfig = (env: Readonly<Record<string, string>> = {}): IdentityConfig => identityConfigOf(IdentityEnv.parse(env));
