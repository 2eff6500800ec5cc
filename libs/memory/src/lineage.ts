import { type Layer, layersOf, type SnapshotManifest } from './manifest.ts';

/** What a machine's next snapshot builds on: the snapshot it was restored from, or the one it took last. */
export interface Lineage {
  /** SHA-256 of that snapshot's manifest; null before there is any. */
  readonly parent: string | null;
  readonly memory: readonly Layer[];
  readonly disk: readonly Layer[];
}

/** A machine that booted by itself. */
export const NO_LINEAGE: Lineage = { parent: null, memory: [], disk: [] };

export function lineageOf(digest: string, { memory, disk }: Pick<SnapshotManifest, 'memory' | 'disk'>): Lineage {
  return { parent: digest, memory: memory.layers, disk: disk?.layers ?? [] };
}

/** Object keys of everything a machine, or a snapshot, lies on: what must not be collected while it is there. */
export function layerKeys(manifest: Pick<SnapshotManifest, 'memory' | 'disk'>): string[] {
  return layersOf(manifest).map(({ key }) => key).sort();
}
