import { formatPath } from './field-path.ts';

/** Deeper documents are refused: everything that walks an object may recurse. */
export const MAX_DEPTH = 100;

interface Frame {
  readonly path: readonly PropertyKey[];
  /** Keys seen, for an object; the index of the next item, for an array. */
  readonly keys: Set<string> | undefined;
  index: number;
  key: string | undefined;
}

/**
 * The paths of keys that stand twice in one object of a JSON text, and how deep it nests. JSON.parse keeps the last one
 * in silence; Kubernetes's strict decoding names them. The text must be valid JSON.
 */
export function inspectJson(text: string): { readonly duplicates: readonly string[]; readonly depth: number } {
  const duplicates: string[] = [];
  const frames: Frame[] = [];
  let depth = 0;
  let at = 0;
  while (at < text.length) {
    const frame = frames.at(-1);
    const character = text[at];
    if (character === '"') {
      const end = endOfString(text, at);
      if (frame?.keys && frame.key === undefined) {
        const key = JSON.parse(text.slice(at, end)) as string;
        if (frame.keys.has(key)) duplicates.push(formatPath([...frame.path, key]));
        frame.keys.add(key);
        frame.key = key;
      }
      at = end;
      continue;
    }
    if (character === '{' || character === '[') {
      const path = frame ? [...frame.path, frame.keys ? (frame.key ?? '') : frame.index] : [];
      frames.push({ path, keys: character === '{' ? new Set() : undefined, index: 0, key: undefined });
      depth = Math.max(depth, frames.length);
      // Paths grow with depth, so a hostile document must not make this quadratic.
      if (depth > MAX_DEPTH) return { duplicates, depth };
    } else if (character === '}' || character === ']') {
      frames.pop();
    } else if (character === ',' && frame) {
      frame.index += 1;
      frame.key = undefined;
    }
    at += 1;
  }
  return { duplicates, depth };
}

function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === '"') return at + 1;
  }
  return text.length;
}
