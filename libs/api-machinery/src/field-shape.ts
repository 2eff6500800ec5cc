import type { KindDefinition } from '@corral/contracts';
import { isRecord, type JsonRecord } from './field-path.ts';
import { jsonSchemaOf } from './json-schema.ts';

/**
 * What of a value is one field, and what is many. Objects are many; lists are one, unless the schema says that their items have
 * keys (`x-kubernetes-list-type: map`) or are a set. Source: Kubernetes, "Server-Side Apply", merge strategy.
 */
export type FieldShape =
  | { readonly type: 'Fields'; readonly fields: Readonly<Record<string, FieldShape>>; readonly others: FieldShape | undefined }
  | { readonly type: 'Atomic' }
  | { readonly type: 'ListMap'; readonly keys: readonly string[]; readonly item: FieldShape }
  | { readonly type: 'Set' };

const ATOMIC: FieldShape = { type: 'Atomic' };
/** Where no schema says anything: objects are many fields, lists one. */
const UNDECLARED: FieldShape = { type: 'Fields', fields: {}, others: undefined };

const METADATA: FieldShape = {
  type: 'Fields',
  fields: { ownerReferences: { type: 'ListMap', keys: ['uid'], item: UNDECLARED }, finalizers: { type: 'Set' } },
  others: undefined,
};

const shapes = new WeakMap<KindDefinition, FieldShape>();

/** The shape of a kind's objects, from the schema that validates them. */
export function shapeOf(kind: KindDefinition): FieldShape {
  const known = shapes.get(kind);
  if (known) return known;
  const body = shapeOfSchema(jsonSchemaOf(kind.body));
  const fields = { ...(body.type === 'Fields' ? body.fields : {}), metadata: METADATA, ...(kind.status ? { status: shapeOfSchema(jsonSchemaOf(kind.status)) } : {}) };
  const shape: FieldShape = { type: 'Fields', fields, others: undefined };
  shapes.set(kind, shape);
  return shape;
}

/** The shape of the field at `name`. */
export function shapeAt(shape: FieldShape, name: string): FieldShape {
  if (shape.type !== 'Fields') return UNDECLARED;
  return (Object.hasOwn(shape.fields, name) ? shape.fields[name] : shape.others) ?? UNDECLARED;
}

function shapeOfSchema(schema: JsonRecord): FieldShape {
  if (schema['type'] === 'array') return shapeOfList(schema);
  if (schema['x-kubernetes-map-type'] === 'atomic') return ATOMIC;
  const { properties, additionalProperties } = schema;
  if (!isRecord(properties) && !isRecord(additionalProperties)) return UNDECLARED;
  const fields = Object.entries(isRecord(properties) ? properties : {}).map(([field, below]) => [field, shapeOfSchema(isRecord(below) ? below : {})] as const);
  return { type: 'Fields', fields: Object.fromEntries(fields), others: isRecord(additionalProperties) ? shapeOfSchema(additionalProperties) : undefined };
}

function shapeOfList(schema: JsonRecord): FieldShape {
  const items = isRecord(schema['items']) ? schema['items'] : {};
  const keys = schema['x-kubernetes-list-map-keys'];
  if (schema['x-kubernetes-list-type'] === 'set') return { type: 'Set' };
  if (schema['x-kubernetes-list-type'] === 'map' && Array.isArray(keys)) return { type: 'ListMap', keys: keys.map(String), item: shapeOfSchema(items) };
  return ATOMIC;
}
