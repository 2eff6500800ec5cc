import { isRecord, type JsonRecord } from './field-path.ts';

/**
 * Strategic merge for the built-in kinds: objects merge, lists with keys merge item by item, other lists are replaced.
 * Directives: `$patch: delete|replace|merge`, `$deleteFromPrimitiveList/<field>`, `$setElementOrder/<field>`, `$retainKeys`.
 * Source: k8s.io/apimachinery/pkg/util/strategicpatch.
 */
const LIST_KEYS: Readonly<Record<string, readonly string[]>> = {
  'metadata.ownerReferences': ['uid'],
  'spec.taints': ['key', 'effect'],
  'status.conditions': ['type'],
  'status.addresses': ['type'],
};
/** Lists of plain values that are sets. */
const MERGED_SETS: readonly string[] = ['metadata.finalizers', 'spec.finalizers'];

export function strategicMerge(target: unknown, patch: JsonRecord, path = ''): unknown {
  if (patch['$patch'] === 'delete') return undefined;
  const { $patch: directive, ...fields } = patch;
  const result: JsonRecord = directive !== 'replace' && isRecord(target) ? { ...target } : {};

  const retained = fields['$retainKeys'];
  if (Array.isArray(retained)) {
    for (const key of Object.keys(result)) if (!retained.includes(key)) Reflect.deleteProperty(result, key);
  }
  for (const [key, value] of Object.entries(fields)) {
    if (key.startsWith('$deleteFromPrimitiveList/')) {
      const field = key.slice('$deleteFromPrimitiveList/'.length);
      const [current, removed] = [result[field], value];
      if (Array.isArray(current) && Array.isArray(removed)) result[field] = current.filter((item) => !removed.includes(item));
      continue;
    }
    if (key.startsWith('$')) continue;
    const child = path === '' ? key : `${path}.${key}`;
    if (value === null) Reflect.deleteProperty(result, key);
    else if (Array.isArray(value)) result[key] = mergeList(result[key], value, child);
    else if (isRecord(value)) {
      const merged = strategicMerge(result[key], value, child);
      if (merged === undefined) Reflect.deleteProperty(result, key);
      else result[key] = merged;
    } else result[key] = value;
  }
  return result;
}

function mergeList(target: unknown, patch: readonly unknown[], path: string): unknown[] {
  const current = Array.isArray(target) ? (target as unknown[]) : [];
  if (MERGED_SETS.includes(path)) return [...new Set([...current, ...patch])];
  const keys = LIST_KEYS[path];
  if (!keys) return [...patch];
  if (patch.some((item) => isRecord(item) && item['$patch'] === 'replace')) {
    return patch.filter((item) => !(isRecord(item) && item['$patch'] === 'replace'));
  }

  const result = [...current];
  for (const item of patch) {
    if (!isRecord(item)) continue;
    const isSame = (other: unknown): boolean => isRecord(other) && keys.every((key) => item[key] === undefined || other[key] === item[key]);
    const index = result.findIndex(isSame);
    if (item['$patch'] === 'delete') {
      for (let at = result.findIndex(isSame); at !== -1; at = result.findIndex(isSame)) result.splice(at, 1);
    } else if (index === -1) result.push(strategicMerge({}, item, path));
    else result[index] = strategicMerge(result[index], item, path);
  }
  return result;
}
