import { z } from 'zod';

/** Far more than any snapshot has: chains are compacted at eight. */
const MAX_LAYERS = 64;

/** Object keys of the packs a machine's state lies in, in the order of their names; bounded because a node says it. */
export const LayerKeys = z.array(z.string().max(512)).max(MAX_LAYERS);
export type LayerKeys = z.output<typeof LayerKeys>;

/** Where the packs of a namespace are: `packs/<namespace>/<sha256>`. */
export const PACK_PREFIX = 'packs/';

/**
 * How long nothing must have named a pack before it is deleted. A snapshot that finds its pack in the store already relies
 * on it only while it is younger than half of this, and else writes it again; a restore has read everything well within it.
 */
export const PACK_GRACE_MS = 60 * 60_000;

/**
 * A deletion of packs is over this long after it was decided. Whoever wrote a pack again that was there before looks once
 * more whether it is there, this long after it said in status that it needs it.
 */
export const PACK_DELETION_WINDOW_MS = 20_000;

/** Whether a snapshot may rely on a pack that is in the store already; older ones are written again, as if they were not there. */
export const isPackReusable = (modifiedAt: Date, now: Date): boolean => now.getTime() - modifiedAt.getTime() < PACK_GRACE_MS / 2;

/** Golden snapshots are in this namespace: snapshots of every other may lie on its packs, and on their own, and on no others. */
export const SHARED_PACKS_NAMESPACE = 'corral-system';
