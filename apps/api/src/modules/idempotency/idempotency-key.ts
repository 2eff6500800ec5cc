import { createHash } from 'node:crypto';
import { malformed, type Write } from '@corral/api-machinery';
import { apiVersionOf, qualifiedResource, toKubeTime, type KindDefinition, type KubeObject } from '@corral/contracts';
import { z } from 'zod';

/** How long a key stands for what it created. */
export const KEY_LIFETIME_MS = 24 * 60 * 60_000;
const MAX_KEY_LENGTH = 255;

/** What a request with an Idempotency-Key created. */
export const KeySpec = z.object({
  /** SHA-256 over everything that makes the request what it is. */
  fingerprint: z.string(),
  resource: z.string(),
  namespace: z.string(),
  name: z.string(),
  uid: z.string(),
});
export type KeySpec = z.output<typeof KeySpec>;
export type IdempotencyKey = KubeObject<KeySpec>;

/**
 * Kept among the objects, so that key and object are written in one transaction or not at all; not among the KINDS, so that
 * no route serves it.
 */
export const idempotencyKeys: KindDefinition = {
  group: 'internal.corral.dev', version: 'v1', kind: 'IdempotencyKey', plural: 'idempotencykeys', singular: 'idempotencykey', shortNames: [], categories: [],
  scope: 'Cluster', nameRule: 'DnsSubdomain', builtIn: false, body: z.object({ spec: KeySpec }), columns: [], selectableFields: {},
};

/** The header's value: a string as RFC 8941 writes it, or bare. Source: draft-ietf-httpapi-idempotency-key-header. */
export function readKey(header: string | readonly string[] | undefined): string | undefined {
  if (header === undefined) return undefined;
  if (typeof header !== 'string') throw malformed('Idempotency-Key must be given once');
  const key = /^"(.*)"$/.exec(header)?.[1] ?? header;
  if (!/^[\x21-\x7e]+$/.test(key) || key.length > MAX_KEY_LENGTH) throw malformed(`Idempotency-Key must be 1 to ${MAX_KEY_LENGTH} visible ASCII characters`);
  return key;
}

/** Where a user's key is kept: another user's same key is another. */
export const storedName = (user: string, key: string): string => sha256([user, key]);

/** Two requests are the same when method, target, type and body are. */
export const fingerprintOf = (method: string, target: string, contentType: string | undefined, body: Uint8Array | undefined): string =>
  sha256([method, target, contentType ?? '', body ?? new Uint8Array()]);

function sha256(parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${part.length}:`).update(part);
  return hash.digest('hex');
}

export const hasExpired = ({ metadata }: IdempotencyKey, now: Date): boolean => now.getTime() - Date.parse(metadata.creationTimestamp) > KEY_LIFETIME_MS;

/** What writes the key beside the object it stands for; in the place of one that has expired. */
export function keyWrite(name: string, fingerprint: string, kind: KindDefinition, object: KubeObject, expired: IdempotencyKey | undefined, birth: { readonly uid: string; readonly now: Date }): Write {
  const { metadata } = object;
  const spec: KeySpec = { fingerprint, resource: qualifiedResource(kind), namespace: metadata.namespace ?? '', name: metadata.name, uid: metadata.uid };
  const creationTimestamp = toKubeTime(birth.now);
  if (expired) return { type: 'Update', kind: idempotencyKeys, current: expired, next: { ...expired, metadata: { ...expired.metadata, creationTimestamp }, spec } };
  const key: KubeObject = {
    apiVersion: apiVersionOf(idempotencyKeys), kind: idempotencyKeys.kind,
    metadata: { name, uid: birth.uid, resourceVersion: '', generation: 1, creationTimestamp }, spec,
  };
  return { type: 'Create', kind: idempotencyKeys, object: key };
}
