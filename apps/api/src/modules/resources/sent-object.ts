import { randomBytes } from 'node:crypto';
import { isRecord, malformed, objectConflict, objectInvalid, type Decoded, type DeleteOptions } from '@corral/api-machinery';
import type { KindDefinition, KubeObject } from '@corral/contracts';

export const metadataOf = ({ value }: Decoded): Record<string, unknown> => (isRecord(value) && isRecord(value['metadata']) ? value['metadata'] : {});

export const isNameMadeUp = (decoded: Decoded): boolean => !metadataOf(decoded)['name'];

/** The version its sender says it is of. */
export function sentVersion(decoded: Decoded): string | undefined {
  const version = metadataOf(decoded)['resourceVersion'];
  return typeof version === 'string' && version !== '' && version !== '0' ? version : undefined;
}

export function requireVersionForUpdate(kind: KindDefinition, { name }: { readonly name: string }, decoded: Decoded): void {
  if (kind.builtIn || sentVersion(decoded) !== undefined) return;
  throw objectInvalid(kind, name, [{ field: 'metadata.resourceVersion', reason: 'FieldValueInvalid', message: 'must be specified for an update' }]);
}

export function requireVersion(kind: KindDefinition, current: KubeObject, decoded: Decoded, isPatched = false): void {
  const sent = sentVersion(decoded);
  if (sent !== undefined && sent !== current.metadata.resourceVersion) throw objectConflict(kind, current.metadata.name);
  if (!isPatched || sent !== undefined) return;
  if (typeof metadataOf(decoded)['resourceVersion'] === 'number') throw malformed('metadata.resourceVersion must be a string');
}

export function requirePreconditions(kind: KindDefinition, { metadata }: KubeObject, { preconditions }: DeleteOptions): void {
  const { uid, resourceVersion } = preconditions ?? {};
  if (uid && uid !== metadata.uid) {
    throw objectConflict(kind, metadata.name, `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${metadata.uid}`);
  }
  if (resourceVersion && resourceVersion !== metadata.resourceVersion) {
    throw objectConflict(kind, metadata.name, `Precondition failed: ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${metadata.resourceVersion}`);
  }
}

/** An object of a namespaced kind is nowhere without a namespace. */
export function requireNamespace(kind: KindDefinition, { metadata }: KubeObject): void {
  if (kind.scope === 'Namespaced' && !metadata.namespace) throw malformed('an empty namespace may not be set during creation');
}

/** Letters and digits that spell nothing. Source: k8s.io/apimachinery/pkg/util/rand. */
const ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';
export function nameSuffix(): string {
  return [...randomBytes(5)].map((byte) => ALPHABET[byte % ALPHABET.length]).join('');
}
