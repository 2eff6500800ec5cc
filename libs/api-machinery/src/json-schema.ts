import { z } from 'zod';
import { isRecord, type JsonRecord } from './field-path.ts';

/** A zod schema as the JSON schema of what may be sent, in OpenAPI's dialect; `.meta()` comes along. */
export function jsonSchemaOf(schema: z.ZodType): JsonRecord {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input', unrepresentable: 'any' });
  return withConditionKeys(rest);
}

/** Conditions have one meaning wherever they stand: a list by type (API conventions, "Typical status properties"). */
function withConditionKeys(schema: JsonRecord): JsonRecord {
  const result = { ...schema };
  for (const key of ['items', 'additionalProperties'] as const) {
    const below = result[key];
    if (isRecord(below)) result[key] = withConditionKeys(below);
  }
  if (!isRecord(result['properties'])) return result;
  const properties = Object.entries(result['properties']).map(([name, below]) => [name, isRecord(below) ? keyedConditions(name, withConditionKeys(below)) : below] as const);
  return { ...result, properties: Object.fromEntries(properties) };
}

function keyedConditions(name: string, schema: JsonRecord): JsonRecord {
  const { type, items } = schema;
  const isConditions = name === 'conditions' && type === 'array' && isRecord(items) && isRecord(items['properties']) && 'type' in items['properties'];
  return isConditions ? { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'], ...schema } : schema;
}
