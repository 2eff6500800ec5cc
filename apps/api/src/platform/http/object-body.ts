import { BODY_MEDIA_TYPES, decodeBody, decodeProtobuf, mediaTypeOf, PROTOBUF_MEDIA_TYPE, type Decoded } from '@corral/api-machinery';

/** An object from a request's body: JSON, YAML, or Kubernetes's protobuf where its kind is read so. Refuses (415) anything else. */
export function readObjectBody(body: Uint8Array | undefined, contentType: string | undefined): Decoded {
  const mediaType = mediaTypeOf(contentType);
  if (mediaType === PROTOBUF_MEDIA_TYPE) return decodeProtobuf(body ?? new Uint8Array());
  return decodeBody(textOf(body), mediaType, BODY_MEDIA_TYPES);
}

export const textOf = (body: Uint8Array | undefined): string => Buffer.from(body ?? []).toString('utf8');
