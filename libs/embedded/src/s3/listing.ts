export interface ListingRequest {
  readonly prefix: string;
  /** Empty: none. */
  readonly delimiter: string;
  /** Only what sorts after this. */
  readonly after: string;
  readonly maxKeys: number;
}
export interface Listing {
  readonly keys: readonly string[];
  readonly commonPrefixes: readonly string[];
  /** Where the next page begins; absent on the last. */
  readonly next?: string;
}

/**
 * One page of a listing over all keys in order. Keys that share a prefix up to the delimiter are rolled up into one
 * entry, and following `next` meets every key or prefix exactly once.
 * Source: Amazon S3 API Reference, ListObjectsV2.
 */
export function listKeys(
  sortedKeys: readonly string[],
  { prefix, delimiter, after, maxKeys }: ListingRequest,
): Listing {
  const keys: string[] = [];
  const commonPrefixes: string[] = [];
  let last = '';
  for (let index = firstAtLeast(sortedKeys, prefix > after ? prefix : after); index < sortedKeys.length; index++) {
    const key = sortedKeys[index] ?? '';
    if (!key.startsWith(prefix)) break;
    const cut = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
    const entry = cut < 0 ? key : key.slice(0, cut + delimiter.length);
    if (entry <= after || entry === last) continue;
    if (keys.length + commonPrefixes.length >= maxKeys)
      return { keys, commonPrefixes, ...(last === '' ? {} : { next: last }) };
    (cut < 0 ? keys : commonPrefixes).push(entry);
    last = entry;
  }
  return { keys, commonPrefixes };
}

function firstAtLeast(sortedKeys: readonly string[], bound: string): number {
  let low = 0;
  let high = sortedKeys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sortedKeys[middle] ?? '') < bound) low = middle + 1;
    else high = middle;
  }
  return low;
}
