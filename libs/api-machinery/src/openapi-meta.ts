import type { JsonRecord } from './field-path.ts';

/** The types that every kind shares. Source: k8s.io/apimachinery/pkg/apis/meta/v1. */
export const OBJECT_META = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta';
const MANAGED_FIELDS = 'io.k8s.apimachinery.pkg.apis.meta.v1.ManagedFieldsEntry';
export const LIST_META = 'io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta';
export const STATUS = 'io.k8s.apimachinery.pkg.apis.meta.v1.Status';
export const DELETE_OPTIONS = 'io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions';

export const schemaRef = (name: string): JsonRecord => ({ $ref: `#/components/schemas/${name}` });

const text = (description: string) => ({ type: 'string', description });
const texts = (description: string) => ({ type: 'object', description, additionalProperties: { type: 'string', default: '' } });
export const META_SCHEMAS: JsonRecord = {
  [OBJECT_META]: {
    type: 'object',
    description: 'ObjectMeta is metadata that all persisted resources must have.',
    properties: {
      name: text('Unique within a namespace and kind.'),
      generateName: text('Prefix of a name the server makes up.'),
      namespace: text('The namespace the object lives in.'),
      uid: text('Unique in time and space.'),
      resourceVersion: text('Changes with every write; sent back, it guards against lost updates.'),
      generation: { type: 'integer', format: 'int64', description: 'One higher with every change of the desired state.' },
      creationTimestamp: { type: 'string', format: 'date-time', description: 'When the server created it.' },
      deletionTimestamp: { type: 'string', format: 'date-time', description: 'When its deletion was asked for.' },
      deletionGracePeriodSeconds: { type: 'integer', format: 'int64', description: 'Always 0.' },
      labels: texts('Keys and values to select by.'),
      annotations: texts('Keys and values that say more.'),
      finalizers: { type: 'array', description: 'What must be done before the object may go.', 'x-kubernetes-list-type': 'set', items: { type: 'string', default: '' } },
      ownerReferences: { type: 'array', description: 'Objects it depends on.', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['uid'], items: { type: 'object', properties: { apiVersion: text('Of the owner.'), kind: text('Of the owner.'), name: text('Of the owner.'), uid: text('Of the owner.'), controller: { type: 'boolean' }, blockOwnerDeletion: { type: 'boolean' } }, required: ['apiVersion', 'kind', 'name', 'uid'] } },
      managedFields: { type: 'array', description: 'Who manages which field. Kept by the server; `[{}]` clears it.', items: schemaRef(MANAGED_FIELDS) },
    },
  },
  [MANAGED_FIELDS]: {
    type: 'object',
    description: 'The fields that one manager manages.',
    properties: {
      manager: text('Who it is.'), operation: text('Apply or Update.'), apiVersion: text('The version the fields are of.'), time: { type: 'string', format: 'date-time', description: 'When it changed last.' },
      fieldsType: text('FieldsV1.'), fieldsV1: { type: 'object', description: 'The set of fields, as a tree.' }, subresource: text('The door it wrote through, if not the main one.'),
    },
  },
  [LIST_META]: { type: 'object', properties: { resourceVersion: text('Version of the list.'), continue: text('Token of the next page.'), remainingItemCount: { type: 'integer', format: 'int64' } } },
  [STATUS]: {
    type: 'object',
    description: 'Status is a return value for calls that do not return other objects.',
    properties: { apiVersion: text(''), kind: text(''), status: text('Success or Failure.'), message: text('For people.'), reason: text('For programs.'), code: { type: 'integer', format: 'int32' }, details: { type: 'object' } },
    'x-kubernetes-group-version-kind': [{ group: '', version: 'v1', kind: 'Status' }],
  },
  [DELETE_OPTIONS]: {
    type: 'object',
    properties: { apiVersion: text(''), kind: text(''), gracePeriodSeconds: { type: 'integer', format: 'int64' }, propagationPolicy: text('Background, Foreground or Orphan.'), dryRun: { type: 'array', items: { type: 'string' } }, preconditions: { type: 'object', properties: { uid: text(''), resourceVersion: text('') } } },
    'x-kubernetes-group-version-kind': [{ group: '', version: 'v1', kind: 'DeleteOptions' }],
  },
};
