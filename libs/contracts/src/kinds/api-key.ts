import { z } from 'zod';
import type { KindDefinition } from '../kind.ts';
import type { KubeObject } from '../metadata.ts';
import { ageText } from './core.ts';
import { DnsName, Sha256 } from './fields.ts';

/** Lifetimes of a key, in seconds: ten minutes to a year. */
export const MIN_KEY_SECONDS = 600;
export const MAX_KEY_SECONDS = 366 * 86_400;
const DEFAULT_KEY_SECONDS = 90 * 86_400;
const MAX_ENTRIES = 64;
const words = (description: string) => z.array(z.string().min(1).max(253)).min(1, 'must name at least one, or "*"').max(MAX_ENTRIES).describe(description);

/** What a credential may be used for at most, whatever its holder may do. `*` stands for all. */
export const CredentialScope = z.strictObject({
  namespaces: words('Namespaces it works in; "*" is all of them, and what is in none. By default the namespace of the key.').optional(),
  verbs: words('Verbs it works for, such as get, list, watch, create, update, patch, delete.').default(['*']),
  resources: words('Plurals it works for, such as virtualmachines, virtualmachines/exec or virtualmachines/*.').default(['*']),
});
export type CredentialScope = z.output<typeof CredentialScope>;

export const ApiKeyOwner = z.strictObject({ username: z.string(), groups: z.array(z.string()).default([]), uid: z.string().optional() });

export const ApiKeySpec = z.strictObject({
  description: z.string().max(256).optional().describe('What it is for. The only field that can be changed.'),
  serviceAccountName: DnsName.optional().describe('Whose rights it has: a service account of this namespace. By default those of who creates it.'),
  scope: CredentialScope.default({ verbs: ['*'], resources: ['*'] }).describe('What it may be used for at most.'),
  expirationSeconds: z.number().int().min(MIN_KEY_SECONDS).max(MAX_KEY_SECONDS).default(DEFAULT_KEY_SECONDS).describe('How long it works, from its creation.'),
  expiresAt: z.string().optional().describe('When it stops working. Written by the server.'),
  owner: ApiKeyOwner.optional().describe('Who it stands for, with the groups they had then. Written by the server.'),
  digest: Sha256.optional().describe('SHA-256 of the secret, which is kept nowhere. Written by the server.'),
});
export type ApiKeySpec = z.output<typeof ApiKeySpec>;

export const ApiKeyStatus = z.object({
  /** The secret itself: only in the answer to the request that created it. */
  token: z.string().optional(),
  /** To the minute. */
  lastUsedAt: z.string().optional(),
});
export type ApiKeyStatus = z.output<typeof ApiKeyStatus>;
export type ApiKey = KubeObject<ApiKeySpec, ApiKeyStatus>;

export const apiKeys: KindDefinition<ApiKeySpec, ApiKeyStatus> = {
  group: 'corral.dev', version: 'v1', kind: 'APIKey', plural: 'apikeys', singular: 'apikey', shortNames: ['key', 'keys'], categories: ['corral'],
  scope: 'Namespaced', nameRule: 'DnsSubdomain', builtIn: false,
  body: z.strictObject({ spec: ApiKeySpec.prefault({}) }),
  status: ApiKeyStatus,
  columns: [
    { name: 'Owner', type: 'string', description: 'Who it stands for.', value: (key) => key.spec?.owner?.username ?? '' },
    { name: 'Expires', type: 'string', description: 'How long it still works.', value: (key, now) => expiryText(key.spec?.expiresAt, now) },
    { name: 'Last Used', type: 'string', description: 'How long ago it was last shown.', value: (key, now) => (key.status?.lastUsedAt === undefined ? '<never>' : ageText(key.status.lastUsedAt, now)) },
    { name: 'Scope', type: 'string', description: 'What it may be used for at most.', priority: 1, value: (key) => scopeText(key.spec?.scope) },
    { name: 'Description', type: 'string', description: 'What it is for.', priority: 1, value: (key) => key.spec?.description ?? '' },
  ],
  selectableFields: {
    'spec.owner.username': (key) => key.spec?.owner?.username ?? '',
    'spec.serviceAccountName': (key) => key.spec?.serviceAccountName ?? '',
  },
};

function expiryText(expiresAt: string | undefined, now: Date): string {
  if (expiresAt === undefined) return '<unknown>';
  const leftMs = Date.parse(expiresAt) - now.getTime();
  return leftMs <= 0 ? 'expired' : ageText(now.toISOString(), new Date(now.getTime() + leftMs));
}

const scopeText = (scope: CredentialScope | undefined): string =>
  scope === undefined ? '' : [scope.verbs, scope.resources, scope.namespaces ?? []].map((list) => list.join(',')).join(' ');
