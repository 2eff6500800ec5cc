import { apiVersionOf, Problem, type KindDefinition } from '@corral/contracts';
import protobuf, { type Type } from 'protobufjs';
import type { Decoded } from './decode.ts';
import { isRecord, type JsonRecord } from './field-path.ts';
import { malformed } from './refusals.ts';

/**
 * Bodies in Kubernetes's protobuf: kubectl 1.32 and later create some built-in kinds so, and do not fall back to JSON.
 * Sources of field numbers: k8s.io/apimachinery and k8s.io/api, generated.proto.
 */
export const PROTOBUF_MEDIA_TYPE = 'application/vnd.kubernetes.protobuf';

const MESSAGES = protobuf.parse(`
  syntax = "proto2";
  message Unknown { optional TypeMeta typeMeta = 1; optional bytes raw = 2; }
  message TypeMeta { optional string apiVersion = 1; optional string kind = 2; }
  message ObjectMeta {
    optional string name = 1; optional string generateName = 2; optional string namespace = 3; optional string uid = 5; optional string resourceVersion = 6;
    map<string, string> labels = 11; map<string, string> annotations = 12; repeated OwnerReference ownerReferences = 13; repeated string finalizers = 14;
  }
  message OwnerReference {
    optional string kind = 1; optional string name = 3; optional string uid = 4; optional string apiVersion = 5; optional bool controller = 6; optional bool blockOwnerDeletion = 7;
  }
  message Namespace { optional ObjectMeta metadata = 1; optional NamespaceSpec spec = 2; }
  message NamespaceSpec { repeated string finalizers = 1; }
`).root;

/** Four bytes before every body: "k8s" and a zero. */
const MAGIC = [0x6b, 0x38, 0x73, 0x00];

/** Kinds that are read in protobuf, by the name of their message. */
const READABLE: Readonly<Record<string, string | undefined>> = { 'v1/Namespace': 'Namespace' };

export const readsProtobuf = (kind: KindDefinition): boolean => READABLE[`${apiVersionOf(kind)}/${kind.kind}`] !== undefined;

/** The object in an envelope, as JSON would have said it. Refuses (415) kinds that are not read so, and (400) what is no envelope. */
export function decodeProtobuf(kind: KindDefinition, body: Uint8Array): Decoded {
  const message = READABLE[`${apiVersionOf(kind)}/${kind.kind}`];
  if (message === undefined) {
    throw new Problem('media.unsupported', 'the body of the request was in an unknown format - accepted media types include: application/json, application/yaml');
  }
  if (!MAGIC.every((byte, index) => body[index] === byte)) throw malformed('the body does not begin like Kubernetes protobuf');
  try {
    const { typeMeta, raw } = toJson(MESSAGES.lookupType('Unknown'), body.subarray(MAGIC.length), true);
    const object = toJson(MESSAGES.lookupType(message), raw instanceof Uint8Array ? raw : new Uint8Array());
    const type = isRecord(typeMeta) ? typeMeta : {};
    return { value: { apiVersion: type['apiVersion'], kind: type['kind'], ...withoutEmpty(object) }, duplicates: [] };
  } catch (cause) {
    throw malformed('the body is not a protobuf message of this kind', cause);
  }
}

function toJson(type: Type, bytes: Uint8Array, keepBytes = false): JsonRecord {
  return type.toObject(type.decode(bytes), keepBytes ? {} : { bytes: String, longs: String });
}

/** Go sends empty strings and messages for what is not set. */
function withoutEmpty(value: JsonRecord): JsonRecord {
  const kept = Object.entries(value)
    .map(([key, field]) => [key, isRecord(field) ? withoutEmpty(field) : field] as const)
    .filter(([, field]) => field !== '' && !(isRecord(field) && Object.keys(field).length === 0));
  return Object.fromEntries(kept);
}
