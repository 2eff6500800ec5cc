import { CLUSTER_PAGES } from './readahead.ts';

/** Generation and checksum, before the packed page. */
export const HEADER_BYTES = 8;

/**
 * One life of a machine: what comes after it reads nothing of it. A cluster of pages is one hash, so that pages that are needed
 * together come in one answer, and all of a machine's keys are known without asking for them.
 */
export const swapKeyPrefix = (uid: string, incarnation: number): string => `corral:swap:${uid}:${incarnation}`;

export const clusterKey = (prefix: string, page: number): string => `${prefix}:${Math.floor(page / CLUSTER_PAGES)}`;

/** Every key that pages below `pages` may be under. */
export function* clusterKeys(prefix: string, pages: number): Generator<string> {
  for (let page = 0; page < pages; page += CLUSTER_PAGES) yield clusterKey(prefix, page);
}

export const fieldOf = (page: number): string => (page % CLUSTER_PAGES).toString(CLUSTER_PAGES);

export function writeHeader(value: Uint8Array, generation: number, checksum: number): void {
  const view = new DataView(value.buffer, value.byteOffset, HEADER_BYTES);
  view.setUint32(0, generation, true);
  view.setUint32(4, checksum, true);
}

/** Undefined where the value is too short to have one. */
export function readHeader(value: Uint8Array): { readonly generation: number; readonly checksum: number } | undefined {
  if (value.byteLength < HEADER_BYTES) return undefined;
  const view = new DataView(value.buffer, value.byteOffset, HEADER_BYTES);
  return { generation: view.getUint32(0, true), checksum: view.getUint32(4, true) };
}
