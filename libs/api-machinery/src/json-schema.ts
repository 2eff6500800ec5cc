import { z } from 'zod';
import type { JsonRecord } from './field-path.ts';

/** A zod schema as the JSON schema of what may be sent, in OpenAPI's dialect; `.meta()` comes along. */
export function jsonSchemaOf(schema: z.ZodType): JsonRecord {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input', unrepresentable: 'any' });
  return rest;
}
