import { isRecord, type JsonRecord } from './field-path.ts';
import { shapeAt, type FieldShape } from './field-shape.ts';
import { malformed } from './refusals.ts';

/**
 * Strategic merge for the built-in kinds: objects merge, lists with keys merge item by item, sets are united, other lists are
 * replaced; which is which the schema says, as for server-side apply. Directives: `$patch: delete|replace|merge`,
 * `$deleteFromPrimitiveList/<field>`, `$retainKeys`; `$setElementOrder/<field>` is let pass: no list here has an order that counts.
 * Source: k8s.io/apimachinery/pkg/util/strategicpatch.
 */
export function strategicMerge(shape: FieldShape, target: unknown, patch: JsonRecord): unknown {
  const { $patch: directive, ...fields } = patch;
  requireDirective(directive);
  if (directive === 'delete') return undefined;
  const result: JsonRecord = directive !== 'replace' && isRecord(target) ? { ...target } : {};

  const retained = fields['$retainKeys'];
  if (Array.isArray(retained)) {
    for (const key of Object.keys(result)) if (!retained.includes(key)) Reflect.deleteProperty(result, key);
  }
  for (const [key, value] of Object.entries(fields)) {
    if (key.startsWith(DELETE_FROM)) {
      const field = key.slice(DELETE_FROM.length);
      const [current, removed] = [result[field], value];
      if (Array.isArray(current) && Array.isArray(removed)) result[field] = current.filter((item) => !removed.includes(item));
      continue;
    }
    if (key.startsWith('$')) continue;
    const merged = mergeField(shapeAt(shape, key), result[key], value);
    if (merged === undefined) Reflect.deleteProperty(result, key);
    else result[key] = merged;
  }
  return result;
}

const DELETE_FROM = '$deleteFromPrimitiveList/';

function mergeField(shape: FieldShape, current: unknown, value: unknown): unknown {
  if (value === null) return undefined;
  if (isRecord(value)) return strategicMerge(shape, current, value);
  return Array.isArray(value) ? mergeList(shape, Array.isArray(current) ? current : [], value) : value;
}

function mergeList(shape: FieldShape, current: readonly unknown[], patch: readonly unknown[]): unknown[] {
  const items = patch.map((item) => (isRecord(item) ? item : undefined));
  for (const item of items) requireDirective(item?.['$patch']);
  const replaces = items.some((item) => item?.['$patch'] === 'replace');
  if (shape.type === 'Set' && !replaces) return [...new Set([...current, ...patch])];
  if (shape.type !== 'ListMap' || replaces) return patch.filter((_item, index) => items[index]?.['$patch'] === undefined);

  let result = [...current];
  for (const item of items) {
    if (!item) throw malformed(`the patch holds a list item without its key ${shape.keys.join(', ')}`);
    const missing = shape.keys.filter((key) => item[key] === undefined);
    if (missing.length > 0) throw malformed(`the patch holds a list item without its key ${missing.join(', ')}`);
    const isSame = (other: unknown): boolean => isRecord(other) && shape.keys.every((key) => other[key] === item[key]);
    const index = result.findIndex(isSame);
    if (item['$patch'] === 'delete') result = result.filter((other) => !isSame(other));
    else if (index === -1) result.push(strategicMerge(shape.item, {}, item));
    else result[index] = strategicMerge(shape.item, result[index], item);
  }
  return result;
}

function requireDirective(directive: unknown): void {
  if (directive === undefined || directive === 'delete' || directive === 'replace' || directive === 'merge') return;
  throw malformed(`unrecognized patch directive $patch: ${JSON.stringify(directive)}`);
}
