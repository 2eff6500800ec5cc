import { Problem } from '@corral/contracts';
import type { z } from 'zod';

/** What was sent, as its schema reads it; refuses (422) with every field that is wrong. For what is sent and never stored. */
export function parseBody<Schema extends z.ZodType>(schema: Schema, type: { readonly group: string; readonly kind: string }, value: unknown): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const causes = parsed.error.issues.map((issue) => ({ field: issue.path.join('.'), reason: 'FieldValueInvalid', message: issue.message }));
  const name = type.group === '' ? type.kind : `${type.kind}.${type.group}`;
  throw new Problem('object.invalid', `${name} is invalid: ${causes.map(({ field, message }) => `${field}: ${message}`).join(', ')}`, { details: { ...type, causes } });
}
