import { isRecord, type JsonRecord } from './field-path.ts';
import { partsOf, type Parts } from './field-changes.ts';
import { fieldElement, hasNoFields, keyElement, NO_FIELDS, SELF, valueElement, type FieldSet } from './field-set.ts';
import { shapeAt, type FieldShape } from './field-shape.ts';

/** What is there with what is applied laid over it: containers part by part, everything else as applied. */
export function mergeFields(shape: FieldShape, live: unknown, applied: unknown): unknown {
  if (applied === undefined) return live;
  if (!partsOf(shape, live) || !partsOf(shape, applied)) return applied;
  switch (shape.type) {
    case 'Atomic':
      return applied;
    case 'Fields':
      return mergeRecords(shape, live as JsonRecord, applied as JsonRecord);
    case 'Set':
      return [...new Map([...(live as unknown[]), ...(applied as unknown[])].map((item) => [valueElement(item), item])).values()];
    case 'ListMap':
      return mergeItems(shape, live as JsonRecord[], applied as JsonRecord[]);
  }
}

function mergeRecords(shape: FieldShape, live: JsonRecord, applied: JsonRecord): JsonRecord {
  const merged = { ...live };
  for (const [name, value] of Object.entries(applied)) merged[name] = mergeFields(shapeAt(shape, name), live[name], value);
  return merged;
}

function mergeItems({ keys, item: shape }: FieldShape & { type: 'ListMap' }, live: readonly JsonRecord[], applied: readonly JsonRecord[]): unknown[] {
  const merged = new Map<string, unknown>(live.map((item) => [keyElement(item, keys), item]));
  for (const item of applied) {
    const element = keyElement(item, keys);
    merged.set(element, mergeFields(shape, merged.get(element), item));
  }
  return [...merged.values()];
}

/**
 * A value without the fields of `dropped`, and without the containers that are empty for it, except what `kept` holds. What
 * nobody owns stays, but for an item of a list: it goes whole or not at all.
 */
export function withoutFields(shape: FieldShape, value: unknown, dropped: FieldSet, kept: FieldSet): unknown {
  if (hasNoFields(dropped)) return value;
  switch (shape.type) {
    case 'Fields': {
      if (!isRecord(value)) return value;
      const left: JsonRecord = {};
      for (const [name, field] of Object.entries(value)) {
        const rest = remainder(shapeAt(shape, name), field, dropped[fieldElement(name)], kept[fieldElement(name)]);
        if (rest !== undefined) left[name] = rest;
      }
      return left;
    }
    case 'ListMap':
      if (!partsOf(shape, value)) return value;
      return (value as JsonRecord[]).flatMap((item) => {
        const element = keyElement(item, shape.keys);
        const rest = remainder(shape.item, item, dropped[element], kept[element], true);
        return rest === undefined ? [] : [rest];
      });
    case 'Set':
      return Array.isArray(value) ? value.filter((item) => !dropped[valueElement(item)] || kept[valueElement(item)]) : value;
    case 'Atomic':
      return value;
  }
}

function remainder(shape: FieldShape, value: unknown, dropped: FieldSet | undefined, kept: FieldSet | undefined, isItem = false): unknown {
  if (!dropped) return value;
  const dropsSelf = hasNoFields(dropped) || SELF in dropped;
  if (isItem && dropsSelf && !kept) return undefined;
  const left = withoutFields(shape, value, dropped, kept ?? NO_FIELDS);
  if (kept) return left;
  const parts = partsOf(shape, left);
  if (!parts) return dropsSelf ? undefined : left;
  return parts.size === 0 ? undefined : left;
}

/** The members of a set that a value has. */
export function fieldsPresent(shape: FieldShape, value: unknown, set: FieldSet): FieldSet {
  const parts: Parts | undefined = partsOf(shape, value);
  const present: Record<string, FieldSet> = {};
  for (const [element, below] of Object.entries(set)) {
    const part = parts?.get(element);
    if (element === SELF) present[element] = below;
    else if (part) present[element] = fieldsPresent(part.shape, part.value, below);
  }
  return present;
}
