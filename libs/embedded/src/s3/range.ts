/** Bytes of an object, both ends included. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/**
 * A Range header for a body of this size. Undefined: send everything, which is also the answer to what is malformed or
 * asks for several ranges. Source: RFC 9110 §14.
 */
export function parseRange(header: string | undefined, sizeBytes: number): ByteRange | 'Unsatisfiable' | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  const [, from = '', to = ''] = match ?? [];
  if (!match || (from === '' && to === '')) return undefined;
  if (from === '') {
    const length = Math.min(Number(to), sizeBytes);
    return length === 0 ? 'Unsatisfiable' : { first: sizeBytes - length, last: sizeBytes - 1 };
  }
  const first = Number(from);
  if (to !== '' && Number(to) < first) return undefined;
  if (first >= sizeBytes) return 'Unsatisfiable';
  return { first, last: to === '' ? sizeBytes - 1 : Math.min(Number(to), sizeBytes - 1) };
}
