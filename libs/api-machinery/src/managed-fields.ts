import { apiVersionOf, toKubeTime, type KindDefinition, type KubeObject, type ManagedFieldsEntry } from '@corral/contracts';
import { z } from 'zod';
import { isRecord, type JsonRecord } from './field-path.ts';
import { changesBetween } from './field-changes.ts';
import { differenceOf, hasNoFields, readFieldSet, unionOf, type FieldSet } from './field-set.ts';
import { shapeOf } from './field-shape.ts';

/** Who writes, as managedFields names them. */
export interface FieldManager {
  readonly manager: string;
  /** `status` when it writes through that door. */
  readonly subresource?: 'status';
  readonly now: Date;
}

/** More managers than these that only update are remembered as one, so that an object does not grow with its past. */
const MAX_UPDATERS = 10;
const ANCIENT = 'ancient-changes';

export const setOf = (entry: ManagedFieldsEntry): FieldSet => entry.fieldsV1 as FieldSet;
export const withSet = (entry: ManagedFieldsEntry, set: FieldSet): ManagedFieldsEntry => ({ ...entry, fieldsV1: set });

/** An object as ownership sees it: without what the server alone decides. */
export function ownable(object: JsonRecord): JsonRecord {
  const { apiVersion: _apiVersion, kind: _kind, metadata, ...rest } = object;
  const { generateName, labels, annotations, finalizers, ownerReferences } = isRecord(metadata) ? metadata : {};
  return { metadata: { generateName, labels, annotations, finalizers, ownerReferences }, ...rest };
}

const NOTHING: JsonRecord = { metadata: {} };

/**
 * The managedFields after an ordinary write: what changed belongs to the writer, and to nobody else any more.
 * `entries` are those before, or those that the writer sent. Source: sigs.k8s.io/structured-merge-diff, Updater.Update.
 */
export function afterUpdate(
  kind: KindDefinition,
  before: KubeObject | undefined,
  after: KubeObject,
  entries: readonly ManagedFieldsEntry[],
  { manager, subresource, now }: FieldManager,
): readonly ManagedFieldsEntry[] {
  const { taken, removed } = changesBetween(shapeOf(kind), before ? ownable(before as unknown as JsonRecord) : NOTHING, ownable(after as unknown as JsonRecord));
  if (hasNoFields(taken) && hasNoFields(removed)) return entries;
  const others = released(entries, taken, removed);
  if (hasNoFields(taken)) return others;

  const entry: ManagedFieldsEntry = { manager, operation: 'Update', apiVersion: apiVersionOf(kind), time: toKubeTime(now), fieldsType: 'FieldsV1', fieldsV1: taken, ...(subresource ? { subresource } : {}) };
  const previous = others.find((other) => isSameManager(other, entry));
  const own = previous ? withSet(entry, unionOf(setOf(previous), taken)) : entry;
  return inOrder(capped([...others.filter((other) => other !== previous), own]));
}

/** The entries without fields that somebody else took, or that are gone. */
export function released(entries: readonly ManagedFieldsEntry[], taken: FieldSet, removed: FieldSet): ManagedFieldsEntry[] {
  return entries.flatMap((entry) => {
    const left = differenceOf(differenceOf(setOf(entry), taken), removed);
    if (hasNoFields(left)) return [];
    return [left === entry.fieldsV1 ? entry : withSet(entry, left)];
  });
}

export const isSameManager = (a: ManagedFieldsEntry, b: ManagedFieldsEntry): boolean =>
  a.manager === b.manager && a.operation === b.operation && a.subresource === b.subresource && (a.operation === 'Apply' || a.apiVersion === b.apiVersion);

/** Source: k8s.io/apimachinery/pkg/util/managedfields, capManagersManager. */
function capped(entries: readonly ManagedFieldsEntry[]): readonly ManagedFieldsEntry[] {
  const updaters = entries.filter(({ operation }) => operation === 'Update');
  if (updaters.length <= MAX_UPDATERS) return entries;
  const byAge = updaters.filter(({ manager }) => manager !== ANCIENT).sort((a, b) => compareText(a.time, b.time));
  const oldest = byAge.slice(0, byAge.length - MAX_UPDATERS + 1);
  const merged = [...oldest, ...updaters.filter(({ manager }) => manager === ANCIENT)];
  const [newest = entries[0]] = [...merged].sort((a, b) => compareText(b.time, a.time));
  if (!newest) return entries;
  const { subresource: _subresource, ...entry } = newest;
  const ancient = { ...entry, manager: ANCIENT, fieldsV1: merged.map(setOf).reduce(unionOf) };
  return [...entries.filter((one) => !merged.includes(one)), ancient];
}

export function inOrder(entries: readonly ManagedFieldsEntry[]): readonly ManagedFieldsEntry[] {
  return [...entries].sort(
    (a, b) => compareText(a.operation, b.operation) || compareText(a.time, b.time) || compareText(a.manager, b.manager) || compareText(a.subresource, b.subresource),
  );
}

const compareText = (a = '', b = ''): number => (a < b ? -1 : a > b ? 1 : 0);

const SentEntry = z.object({
  manager: z.string().max(128).default(''),
  operation: z.enum(['Apply', 'Update']),
  apiVersion: z.string(),
  time: z.string().optional(),
  fieldsType: z.literal('FieldsV1'),
  fieldsV1: z.record(z.string(), z.unknown()).default({}),
  subresource: z.string().optional(),
});

/**
 * The entries a writer may begin from: their own, where they sent any (`[{}]` clears them); else those stored. A writer who
 * knows nothing of managedFields, or sends what cannot be read, deletes nothing by it.
 */
export function entriesOf(sent: readonly unknown[] | undefined, stored: readonly ManagedFieldsEntry[] | undefined): readonly ManagedFieldsEntry[] {
  const isReset = sent?.length === 1 && isRecord(sent[0]) && Object.keys(sent[0]).length === 0;
  if (isReset) return [];
  if (!sent || sent.length === 0 || sent === stored) return stored ?? [];
  const entries: ManagedFieldsEntry[] = [];
  for (const one of sent) {
    const parsed = SentEntry.safeParse(one);
    const set = parsed.success ? readFieldSet(parsed.data.fieldsV1) : undefined;
    if (!parsed.success || !set) return stored ?? [];
    const { time, subresource, ...entry } = parsed.data;
    entries.push({ ...entry, ...(time ? { time } : {}), ...(subresource ? { subresource } : {}), fieldsV1: set });
  }
  return entries;
}

/** The object with these managedFields; without any, it has none. */
export function withManagedFields(object: KubeObject, entries: readonly ManagedFieldsEntry[]): KubeObject {
  const { managedFields: _managedFields, ...metadata } = object.metadata;
  return { ...object, metadata: entries.length > 0 ? { ...metadata, managedFields: entries } : metadata };
}
