import {
  apiVersionOf, toKubeTime, type FieldProblem, type KindDefinition, type KubeObject, type ObjectMeta,
} from '@corral/contracts';
import type { z } from 'zod';
import { isRecord, sameJson, withoutNulls, type JsonRecord } from './field-path.ts';
import { cannotBeHandled, readIncoming, ruleProblems, type Incoming } from './incoming.ts';
import type { Decoded } from './decode.ts';
import { MAX_GENERATED_PREFIX, metadataProblems, metadataUpdateProblems, type NewMetadata } from './metadata-rules.ts';
import { malformed, objectConflict, objectInvalid, strictDecodingFailed } from './refusals.ts';
import { parseAll } from './schema-problems.ts';

/** An object on its way in: what would be stored, and everything wrong with it. */
export interface Candidate {
  readonly object: KubeObject;
  readonly decoding: readonly string[];
  readonly problems: readonly FieldProblem[];
  /** Whether the object's body is what its schema promises. */
  readonly complete: boolean;
  /** The object as it came, for messages that show a bad value. */
  readonly sent: unknown;
  /** The managedFields that came with it; those of `object` are none. */
  readonly managedFields: readonly unknown[] | undefined;
}

/** What the server decides about a new object. */
export interface Birth {
  readonly now: Date;
  readonly uid: string;
  /** Five characters for generateName. */
  readonly nameSuffix: string;
}

export interface Target {
  /** Namespace and name of the path; a collection has no name. */
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
}

export type FieldValidation = 'Strict' | 'Warn' | 'Ignore';

/** Custom kinds refuse unknown fields unless told otherwise; built-in ones warn, as Kubernetes does. */
export const defaultFieldValidation = (kind: KindDefinition): FieldValidation => (kind.builtIn ? 'Warn' : 'Strict');

export function candidateForCreate(kind: KindDefinition, decoded: Decoded, target: Target, birth: Birth): Candidate {
  const incoming = readIncoming(kind, decoded);
  const sent = incoming.metadata;
  requireTarget(kind, sent, target);
  if (sent.resourceVersion) throw malformed('resourceVersion should not be set on objects to be created');

  const name = sent.name || (sent.generateName ? `${sent.generateName.slice(0, MAX_GENERATED_PREFIX)}${birth.nameSuffix}` : '');
  const metadata: ObjectMeta = orderMetadata({
    ...settable(sent),
    name,
    ...(sent.generateName ? { generateName: sent.generateName } : {}),
    ...(kind.scope === 'Namespaced' ? { namespace: target.namespace ?? sent.namespace ?? '' } : {}),
    uid: birth.uid,
    resourceVersion: '',
    generation: 1,
    creationTimestamp: toKubeTime(birth.now),
  });
  const object = { apiVersion: apiVersionOf(kind), kind: kind.kind, metadata, ...incoming.body } as KubeObject;
  return judge(kind, object, undefined, incoming, metadataProblems(kind, sent), decoded.value);
}

/** For PUT, and for the result of a patch: metadata and body are the caller's, status and identity stay. */
export function candidateForUpdate(kind: KindDefinition, decoded: Decoded, current: KubeObject): Candidate {
  const incoming = readIncoming(kind, decoded);
  const sent = incoming.metadata;
  requireTarget(kind, sent, current.metadata);
  requireSameObject(kind, sent, current);

  const metadata = orderMetadata({ ...current.metadata, ...CLEARED, ...settable(sent) });
  const status = current.status === undefined ? {} : { status: current.status };
  const object = { apiVersion: current.apiVersion, kind: current.kind, metadata, ...incoming.body, ...status } as KubeObject;
  const found = [...metadataProblems(kind, metadata), ...metadataUpdateProblems(sent, current.metadata)];
  return judge(kind, object, current, incoming, found, decoded.value);
}

/** For the status subresource: only status is the caller's. */
export function candidateForStatus(kind: KindDefinition, { value, duplicates }: Decoded, current: KubeObject): Candidate {
  if (!isRecord(value)) throw malformed(`the body is not a ${kind.kind} object`);
  const { metadata, status } = withoutNulls(value) as JsonRecord;
  const sent = (isRecord(metadata) ? metadata : {}) as NewMetadata;
  requireTarget(kind, sent, current.metadata);
  requireSameObject(kind, sent, current);
  if (status !== undefined && !isRecord(status)) throw malformed('status must be an object');

  const parsed = kind.status ? parseAll(kind.status, status ?? {}, ['status']) : undefined;
  if (parsed && parsed.unreadable.length > 0) throw cannotBeHandled(kind, parsed.unreadable.join(', '));
  return {
    object: { ...current, ...(parsed ? { status: parsed.value } : {}) },
    decoding: duplicates.map((path) => `duplicate field "${path}"`),
    problems: parsed?.problems ?? [],
    complete: parsed?.complete ?? true,
    sent: value,
    managedFields: undefined,
  };
}

