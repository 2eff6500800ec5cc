import { apiVersionOf, OwnerReference, type FieldProblem, type Problem, type KindDefinition, type KubeObject } from '@corral/contracts';
import { z } from 'zod';
import type { Decoded } from './decode.ts';
import { formatPath, isRecord, withoutNulls, type JsonRecord } from './field-path.ts';
import type { NewMetadata } from './metadata-rules.ts';
import { malformed } from './refusals.ts';
import { parseAll } from './schema-problems.ts';

/** An object as a caller sent it: read as far as it can be, with everything that is wrong with its shape. */
export interface Incoming {
  readonly metadata: NewMetadata;
  /** Spec or other top-level fields, parsed with defaults. */
  readonly body: JsonRecord;
  readonly status: unknown;
  /** What strict decoding refuses: `unknown field "spec.bogus"`, `duplicate field "spec.memory"`. */
  readonly decoding: readonly string[];
  readonly problems: readonly FieldProblem[];
  /** Whether `body` is what the schema promises. */
  readonly complete: boolean;
}

const IncomingMetadata = z.strictObject({
  name: z.string().optional(),
  generateName: z.string().optional(),
  namespace: z.string().optional(),
  selfLink: z.string().optional(),
  uid: z.string().optional(),
  resourceVersion: z.string().optional(),
  generation: z.number().int().optional(),
  creationTimestamp: z.string().optional(),
  deletionTimestamp: z.string().optional(),
  deletionGracePeriodSeconds: z.number().int().optional(),
  labels: z.record(z.string(), z.string()).optional(),
  annotations: z.record(z.string(), z.string()).optional(),
  finalizers: z.array(z.string()).optional(),
  ownerReferences: z.array(OwnerReference.strict()).optional(),
  managedFields: z.array(z.record(z.string(), z.unknown())).optional(),
});

/**
 * Reads what a caller sent as an object of this kind. Refuses (400) what is no object, another kind or version, or has
 * metadata of wrong types; everything else is collected.
 */
export function readIncoming(kind: KindDefinition, { value, duplicates }: Decoded): Incoming {
  if (!isRecord(value)) throw malformed(`the body is not a ${kind.kind} object`);
  const { apiVersion, kind: kindName, metadata, status, ...rest } = withoutNulls(value) as JsonRecord;
  requireKind(kind, apiVersion, kindName);

  const parsedMetadata = IncomingMetadata.safeParse(metadata ?? {});
  const unknownMetadata: string[] = [];
  const kept: JsonRecord = isRecord(metadata) ? { ...metadata } : {};
  for (const issue of parsedMetadata.success ? [] : parsedMetadata.error.issues) {
    const path = formatPath(['metadata', ...issue.path]);
    if (issue.code !== 'unrecognized_keys') throw cannotBeHandled(kind, `${path}: ${issue.message}`);
    unknownMetadata.push(...issue.keys.map((key) => formatPath(['metadata', ...issue.path, key])));
    if (issue.path.length === 0) for (const key of issue.keys) Reflect.deleteProperty(kept, key);
  }

  const body = parseAll(kind.body as z.ZodType<JsonRecord>, rest);
  if (body.unreadable.length > 0) throw cannotBeHandled(kind, body.unreadable.join(', '));
  return {
    metadata: kept as NewMetadata,
    body: body.value,
    status,
    decoding: [
      ...[...unknownMetadata, ...body.unknown].map((path) => `unknown field "${path}"`),
      ...duplicates.map((path) => `duplicate field "${path}"`),
    ],
    problems: body.problems,
    complete: body.complete,
  };
}

export const cannotBeHandled = (kind: KindDefinition, why: string): Problem =>
  malformed(`${kind.kind} in version "${kind.version}" cannot be handled as a ${kind.kind}: ${why}`);

function requireKind(kind: KindDefinition, apiVersion: unknown, kindName: unknown): void {
  const expected = apiVersionOf(kind);
  // Typed clients leave both to the path, and for its own kinds Kubernetes lets them.
  if (kind.builtIn && !apiVersion && !kindName) return;
  if (apiVersion !== expected) {
    throw malformed(`the API version in the data (${String(apiVersion ?? '')}) does not match the expected API version (${expected})`);
  }
  if (kindName !== kind.kind) {
    throw malformed(`the kind in the data (${String(kindName ?? '')}) does not match the expected kind (${kind.kind})`);
  }
}

/** Everything a kind's own rules find wrong, leaving out fields already known to be bad. */
export function ruleProblems(
  kind: KindDefinition,
  object: KubeObject,
  previous: KubeObject | undefined,
  { problems, complete }: Pick<Incoming, 'problems' | 'complete'>,
): FieldProblem[] {
  let found: readonly FieldProblem[];
  try {
    found = kind.validate?.(object, previous) ?? [];
  } catch (error) {
    // Rules are written for whole objects; one that trips over a field already reported has nothing to add.
    if (complete) throw error;
    return [];
  }
  return withoutRepeats(found, problems);
}

/** The problems whose field, or a field above or below it, is not among those already found. */
export function withoutRepeats(found: readonly FieldProblem[], known: readonly FieldProblem[]): FieldProblem[] {
  return found.filter(({ field }) => !known.some((other) => other.field === field || other.field.startsWith(`${field}.`) || field.startsWith(`${other.field}.`)));
}
