import fc from 'fast-check';
import { hostileValue } from './hostile-values.ts';

/** As much of JSON Schema as the API's OpenAPI document uses. */
export interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly required?: readonly string[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
}

const MAX_DEPTH = 7;

/** Values that mostly fit the schema, each part now and then replaced by something hostile. */
export function valuesOf(schema: Schema, schemas: Readonly<Record<string, Schema>>, depth = 0): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 14, arbitrary: fitting(schema, schemas, depth) }, { weight: 1, arbitrary: hostileValue });
}

function fitting(schema: Schema, schemas: Readonly<Record<string, Schema>>, depth: number): fc.Arbitrary<unknown> {
  if (depth > MAX_DEPTH) return hostileValue;
  const next = (inner: Schema): fc.Arbitrary<unknown> => valuesOf(inner, schemas, depth + 1);
  if (schema.$ref !== undefined) return next(schemas[schema.$ref.split('/').at(-1) ?? ''] ?? {});
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices && choices.length > 0) return fc.oneof(...choices.map(next));
  if (schema.allOf && schema.allOf.length > 0) return fc.tuple(...schema.allOf.map(next)).map((parts) => Object.assign({}, ...parts) as unknown);
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum && schema.enum.length > 0) return fc.constantFrom(...schema.enum);
  switch (schema.type) {
    case 'string':
      return fc.oneof(fc.constantFrom('default', 'a', 'some-name', '64Mi', '10', '2026-01-01T00:00:00Z', 'tiny'), fc.string({ maxLength: 20 }));
    case 'integer':
    case 'number':
      return fc.oneof(fc.integer({ min: -2, max: 100 }), fc.double({ noNaN: true, noDefaultInfinity: true }));
    case 'boolean':
      return fc.boolean();
    case 'array':
      return fc.array(next(schema.items ?? {}), { maxLength: 3 });
    default:
      return objects(schema, next);
  }
}

function objects(schema: Schema, next: (schema: Schema) => fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  const { properties = {}, required = [], additionalProperties } = schema;
  const model = Object.fromEntries(Object.entries(properties).map(([name, inner]) => [name, next(inner)]));
  const known = fc.record(model, { requiredKeys: required.filter((name) => name in model) });
  if (additionalProperties === undefined || additionalProperties === false) return known;
  const more = fc.dictionary(fc.constantFrom('memory', 'app', 'count/secrets', 'pods', 'a.b/c'), next(additionalProperties === true ? {} : additionalProperties), { maxKeys: 3 });
  return fc.tuple(known, more).map(([fields, others]) => ({ ...fields, ...others }));
}
