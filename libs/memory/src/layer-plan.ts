import type { Layer } from './manifest.ts';

/** How many packs a restore reads at most, for memory and for the disk each. */
export const MAX_LAYERS_WRITTEN = 8;

const NONE: ReadonlySet<string> = new Set();

/** What the pack that a snapshot is about to write must hold, and what it lies on. */
export interface LayerPlan {
  /**
   * Everything: all that is not zero (memory), or not the image's (disk): the new pack is a base. SinceBase: what changed since
   * layer 0. SinceSnapshot: what changed since the snapshot that had these layers.
   */
  readonly scope: 'Everything' | 'SinceBase' | 'SinceSnapshot';
  readonly below: readonly Layer[];
}

/**
 * How the next snapshot is laid on what it inherits. A chain that would become too long is compacted there and then:
 * one pack of all that changed since the base takes the place of everything above it, and older snapshots keep theirs.
 * So it is where a layer is among the `lost`, which nobody has any more: nothing new lies on those.
 */
export function layerPlan(inherited: readonly Layer[], lost: ReadonlySet<string> = NONE): LayerPlan {
  const isLost = ({ sha256 }: Layer): boolean => lost.has(sha256);
  const [base] = inherited;
  if (!base || isLost(base)) return { scope: 'Everything', below: [] };
  if (inherited.length >= MAX_LAYERS_WRITTEN || inherited.some(isLost)) return { scope: 'SinceBase', below: [base] };
  return { scope: 'SinceSnapshot', below: inherited };
}
