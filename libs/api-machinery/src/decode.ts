import { Problem } from '@corral/contracts';
import { parseDocument } from 'yaml';
import { inspectJson, MAX_DEPTH } from './json-text.ts';
import { isRecord } from './field-path.ts';
import { malformed } from './refusals.ts';

export interface Decoded {
  readonly value: unknown;
  /** Paths of keys that stood twice in one object. */
  readonly duplicates: readonly string[];
}

export const OBJECT_MEDIA_TYPES = ['application/json', 'application/yaml'] as const;

/** `application/json` of `Application/JSON; charset=utf-8`. No Content-Type means JSON. */
export function mediaTypeOf(contentType: string | undefined): string {
  return contentType?.split(';', 1)[0]?.trim().toLowerCase() || 'application/json';
}

/** Reads an object from JSON or YAML. Refuses what is neither, is nested too deeply, or holds text that cannot be stored. */
export function decodeBody(text: string, mediaType: string, accepted: readonly string[] = OBJECT_MEDIA_TYPES): Decoded {
  if (!accepted.includes(mediaType)) {
    throw new Problem(
      'media.unsupported',
      `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`,
    );
  }
  const decoded = mediaType.endsWith('yaml') ? decodeYaml(text) : decodeJson(text);
  requireStorable(decoded.value);
  return decoded;
}

function decodeJson(text: string): Decoded {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw malformed(`the body is not valid JSON: ${cause instanceof Error ? cause.message : 'unreadable'}`, cause);
  }
  const { duplicates, depth } = inspectJson(text);
  if (depth > MAX_DEPTH) throw tooDeep();
  return { value, duplicates };
}

/** JSON is YAML too, and its own reader is by far the faster one. */
function decodeYaml(text: string): Decoded {
  if (/^\s*\{/.test(text)) {
    try {
      return decodeJson(text);
    } catch {
      // A flow mapping that JSON does not know.
    }
  }
  try {
    const document = parseDocument(text, { schema: 'core', stringKeys: true, prettyErrors: true });
    const duplicates: string[] = [];
    for (const error of document.errors) {
      if (error.code !== 'DUPLICATE_KEY') throw error;
      duplicates.push(/^\s*["']?([^"':\s]+)/.exec(text.slice(error.pos[0]))?.[1] ?? '');
    }
    const value: unknown = document.toJS({ maxAliasCount: 100 });
    if (depthOf(value) > MAX_DEPTH) throw tooDeep();
    return { value, duplicates };
  } catch (cause) {
    if (cause instanceof Problem) throw cause;
    // The parser recurses, so a hostile document ends in a RangeError: as malformed as any other.
    throw malformed(`the body is not valid YAML: ${cause instanceof Error ? cause.message : 'unreadable'}`, cause);
  }
}

const tooDeep = (): Problem => malformed(`the body is nested more than ${MAX_DEPTH} levels deep`);

function depthOf(value: unknown, depth = 1): number {
  if (depth > MAX_DEPTH || typeof value !== 'object' || value === null) return depth;
  return Object.values(value).reduce<number>((deepest, field) => Math.max(deepest, depthOf(field, depth + 1)), depth);
}

/** PostgreSQL's JSON holds no U+0000 and no lone surrogate; an object with a `__proto__` key is not worth the risk. */
export function requireStorable(value: unknown): void {
  if (typeof value === 'string') requireStorableText(value);
  else if (typeof value === 'number' && !Number.isFinite(value)) throw malformed('the body holds a number that JSON cannot hold');
  else if (Array.isArray(value)) value.forEach(requireStorable);
  else if (isRecord(value)) {
    for (const [key, field] of Object.entries(value)) {
      if (key === '__proto__') throw malformed('the body holds a key "__proto__"');
      requireStorableText(key);
      requireStorable(field);
    }
  }
}

function requireStorableText(text: string): void {
  if (text.includes('\0') || !text.isWellFormed()) throw malformed('the body holds text that is not valid Unicode, or U+0000');
}
