import { apiVersionOf, Problem, toKubeTime, type KindDefinition, type KubeObject, type ManagedFieldsEntry } from '@corral/contracts';
import { changesBetween, fieldsIn } from './field-changes.ts';
import { fieldsPresent, mergeFields, withoutFields } from './field-merge.ts';
import { sameJson, isRecord, withoutNulls, type JsonRecord } from './field-path.ts';
import { differenceOf, hasNoFields, intersectionOf, NO_FIELDS, pathsOf, unionOf, type FieldSet } from './field-set.ts';
import { shapeOf } from './field-shape.ts';
import { fieldsLastApplied, withLastApplied } from './last-applied.ts';
import { inOrder, isSameManager, ownable, released, setOf, withSet, type FieldManager } from './managed-fields.ts';
import { malformed } from './refusals.ts';

export interface Application extends FieldManager {
  /** Take fields from those who manage them with other values, instead of refusing. */
  readonly force: boolean;
}

/** What somebody applies: the fields they want, and nothing else. */
export interface AppliedConfiguration {
  readonly value: JsonRecord;
  /** The fields that count at this door. */
  readonly fields: FieldSet;
}

/** What an apply comes to: the object as it should be, and the managedFields once it is. */
export interface Applied {
  readonly value: JsonRecord;
  readonly entries: readonly ManagedFieldsEntry[];
}

/** Reads an applied configuration. Refuses (400) what is no object of this kind, or says who manages it. */
export function readApplied(kind: KindDefinition, sent: unknown, subresource: 'status' | undefined): AppliedConfiguration {
  if (!isRecord(sent)) throw malformed(`the body is not a ${kind.kind} object`);
  const value = withoutNulls(sent) as JsonRecord;
  const expected = apiVersionOf(kind);
  if (value['apiVersion'] !== expected) throw malformed(`Incorrect version specified in apply patch. Specified patch version: ${String(value['apiVersion'] ?? '')}, expected: ${expected}`);
  const { metadata } = value;
  if (metadata !== undefined && !isRecord(metadata)) throw malformed('metadata must be an object');
  if (metadata?.['managedFields'] !== undefined) throw malformed('metadata.managedFields must be nil');
  const { status, ...main } = ownable(value);
  const { 'f:metadata': ofMetadata = NO_FIELDS, ...fields } = fieldsIn(shapeOf(kind), subresource === 'status' ? { status } : main);
  // Metadata itself belongs to the server, however empty it comes.
  return { value, fields: hasNoFields(ofMetadata) ? fields : { 'f:metadata': ofMetadata, ...fields } };
}

/** For an object that is not there yet: all of it is the applier's. */
export function applyToNothing(kind: KindDefinition, configuration: AppliedConfiguration, application: Application): Applied {
  return { value: configuration.value, entries: [entryOf(kind, configuration.fields, application)] };
}

/**
 * Lays a configuration over an object. Fields that somebody else manages with another value are a conflict (409, one cause
 * per field) unless forced; fields applied before and no longer go, unless somebody else manages them too.
 * Source: sigs.k8s.io/structured-merge-diff, Updater.Apply.
 */
export function applyTo(kind: KindDefinition, current: KubeObject, configuration: AppliedConfiguration, application: Application): Applied {
  const shape = shapeOf(kind);
  const { subresource } = application;
  const live = current as unknown as JsonRecord;
  const own = entryOf(kind, configuration.fields, application);
  const stored = current.metadata.managedFields ?? [];
  const previous = stored.find((entry) => isSameManager(entry, own));
  const others = stored.filter((entry) => entry !== previous);

  const { status, ...main } = configuration.value;
  const door = subresource === 'status' ? { metadata: idsOf(main['metadata']), ...(status === undefined ? {} : { status }) } : main;
  const managed = others.map(setOf).reduce(unionOf, configuration.fields);
  const dropped = previous ? differenceOf(setOf(previous), managed) : NO_FIELDS;
  const next = withoutFields(shape, mergeFields(shape, live, door), dropped, managed) as JsonRecord;

  const { taken, removed } = changesBetween(shape, ownable(live), ownable(next));
  const conflicts = others
    .map((entry) => ({ entry, fields: intersectionOf(setOf(entry), taken) }))
    .filter(({ fields }) => !hasNoFields(fields));
  const forgiven = fieldsLastApplied(shape, current, application.manager);
  const contested = conflicts.map(({ entry, fields }) => ({ entry, fields: differenceOf(fields, forgiven) })).filter(({ fields }) => !hasNoFields(fields));
  if (contested.length > 0 && !application.force) throw applyConflict(contested);

  const isSame = previous !== undefined && sameJson(previous.fieldsV1, own.fieldsV1) && hasNoFields(taken) && hasNoFields(removed);
  const entries = [...released(others, taken, removed), ...(hasNoFields(configuration.fields) ? [] : [isSame ? previous : own])];
  return { value: withLastApplied(next, configuration.value, application.manager), entries: inOrder(entries) };
}

/** Entries without fields that the stored object does not have after all: unknown ones that were let pass. */
export function onlyPresent(kind: KindDefinition, object: KubeObject, entries: readonly ManagedFieldsEntry[]): readonly ManagedFieldsEntry[] {
  const value = ownable(object as unknown as JsonRecord);
  return entries.flatMap((entry) => {
    const present = fieldsPresent(shapeOf(kind), value, setOf(entry));
    if (hasNoFields(present)) return [];
    return [sameJson(present, entry.fieldsV1) ? entry : withSet(entry, present)];
  });
}

function entryOf(kind: KindDefinition, fields: FieldSet, { manager, subresource, now }: Application): ManagedFieldsEntry {
  return { manager, operation: 'Apply', apiVersion: apiVersionOf(kind), time: toKubeTime(now), fieldsType: 'FieldsV1', fieldsV1: fields, ...(subresource ? { subresource } : {}) };
}

/** What says which object is meant. */
function idsOf(metadata: unknown): JsonRecord {
  const { name, namespace, uid, resourceVersion } = isRecord(metadata) ? metadata : {};
  return Object.fromEntries(Object.entries({ name, namespace, uid, resourceVersion }).filter(([, value]) => value !== undefined));
}

interface Conflict {
  readonly entry: ManagedFieldsEntry;
  readonly fields: FieldSet;
}

/** In Kubernetes's words. Source: k8s.io/apimachinery/pkg/util/managedfields, NewConflictError. */
function applyConflict(conflicts: readonly Conflict[]): Problem {
  const found = conflicts.flatMap(({ entry, fields }) => pathsOf(fields).sort().map((field) => ({ manager: managerText(entry), field })));
  const causes = found.map(({ manager, field }) => ({ reason: 'FieldManagerConflict', message: `conflict with ${manager}`, field }));
  const managers = [...new Set(found.map(({ manager }) => manager))].sort();
  const lines = managers.flatMap((manager) => [`conflicts with ${manager}:`, ...found.filter((conflict) => conflict.manager === manager).map(({ field }) => `- ${field}`)]);
  const [only] = found;
  const message = only && found.length === 1 ? `1 conflict: conflict with ${only.manager}: ${only.field}` : `${found.length} conflicts: ${lines.join('\n')}`;
  return new Problem('object.conflict', `Apply failed with ${message}`, { details: { causes } });
}

function managerText({ manager, operation, apiVersion, subresource }: ManagedFieldsEntry): string {
  const through = subresource ? ` with subresource ${JSON.stringify(subresource)}` : '';
  return `${JSON.stringify(manager)}${through}${operation === 'Update' ? ` using ${apiVersion}` : ''}`;
}
