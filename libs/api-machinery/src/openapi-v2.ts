import protobuf from 'protobufjs';
import { isRecord, type JsonRecord } from './field-path.ts';

/**
 * The OpenAPI document as v2 in protobuf, which kubectl before 1.27 reads and nothing else: to explain a kind, to check a
 * manifest, to learn whether a kind can be dry-run. Only what it reads is written.
 * Source: gnostic's openapiv2/OpenAPIv2.proto.
 */
const DOCUMENT = protobuf
  .parse(
    `syntax = "proto3";
    message Document { string swagger = 1; Info info = 2; Paths paths = 8; Definitions definitions = 9; }
    message Info { string title = 1; string version = 2; }
    message Paths { repeated NamedPathItem path = 2; }
    message NamedPathItem { string name = 1; PathItem value = 2; }
    message PathItem { Operation get = 2; Operation put = 3; Operation post = 4; Operation delete = 5; Operation patch = 8; }
    message Operation { string operation_id = 5; repeated ParametersItem parameters = 8; Responses responses = 9; repeated NamedAny vendor_extension = 13; }
    message ParametersItem { Parameter parameter = 1; }
    message Parameter { NonBodyParameter non_body_parameter = 2; }
    message NonBodyParameter { QueryParameter query_parameter_sub_schema = 3; }
    message QueryParameter { string in = 2; string description = 3; string name = 4; string type = 6; }
    message Responses { repeated NamedResponse response_code = 1; }
    message NamedResponse { string name = 1; ResponseValue value = 2; }
    message ResponseValue { Response response = 1; }
    message Response { string description = 1; }
    message Definitions { repeated NamedSchema additional_properties = 1; }
    message NamedSchema { string name = 1; Schema value = 2; }
    message Schema {
      string _ref = 1; string format = 2; string description = 4; repeated string required = 19; AdditionalProperties additional_properties = 21;
      TypeItem type = 22; ItemsItem items = 23; Properties properties = 25; repeated NamedAny vendor_extension = 31;
    }
    message AdditionalProperties { Schema schema = 1; }
    message TypeItem { repeated string value = 1; }
    message ItemsItem { repeated Schema schema = 1; }
    message Properties { repeated NamedSchema additional_properties = 1; }
    message NamedAny { string name = 1; Any value = 2; }
    message Any { string yaml = 2; }`,
    { keepCase: true },
  )
  .root.lookupType('Document');

const GROUP_VERSION_KIND = 'x-kubernetes-group-version-kind';

/** Several v3 documents as one v2 document. */
export function openApiV2(documents: readonly JsonRecord[], serverVersion: string): Uint8Array {
  const paths = documents.flatMap((document) => entriesOf(document['paths']));
  const schemas = new Map(documents.flatMap((document) => entriesOf(isRecord(document['components']) ? document['components']['schemas'] : {})));
  return DOCUMENT.encode({
    swagger: '2.0',
    info: { title: 'Corral', version: serverVersion },
    paths: { path: paths.map(([name, item]) => ({ name, value: pathItemOf(item) })) },
    definitions: { additional_properties: [...schemas].map(([name, schema]) => ({ name, value: schemaOf(schema) })) },
  }).finish();
}

function pathItemOf(item: JsonRecord): JsonRecord {
  const methods = ['get', 'put', 'post', 'delete', 'patch'].filter((method) => isRecord(item[method]));
  return Object.fromEntries(methods.map((method) => [method, operationOf(item[method] as JsonRecord)]));
}

function operationOf(operation: JsonRecord): JsonRecord {
  const parameters = Array.isArray(operation['parameters']) ? (operation['parameters'] as JsonRecord[]) : [];
  return {
    operation_id: operation['operationId'],
    parameters: parameters.map(({ name, description, schema }) => ({
      parameter: { non_body_parameter: { query_parameter_sub_schema: { in: 'query', name, description, type: isRecord(schema) ? schema['type'] : 'string' } } },
    })),
    responses: { response_code: [{ name: '200', value: { response: { description: 'OK' } } }] },
    vendor_extension: extensionsOf(operation),
  };
}

/** `allOf` with one reference is how v3 puts a description beside it; v2 has room for both. Other unions say nothing here. */
function schemaOf(schema: JsonRecord): JsonRecord {
  const reference = isRecord(schema) ? (schema['$ref'] ?? firstReference(schema['allOf'])) : undefined;
  if (typeof reference === 'string') return { _ref: reference.replace('#/components/schemas/', '#/definitions/'), description: schema['description'] ?? '' };
  const { type, items, properties, additionalProperties } = schema;
  return {
    ...(typeof schema['format'] === 'string' ? { format: schema['format'] } : {}),
    ...(typeof schema['description'] === 'string' ? { description: schema['description'] } : {}),
    ...(Array.isArray(schema['required']) ? { required: schema['required'] } : {}),
    ...(typeof type === 'string' ? { type: { value: [type] } } : {}),
    ...(isRecord(items) ? { items: { schema: [schemaOf(items)] } } : {}),
    ...(isRecord(properties) ? { properties: { additional_properties: entriesOf(properties).map(([name, value]) => ({ name, value: schemaOf(value) })) } } : {}),
    ...(isRecord(additionalProperties) ? { additional_properties: { schema: schemaOf(additionalProperties) } } : {}),
    vendor_extension: extensionsOf(schema),
  };
}

function firstReference(allOf: unknown): unknown {
  const first: unknown = Array.isArray(allOf) ? allOf[0] : undefined;
  return isRecord(first) ? first['$ref'] : undefined;
}

/** JSON is YAML. */
function extensionsOf(source: JsonRecord): JsonRecord[] {
  const value = source[GROUP_VERSION_KIND];
  return value === undefined ? [] : [{ name: GROUP_VERSION_KIND, value: { yaml: JSON.stringify(value) } }];
}

function entriesOf(value: unknown): [string, JsonRecord][] {
  return isRecord(value) ? Object.entries(value).filter((entry): entry is [string, JsonRecord] => isRecord(entry[1])) : [];
}
