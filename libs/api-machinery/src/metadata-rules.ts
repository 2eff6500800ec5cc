import { isDnsLabel, isDnsSubdomain, isPathSegment, isQualifiedName, labelProblems, type FieldProblem, type KindDefinition, type ObjectMeta } from '@corral/contracts';

/** Rules of metadata. Source: k8s.io/apimachinery/pkg/api/validation, ValidateObjectMeta. */

const MAX_ANNOTATION_BYTES = 256 * 1024;
const STANDARD_FINALIZERS = ['orphan', 'foregroundDeletion', 'kubernetes'];

const NAME_MESSAGES = {
  DnsLabel: `a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', start and end with an alphanumeric character, and have at most 63 characters`,
  DnsSubdomain: `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', start and end with an alphanumeric character, and have at most 253 characters`,
  PathSegment: `may not be '.' or '..', nor contain '/' or '%'`,
} as const;
const NAME_RULES = { DnsLabel: isDnsLabel, DnsSubdomain: isDnsSubdomain, PathSegment: isPathSegment } as const;

export type NewMetadata = Partial<ObjectMeta>;

export function metadataProblems(kind: KindDefinition, metadata: NewMetadata): FieldProblem[] {
  return [
    ...nameProblems(kind, metadata),
    ...labelProblems(metadata.labels ?? {}, 'metadata.labels'),
    ...annotationProblems(metadata.annotations ?? {}),
    ...finalizerProblems(metadata.finalizers ?? []),
    ...ownerProblems(metadata.ownerReferences ?? []),
  ];
}

/** What may not change once an object exists; `immutable` is what the caller tried to set. */
export function metadataUpdateProblems(next: NewMetadata, current: ObjectMeta): FieldProblem[] {
  if (current.deletionTimestamp === undefined) return [];
  const added = (next.finalizers ?? []).filter((finalizer) => !current.finalizers?.includes(finalizer));
  if (added.length === 0) return [];
  return [{ field: 'metadata.finalizers', reason: 'FieldValueForbidden', message: `no new finalizers can be added if the object is being deleted, found new finalizers: ${added.join(', ')}` }];
}

function nameProblems(kind: KindDefinition, { name, generateName }: NewMetadata): FieldProblem[] {
  const isValid = NAME_RULES[kind.nameRule];
  const message = NAME_MESSAGES[kind.nameRule];
  if (name) return isValid(name) ? [] : [{ field: 'metadata.name', reason: 'FieldValueInvalid', message }];
  if (!generateName) return [{ field: 'metadata.name', reason: 'FieldValueRequired', message: 'name or generateName is required' }];
  return isValid(`${generateName.slice(0, MAX_GENERATED_PREFIX)}x`) ? [] : [{ field: 'metadata.generateName', reason: 'FieldValueInvalid', message }];
}

/** generateName is cut so that five characters still fit into a DNS label. Source: k8s.io/apiserver/pkg/storage/names. */
export const MAX_GENERATED_PREFIX = 58;

function annotationProblems(annotations: Readonly<Record<string, string>>): FieldProblem[] {
  const entries = Object.entries(annotations);
  const problems: FieldProblem[] = entries
    .filter(([key]) => !isQualifiedName(key.toLowerCase()))
    .map(([key]) => ({ field: 'metadata.annotations', reason: 'FieldValueInvalid', message: `annotation key "${key}" must be a qualified name such as example.com/name` }));
  const size = entries.reduce((sum, [key, value]) => sum + utf8Length(key) + utf8Length(value), 0);
  if (size > MAX_ANNOTATION_BYTES) {
    problems.push({ field: 'metadata.annotations', reason: 'FieldValueTooLong', message: `must have at most ${MAX_ANNOTATION_BYTES} bytes` });
  }
  return problems;
}

function utf8Length(text: string): number {
  let bytes = 0;
  for (const character of text) {
    const point = character.codePointAt(0) ?? 0;
    bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
  return bytes;
}

function finalizerProblems(finalizers: readonly string[]): FieldProblem[] {
  return finalizers.flatMap((finalizer, index): FieldProblem[] => {
    const field = `metadata.finalizers[${index}]`;
    if (!isQualifiedName(finalizer)) return [{ field, reason: 'FieldValueInvalid', message: 'must be a qualified name' }];
    if (!finalizer.includes('/') && !STANDARD_FINALIZERS.includes(finalizer)) {
      return [{ field, reason: 'FieldValueInvalid', message: 'name is neither a standard finalizer name nor is it fully qualified' }];
    }
    return [];
  });
}

function ownerProblems(owners: NonNullable<ObjectMeta['ownerReferences']>): FieldProblem[] {
  const problems = owners.flatMap((owner, index) =>
    (['apiVersion', 'kind', 'name', 'uid'] as const)
      .filter((field) => owner[field] === '')
      .map((field): FieldProblem => ({ field: `metadata.ownerReferences[${index}].${field}`, reason: 'FieldValueRequired', message: 'must not be empty' })),
  );
  if (owners.filter(({ controller }) => controller).length > 1) {
    problems.push({ field: 'metadata.ownerReferences', reason: 'FieldValueInvalid', message: 'only one reference can have controller set to true' });
  }
  return problems;
}
