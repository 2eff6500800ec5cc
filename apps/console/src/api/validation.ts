import type { Refusal } from './refusal.ts';

/** A refusal, spread over the fields of a form; what belongs to no field stays above it. */
export interface FieldProblems<Field extends string> {
  readonly fields: Readonly<Partial<Record<Field, readonly string[]>>>;
  readonly others: readonly string[];
}

/**
 * Puts each cause of an Invalid beside the field it names. `paths` maps a form's fields to paths of the object; a cause
 * belongs to the longest path that begins its own. Every cause comes out exactly once.
 */
export function mapRefusal<Field extends string>(
  refusal: Refusal,
  paths: Readonly<Record<Field, readonly string[]>>,
): FieldProblems<Field> {
  const causes = refusal.status?.details?.causes ?? [];
  const fields: Partial<Record<Field, string[]>> = {};
  if (causes.length === 0) return { fields, others: [refusal.message] };
  const others: string[] = [];
  for (const cause of causes) {
    const field = cause.field === undefined ? undefined : ownerOf(cause.field, paths);
    if (field === undefined) others.push(cause.field ? `${cause.field}: ${cause.message}` : cause.message);
    else (fields[field] ??= []).push(cause.message);
  }
  return { fields, others };
}

function ownerOf<Field extends string>(
  path: string,
  paths: Readonly<Record<Field, readonly string[]>>,
): Field | undefined {
  const owners = (Object.entries(paths) as [Field, readonly string[]][])
    .flatMap(([field, owned]) => owned.map((prefix) => ({ field, prefix })))
    .filter(({ prefix }) => path === prefix || path.startsWith(`${prefix}.`) || path.startsWith(`${prefix}[`))
    .sort((a, b) => b.prefix.length - a.prefix.length);
  return owners[0]?.field;
}
