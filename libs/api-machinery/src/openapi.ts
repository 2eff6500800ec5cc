import { apiVersionOf, type KindDefinition } from '@corral/contracts';
import { isRecord, type JsonRecord } from './field-path.ts';
import { jsonSchemaOf } from './json-schema.ts';
import { LIST_META, META_SCHEMAS, OBJECT_META, schemaRef } from './openapi-meta.ts';
import { openApiPaths, type ServedRoute } from './openapi-paths.ts';

/**
 * OpenAPI v3 of some kinds and of the routes that serve them, from the same schemas that validate: what `kubectl apply`, `create`
 * and `explain` read.
 */
export function openApiDocument(kinds: readonly KindDefinition[], serverVersion: string, routes: readonly ServedRoute[] = []): JsonRecord {
  return {
    openapi: '3.0.0',
    info: { title: 'Corral', version: serverVersion },
    paths: openApiPaths(kinds, schemaName, routes),
    components: { schemas: { ...META_SCHEMAS, ...(Object.assign({}, ...kinds.map(schemasOf)) as JsonRecord) } },
  };
}

/** `dev.corral.v1.VirtualMachine`; Kubernetes's own are `io.k8s.api.core.v1.Node`. */
function schemaName({ group, version, kind, builtIn }: KindDefinition): string {
  if (builtIn) return `io.k8s.api.${group === '' ? 'core' : (group.split('.')[0] ?? '')}.${version}.${kind}`;
  return `${group.split('.').reverse().join('.')}.${version}.${kind}`;
}

const groupVersionKind = ({ group, version, kind }: KindDefinition) => ({ group, version, kind });

function schemasOf(kind: KindDefinition): JsonRecord {
  const body = jsonSchemaOf(kind.body);
  const properties = {
    apiVersion: { type: 'string', description: 'APIVersion defines the versioned schema of this representation of an object.' },
    kind: { type: 'string', description: 'Kind is the REST resource this object represents.' },
    metadata: { description: 'Standard object metadata.', default: {}, allOf: [schemaRef(OBJECT_META)] },
    ...(isRecord(body['properties']) ? body['properties'] : {}),
    ...(kind.status ? { status: { description: 'What is observed. Written by the system.', ...jsonSchemaOf(kind.status) } } : {}),
  };
  const name = schemaName(kind);
  return {
    [name]: {
      type: 'object',
      description: `${kind.kind} is a kind of ${apiVersionOf(kind)}.`,
      properties,
      ...(Array.isArray(body['required']) ? { required: body['required'] } : {}),
      'x-kubernetes-group-version-kind': [groupVersionKind(kind)],
    },
    [`${name}List`]: {
      type: 'object',
      description: `A list of ${kind.kind}.`,
      properties: { apiVersion: properties.apiVersion, kind: properties.kind, metadata: { allOf: [schemaRef(LIST_META)] }, items: { type: 'array', items: schemaRef(name) } },
      required: ['items'],
      'x-kubernetes-group-version-kind': [{ ...groupVersionKind(kind), kind: `${kind.kind}List` }],
    },
  };
}
