import { apiVersionOf, type KindDefinition, type KubeObject, type WatchEvent } from '@corral/contracts';
import type { ListMeta } from '@corral/api-machinery';

/**
 * Objects as JSON, each written once for as long as it is kept: by whoever reads it, lists it or watches it first. That is
 * right because an object that was read from the store never changes; a new version is a new object.
 */
const documents = new WeakMap<KubeObject, Buffer>();

export function objectJson(object: KubeObject): Buffer {
  const known = documents.get(object);
  if (known) return known;
  const document = lasting([Buffer.from(JSON.stringify(object))]);
  documents.set(object, document);
  return document;
}

/** In memory of its own: a slice of Node's pool would keep all 64 KiB of it for as long as the object is there. */
function lasting(parts: readonly Buffer[]): Buffer {
  const bytes = Buffer.allocUnsafeSlow(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) at += part.copy(bytes, at);
  return bytes;
}

const COMMA = ','.charCodeAt(0);

/** A list of whole objects, as `presentList` has it. */
export function listJson(kind: KindDefinition, objects: readonly KubeObject[], metadata: ListMeta): Buffer {
  const head = Buffer.from(`${JSON.stringify({ kind: `${kind.kind}List`, apiVersion: apiVersionOf(kind), metadata }).slice(0, -1)},"items":[`);
  const items = objects.map(objectJson);
  const list = Buffer.allocUnsafe(items.reduce((sum, { length }) => sum + length + 1, head.length + (items.length === 0 ? 1 : 0)) + 1);
  let at = head.copy(list);
  for (const [index, item] of items.entries()) {
    if (index > 0) list[at++] = COMMA;
    at += item.copy(list, at);
  }
  list.write(']}', at, 'latin1');
  return list;
}

const chunks = new WeakMap<KubeObject, { readonly type: WatchEvent['type']; readonly chunk: Buffer }>();

/** An event about a whole object as a chunk that holds a line of a watch: the same bytes for everyone who is told. */
export function eventChunk({ type, object }: WatchEvent): Buffer {
  const known = chunks.get(object);
  if (known?.type === type) return known.chunk;
  const json = objectJson(object);
  const [head, tail] = [Buffer.from(`{"type":"${type}","object":`), Buffer.from('}\n')];
  const size = Buffer.from(`${(head.length + json.length + tail.length).toString(16)}\r\n`);
  const chunk = lasting([size, head, json, tail, Buffer.from('\r\n')]);
  chunks.set(object, { type, chunk });
  // One copy is enough.
  documents.set(object, chunk.subarray(size.length + head.length, size.length + head.length + json.length));
  return chunk;
}

/** Bytes as a chunk of an answer whose length is not known. Source: RFC 9112 §7.1. */
export const chunkOf = (bytes: Buffer): Buffer => Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);

/** What a chunk of `chunkOf` holds. */
export const contentOf = (chunk: Buffer): Buffer => chunk.subarray(chunk.indexOf('\n') + 1, -2);