function judge(
  kind: KindDefinition,
  read: KubeObject,
  previous: KubeObject | undefined,
  incoming: Incoming,
  found: readonly FieldProblem[],
  sent: unknown,
): Candidate {
  const object = incoming.complete ? (kind.normalize?.(read) ?? read) : read;
  const problems = [...found, ...incoming.problems, ...ruleProblems(kind, object, previous, incoming)];
  return { object, decoding: incoming.decoding, problems, complete: incoming.complete, sent, managedFields: incoming.metadata.managedFields };
}

/** Refuses a candidate with anything wrong, naming all of it; returns the warnings for one that may pass. */
export function acceptCandidate(kind: KindDefinition, candidate: Candidate, fieldValidation: FieldValidation): readonly string[] {
  const { decoding, problems, sent } = candidate;
  const { name } = candidate.object.metadata;
  if (decoding.length > 0 && fieldValidation === 'Strict') throw strictDecodingFailed(kind, name, decoding, problems, sent);
  if (problems.length > 0) throw objectInvalid(kind, name, problems, sent);
  return fieldValidation === 'Warn' ? decoding : [];
}

/**
 * The object to store in place of `current`: generation is one higher when anything beside metadata and status changed.
 * Undefined when nothing changed, so that nothing is written.
 */
export function successor(current: KubeObject, next: KubeObject): KubeObject | undefined {
  if (sameJson(withoutManagedTimes(current), withoutManagedTimes(next))) return undefined;
  const changed = !sameJson(bodyOf(current), bodyOf(next));
  const generation = current.metadata.generation + (changed ? 1 : 0);
  return { ...next, metadata: { ...next.metadata, generation } };
}

/** Everything beside type, metadata and status. */
export function bodyOf(object: KubeObject): JsonRecord {
  const { apiVersion: _apiVersion, kind: _kind, metadata: _metadata, status: _status, ...body } = object;
  return body;
}

/** Times in managedFields alone are not a change. */
function withoutManagedTimes(object: KubeObject): unknown {
  const { managedFields, ...metadata } = object.metadata;
  if (!managedFields) return object;
  return { ...object, metadata: { ...metadata, managedFields: managedFields.map(({ time: _time, ...entry }) => entry) } };
}

function requireTarget(kind: KindDefinition, sent: NewMetadata, { namespace, name }: Target): void {
  if (kind.scope === 'Namespaced' && namespace && sent.namespace && sent.namespace !== namespace) {
    throw malformed(`the namespace of the provided object does not match the namespace sent on the request`);
  }
  if (name && sent.name && sent.name !== name) {
    throw malformed(`the name of the object (${sent.name}) does not match the name on the URL (${name})`);
  }
}

function requireSameObject(kind: KindDefinition, sent: NewMetadata, { metadata }: KubeObject): void {
  if (sent.uid && sent.uid !== metadata.uid) {
    throw objectConflict(kind, metadata.name, `Precondition failed: UID in precondition: ${sent.uid}, UID in object meta: ${metadata.uid}`);
  }
}

const CLEARED = { labels: undefined, annotations: undefined, finalizers: undefined, ownerReferences: undefined, managedFields: undefined };

/** The metadata a caller may set; empty containers count as absent. */
function settable({ labels, annotations, finalizers, ownerReferences }: NewMetadata): NewMetadata {
  return {
    ...(labels && Object.keys(labels).length > 0 ? { labels } : {}),
    ...(annotations && Object.keys(annotations).length > 0 ? { annotations } : {}),
    ...(finalizers && finalizers.length > 0 ? { finalizers: [...new Set(finalizers)] } : {}),
    ...(ownerReferences && ownerReferences.length > 0 ? { ownerReferences } : {}),
  };
}

/** Metadata in one order and without absent fields, whoever built it. */
export function orderMetadata(metadata: { readonly [Field in keyof ObjectMeta]: ObjectMeta[Field] | undefined }): ObjectMeta {
  const ordered = METADATA_ORDER.filter((field) => metadata[field] !== undefined).map((field) => [field, metadata[field]] as const);
  return Object.fromEntries(ordered) as unknown as ObjectMeta;
}
const METADATA_ORDER: readonly (keyof ObjectMeta)[] = [
  'name', 'generateName', 'namespace', 'uid', 'resourceVersion', 'generation', 'creationTimestamp', 'deletionTimestamp',
  'deletionGracePeriodSeconds', 'labels', 'annotations', 'ownerReferences', 'finalizers', 'managedFields',
];

/** A schema's answer to "is this object whole?", for objects that admission changed. */
export function isWhole(kind: KindDefinition, object: KubeObject): boolean {
  return (kind.body as z.ZodType).safeParse(bodyOf(object)).success;
}
