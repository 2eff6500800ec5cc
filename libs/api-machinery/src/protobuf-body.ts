import { Problem, toKubeMicroTime, toKubeTime } from '@corral/contracts';
import protobuf, { type Type } from 'protobufjs';
import { OBJECT_MEDIA_TYPES, requireStorable, type Decoded } from './decode.ts';
import { isRecord, type JsonRecord } from './field-path.ts';
import { MESSAGES, READABLE_KINDS } from './protobuf-messages.ts';
import { malformed } from './refusals.ts';

/** Bodies in Kubernetes's protobuf: kubectl 1.32 and later send built-in kinds so, and do not fall back to JSON. */
export const PROTOBUF_MEDIA_TYPE = 'application/vnd.kubernetes.protobuf';

/** What objects are read from. */
export const BODY_MEDIA_TYPES = [...OBJECT_MEDIA_TYPES, PROTOBUF_MEDIA_TYPE] as const;

const ROOT = protobuf.parse(MESSAGES).root;

/** Four bytes before every body: "k8s" and a zero. */
const MAGIC = [0x6b, 0x38, 0x73, 0x00];

/** The object in an envelope, as JSON would have said it. Refuses (415) kinds that are not read so, and (400) what is no envelope. */
export function decodeProtobuf(body: Uint8Array): Decoded {
  if (!MAGIC.every((byte, index) => body[index] === byte)) throw malformed('the body does not begin like Kubernetes protobuf');
  const { typeMeta, raw } = decode(ROOT.lookupType('Unknown'), body.subarray(MAGIC.length));
  const { apiVersion = '', kind = '' } = (isRecord(typeMeta) ? typeMeta : {}) as { apiVersion?: string; kind?: string };
  const readable = Object.hasOwn(READABLE_KINDS, apiVersion) ? READABLE_KINDS[apiVersion] : undefined;
  // Typed clients write the options of a deletion in the group of what they delete.
  if (kind !== 'DeleteOptions' && !readable?.includes(kind)) {
    throw new Problem('media.unsupported', `${kind} of ${apiVersion} is not read in protobuf - accepted media types include: ${OBJECT_MEDIA_TYPES.join(', ')}`);
  }
  const type = ROOT.lookupType(kind);
  const message = decode(type, raw instanceof Uint8Array ? raw : new Uint8Array());
  const value = { apiVersion, kind, ...jsonOf(type, message) };
  requireStorable(value);
  return { value, duplicates: [] };
}

function decode(type: Type, bytes: Uint8Array): JsonRecord {
  try {
    return type.decode(bytes) as unknown as JsonRecord;
  } catch (cause) {
    throw malformed('the body is not a protobuf message of this kind', cause);
  }
}

/** Go sends empty strings, zero times and empty messages for what is not set: they are left out, as its JSON leaves them out. */
function jsonOf(type: Type, message: JsonRecord): JsonRecord {
  const json: JsonRecord = {};
  for (const { name, repeated, map, resolvedType } of type.fieldsArray) {
    // Defaults are on the prototype of a decoded message.
    if (!Object.hasOwn(message, name)) continue;
    const nested = resolvedType instanceof protobuf.Type ? resolvedType : undefined;
    const value = message[name];
    if (repeated) {
      const items = (value as unknown[]).map((item) => valueOf(nested, item));
      if (items.length > 0) json[name] = items;
    } else if (map) {
      const entries = Object.entries(value as JsonRecord).map(([key, item]) => [key, valueOf(nested, item)] as const);
      if (entries.length > 0) json[name] = Object.fromEntries(entries);
    } else {
      const single = valueOf(nested, value);
      if (!isUnset(nested, single)) json[name] = single;
    }
  }
  return json;
}

function valueOf(type: Type | undefined, value: unknown): unknown {
  if (value instanceof Uint8Array) return protobuf.util.base64.encode(value, 0, value.length);
  // Numbers of 64 bits are decoded as objects of their own.
  if (!type) return isRecord(value) ? Number(String(value)) : value;
  const message = value as JsonRecord;
  switch (type.name) {
    case 'Time':
      return timeOf(message, toKubeTime);
    case 'MicroTime':
      return timeOf(message, toKubeMicroTime);
    case 'Quantity':
      return message['string'];
    case 'IntOrString':
      return Number(String(message['type'] ?? 0)) === 0 ? message['intVal'] : message['strVal'];
    case 'FieldsV1':
      return fieldsOf(message['Raw']);
    case 'ExtraValue':
      return message['items'];
    default:
      return jsonOf(type, message);
  }
}

/** An empty selector selects everything, and none nothing: where one may be absent, an empty one was meant. */
const isUnset = (type: Type | undefined, value: unknown): boolean =>
  value === undefined || value === '' || (isRecord(value) && Object.keys(value).length === 0 && type?.name !== 'LabelSelector');

function timeOf({ seconds, nanos }: JsonRecord, write: (date: Date) => string): string | undefined {
  const epochSeconds = Number(String(seconds ?? 0));
  const date = new Date(epochSeconds * 1000 + Number(nanos ?? 0) / 1e6);
  // Go's zero time is year 1, and an empty message says the same.
  return epochSeconds > 0 && !Number.isNaN(date.getTime()) ? write(date) : undefined;
}

function fieldsOf(raw: unknown): unknown {
  try {
    return raw instanceof Uint8Array ? JSON.parse(protobuf.util.utf8.read(raw, 0, raw.length)) : undefined;
  } catch (cause) {
    throw malformed('the body holds managedFields that are not JSON', cause);
  }
}
