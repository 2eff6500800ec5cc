import { Problem, type KindDefinition, type KubeObject } from '@corral/contracts';
import jsonPatch, { type Operation } from 'fast-json-patch';
import { z } from 'zod';
import { decodeBody } from './decode.ts';
import { isRecord, type JsonRecord } from './field-path.ts';
import { shapeOf } from './field-shape.ts';
import { malformed, objectInvalid } from './refusals.ts';
import { strategicMerge } from './strategic-merge.ts';

export const PATCH_TYPES = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  apply: 'application/apply-patch+yaml',
  strategic: 'application/strategic-merge-patch+json',
} as const;

/** The patch formats a kind takes: custom kinds have no strategic merge, as in Kubernetes. */
export function acceptedPatchTypes(kind: KindDefinition): readonly string[] {
  return kind.builtIn ? Object.values(PATCH_TYPES) : [PATCH_TYPES.json, PATCH_TYPES.merge, PATCH_TYPES.apply];
}

const path = z.string().regex(/^(\/|$)/, 'must be a JSON pointer');
const JsonPatch = z.array(
  z.discriminatedUnion('op', [
    z.object({ op: z.enum(['add', 'replace', 'test']), path, value: z.unknown() }),
    z.object({ op: z.literal('remove'), path }),
    z.object({ op: z.enum(['move', 'copy']), path, from: path }),
  ]),
).max(10_000);

/** All copies of one patch together: each could double what the one before it left. Source: k8s.io/apiserver, MaxJSONPatchCopyBytes. */
const MAX_COPIED_LENGTH = 3 * 1024 * 1024;

export type Patch = (object: KubeObject) => unknown;

/** Reads a patch body, of any type but apply; the patch may be applied again when the object moved meanwhile. */
export function readPatch(kind: KindDefinition, text: string, mediaType: string): Patch {
  const accepted = acceptedPatchTypes(kind);
  if (!accepted.includes(mediaType)) {
    throw new Problem('media.unsupported', `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`);
  }
  const { value } = decodeBody(text, mediaType, accepted);
  if (mediaType === PATCH_TYPES.json) return readJsonPatch(kind, value);
  if (!isRecord(value)) throw malformed('the patch must be a JSON object');
  if (mediaType === PATCH_TYPES.strategic) return (object) => strategicMerge(shapeOf(kind), copyOf(object), value);
  return (object) => mergePatch(copyOf(object), value);
}

function readJsonPatch(kind: KindDefinition, value: unknown): Patch {
  const parsed = JsonPatch.safeParse(value);
  if (!parsed.success) throw malformed(`the body is not a JSON patch: ${z.prettifyError(parsed.error)}`);
  const operations = parsed.data as Operation[];
  return (object) => {
    let copied = 0;
    let document: unknown = copyOf(object);
    try {
      for (const [index, operation] of operations.entries()) {
        if (operation.op === 'copy') {
          copied += JSON.stringify(jsonPatch.getValueByPointer(document, operation.from))?.length ?? 0;
          if (copied > MAX_COPIED_LENGTH) throw new Problem('request.too-large', `the copy operations of the patch make the object larger by more than ${MAX_COPIED_LENGTH} bytes`);
        }
        document = jsonPatch.applyOperation(document, operation, true, true, true, index).newDocument;
      }
      return document;
    } catch (cause) {
      if (cause instanceof Problem) throw cause;
      // It throws its own error for most operations that do not fit, and a TypeError where one took the ground from under the next.
      const which = cause instanceof jsonPatch.JsonPatchError ? `operation ${cause.index ?? 0}: ${cause.name}` : 'an operation does not fit what the ones before it left';
      throw objectInvalid(kind, object.metadata.name, [{ field: 'patch', reason: 'FieldValueInvalid', message: `the patch cannot be applied: ${which}` }]);
    }
  };
}

const copyOf = (object: KubeObject): object => JSON.parse(JSON.stringify(object)) as object;

/** Merge patch. Source: RFC 7396 §2. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isRecord(patch)) return patch;
  const result: JsonRecord = isRecord(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) Reflect.deleteProperty(result, key);
    else result[key] = mergePatch(result[key], value);
  }
  return result;
}
