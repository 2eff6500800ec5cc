import { isRecord, sameJson, type JsonRecord } from './field-path.ts';
import { fieldElement, FieldSetBuilder, keyElement, valueElement, type FieldSet } from './field-set.ts';
import { shapeAt, type FieldShape } from './field-shape.ts';

export interface FieldChanges {
  /** Fields that are new, or have another value than before. */
  readonly taken: FieldSet;
  /** Fields that are there no longer. */
  readonly removed: FieldSet;
}

/** Which fields differ. Source: sigs.k8s.io/structured-merge-diff, typed.Compare. */
export function changesBetween(shape: FieldShape, before: unknown, after: unknown): FieldChanges {
  const taken = new FieldSetBuilder();
  const removed = new FieldSetBuilder();
  const path: string[] = [];

  function leaf(old: unknown, next: unknown): void {
    if (next === undefined) removed.add(path);
    else if (old === undefined || !sameJson(old, next)) taken.add(path);
  }

  function below(element: string, at: FieldShape, old: unknown, next: unknown): void {
    if (old === next) return;
    path.push(element);
    compare(at, old, next);
    path.pop();
  }

  function compare(at: FieldShape, old: unknown, next: unknown): void {
    if (at.type === 'Fields' && (old === undefined || isRecord(old)) && (next === undefined || isRecord(next))) return compareRecords(at, old, next);
    const [oldParts, nextParts] = [partsOf(at, old), partsOf(at, next)];
    if (!oldParts && !nextParts) return leaf(old, next);
    if (!canBeParts(oldParts, old) || !canBeParts(nextParts, next)) {
      // One is a container and the other is not: what was below is gone, and the whole is new.
      if (oldParts) compare(at, old, undefined);
      if (nextParts) return compare(at, undefined, next);
      return leaf(undefined, next);
    }
    if (isEmpty(oldParts) && isEmpty(nextParts)) return leaf(old, next);
    container(old, next);
    for (const [element, part] of nextParts ?? []) below(element, part.shape, oldParts?.get(element)?.value, part.value);
    for (const [element, part] of oldParts ?? []) if (!nextParts?.has(element)) below(element, part.shape, part.value, undefined);
  }

  /** The same for what most of every object is, without taking it to pieces first. */
  function compareRecords(at: FieldShape, old: JsonRecord | undefined, next: JsonRecord | undefined): void {
    if (hasNoValues(old) && hasNoValues(next)) return leaf(old, next);
    container(old, next);
    for (const name in next) if (next[name] !== undefined) below(fieldElement(name), shapeAt(at, name), ownValue(old, name), next[name]);
    for (const name in old) if (old[name] !== undefined && ownValue(next, name) === undefined) below(fieldElement(name), shapeAt(at, name), old[name], undefined);
  }

  function container(old: unknown, next: unknown): void {
    if (old === undefined) taken.add(path);
    if (next === undefined) removed.add(path);
  }

  if (before !== after) compare(shape, before, after);
  return { taken: taken.build(), removed: removed.build() };
}

/** A label may be called `constructor`. */
const ownValue = (record: JsonRecord | undefined, name: string): unknown => (record && Object.hasOwn(record, name) ? record[name] : undefined);

function hasNoValues(record: JsonRecord | undefined): boolean {
  for (const name in record) if (record[name] !== undefined) return false;
  return true;
}
const isEmpty = (parts: Parts | undefined): boolean => parts === undefined || parts.size === 0;
const canBeParts = (parts: Parts | undefined, value: unknown): boolean => parts !== undefined || value === undefined;

/** The fields of what somebody applies. Source: sigs.k8s.io/structured-merge-diff, TypedValue.ToFieldSet. */
export function fieldsIn(shape: FieldShape, value: unknown): FieldSet {
  const fields = new FieldSetBuilder();
  const path: string[] = [];
  function collect(at: FieldShape, here: unknown): void {
    const parts = partsOf(at, here);
    if (path.length > 0 && (isEmpty(parts) || isItem(path.at(-1)))) fields.add(path);
    for (const [element, part] of parts ?? []) {
      path.push(element);
      collect(part.shape, part.value);
      path.pop();
    }
  }
  collect(shape, value);
  return fields.build();
}
const isItem = (element = ''): boolean => element.startsWith('k:');

interface Part {
  readonly shape: FieldShape;
  readonly value: unknown;
}
export type Parts = ReadonlyMap<string, Part>;

/** What a container is made of, by path element; undefined when the value is one field. */
export function partsOf(shape: FieldShape, value: unknown): Parts | undefined {
  switch (shape.type) {
    case 'Atomic':
      return undefined;
    case 'Set':
      return Array.isArray(value) ? new Map(value.map((item: unknown) => [valueElement(item), { shape: ATOMIC, value: item }])) : undefined;
    case 'ListMap':
      return Array.isArray(value) && value.every((item) => hasKeys(item, shape.keys)) ? itemsOf(shape, value as JsonRecord[]) : undefined;
    case 'Fields':
      return isRecord(value) ? fieldsOf(shape, value) : undefined;
  }
}
const ATOMIC: FieldShape = { type: 'Atomic' };

function fieldsOf(shape: FieldShape, value: JsonRecord): Parts {
  const parts = new Map<string, Part>();
  for (const name in value) {
    const field = value[name];
    if (field !== undefined) parts.set(fieldElement(name), { shape: shapeAt(shape, name), value: field });
  }
  return parts;
}

function itemsOf({ keys, item: shape }: FieldShape & { type: 'ListMap' }, items: readonly JsonRecord[]): Parts {
  const parts = new Map<string, Part>();
  for (const item of items) {
    const element = keyElement(item, keys);
    const twin = parts.get(element);
    // Items with the same key cannot be told apart: together they are one field.
    parts.set(element, twin ? { shape: ATOMIC, value: [twin.value, item] } : { shape, value: item });
  }
  return parts;
}

const hasKeys = (item: unknown, keys: readonly string[]): boolean => isRecord(item) && keys.every((key) => item[key] !== undefined);
