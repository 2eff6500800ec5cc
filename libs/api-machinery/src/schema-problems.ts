import { UNREADABLE, type FieldProblem } from '@corral/contracts';
import type { z } from 'zod';
import { formatPath, isRecord, valueAtParts, type JsonRecord } from './field-path.ts';

export interface Parsed<T> {
  /** The parsed value with defaults; when something was wrong, what is left without it. */
  readonly value: T;
  /** Whether `value` is what the schema promises. */
  readonly complete: boolean;
  /** Paths of fields the schema does not know. */
  readonly unknown: readonly string[];
  readonly problems: readonly FieldProblem[];
  /** What cannot be read at all, e.g. a quantity that is none: `spec.hard.pods: quantities must …`. */
  readonly unreadable: readonly string[];
}

/**
 * Parses against a schema and goes on after errors: bad fields are cut out and the rest is parsed again, so that rules
 * about other fields can still be checked and everything wrong is said at once.
 */
export function parseAll<T>(schema: z.ZodType<T>, raw: JsonRecord, root: readonly PropertyKey[] = []): Parsed<T> {
  const first = schema.safeParse(raw);
  if (first.success) return { value: first.data, complete: true, unknown: [], problems: [], unreadable: [] };

  const unknown: string[] = [];
  const problems: FieldProblem[] = [];
  const unreadable: string[] = [];
  const rest = structuredCopy(raw) as JsonRecord;
  for (const issue of first.error.issues) {
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys) {
        unknown.push(formatPath([...root, ...issue.path, key]));
        remove(rest, [...issue.path, key]);
      }
    } else if (issue.code === 'custom' && issue.params?.[UNREADABLE] === true) {
      unreadable.push(`${formatPath([...root, ...issue.path])}: ${issue.message}`);
      remove(rest, issue.path);
    } else {
      problems.push(problemOf(issue, raw, root));
      remove(rest, issue.path);
    }
  }
  const second = schema.safeParse(rest);
  // A field that is required and missing cannot be cut out: rules then see the rest as it came.
  return { value: second.success ? second.data : (rest as T), complete: second.success, unknown, problems, unreadable };
}

function problemOf(issue: z.core.$ZodIssue, raw: unknown, root: readonly PropertyKey[]): FieldProblem {
  const field = formatPath([...root, ...issue.path]);
  const value = valueAtParts(raw, issue.path);
  if (value === undefined) return { field, reason: 'FieldValueRequired', message: '' };
  switch (issue.code) {
    case 'invalid_type':
      return { field, reason: 'FieldValueTypeInvalid', message: `must be of type ${issue.expected}` };
    case 'invalid_value':
      return { field, reason: 'FieldValueNotSupported', message: `supported values: ${issue.values.map((allowed) => JSON.stringify(allowed)).join(', ')}` };
    case 'too_big':
      return { field, reason: issue.origin === 'string' ? 'FieldValueTooLong' : 'FieldValueInvalid', message: issue.message };
    default:
      return { field, reason: 'FieldValueInvalid', message: issue.message };
  }
}

function structuredCopy(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(structuredCopy);
  return isRecord(value) ? Object.fromEntries(Object.entries(value).map(([key, field]) => [key, structuredCopy(field)])) : value;
}

/** Cuts a path out. An item of a list takes the whole list along: cutting it alone would move the others. */
function remove(container: unknown, path: readonly PropertyKey[]): void {
  const [key, next] = path;
  if (key === undefined || !(isRecord(container) || Array.isArray(container))) return;
  const fields = container as JsonRecord;
  if (next === undefined || (path.length === 2 && Array.isArray(fields[String(key)]))) Reflect.deleteProperty(fields, key);
  else remove(fields[String(key)], path.slice(1));
}
