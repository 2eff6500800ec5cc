import { CredentialScope } from '@corral/contracts';
import { z } from 'zod';

/** Names what somebody showed, without being able to stand for it: so it may be stored and logged. */
const CredentialRef = z.discriminatedUnion('type', [
  /** A token of the deployment's own configuration. */
  z.object({ type: z.literal('Configured'), id: z.string() }),
  z.object({ type: z.literal('Session'), id: z.string() }),
  z.object({ type: z.literal('ApiKey'), namespace: z.string(), name: z.string(), uid: z.string() }),
  z.object({
    type: z.literal('ServiceAccountToken'),
    id: z.string(),
    namespace: z.string(),
    name: z.string(),
    uid: z.string(),
    /** An object the token lives no longer than. */
    boundTo: z.object({ kind: z.enum(['Secret', 'Node']), name: z.string(), uid: z.string() }).optional(),
  }),
  /** A token of the OpenID provider: nobody here can take it back, so it ends when it says. */
  z.object({ type: z.literal('OpenId'), id: z.string() }),
]);
export type CredentialRef = z.output<typeof CredentialRef>;

/** What somebody proved who they are by, and what it is good for. */
export const Credential = z.object({
  ref: CredentialRef,
  /** RFC 3339. */
  expiresAt: z.string().optional(),
  /** What it may be used for at most, whatever its holder may do. */
  scope: CredentialScope.optional(),
  /** Who showed it, when it was got while acting for somebody else: whatever is done with it is theirs too. */
  impersonatedBy: z.object({ name: z.string(), groups: z.array(z.string()) }).optional(),
});
export type Credential = z.output<typeof Credential>;

/** As the audit log and `authentication.kubernetes.io/credential-id` name it. */
export function credentialId({ ref }: Pick<Credential, 'ref'>): string {
  switch (ref.type) {
    case 'ApiKey':
      return `APIKEY=${ref.uid}`;
    case 'ServiceAccountToken':
      return `JTI=${ref.id}`;
    case 'Session':
      return `SESSION=${ref.id}`;
    case 'OpenId':
      return `OIDC=${ref.id}`;
    case 'Configured':
      return `CONFIGURED=${ref.id}`;
  }
}

export const hasExpired = ({ expiresAt }: Pick<Credential, 'expiresAt'>, now = Date.now()): boolean => expiresAt !== undefined && Date.parse(expiresAt) <= now;

/** The earlier of two ends. */
export function earlier(one: Date, other: string | undefined): Date {
  return other !== undefined && Date.parse(other) < one.getTime() ? new Date(other) : one;
}
