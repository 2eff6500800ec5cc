import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SHARED_PACKS_NAMESPACE, type SnapshotTaken } from '@corral/contracts';
import { decodeManifest, type Layer, layersOf, packKey, type SnapshotManifest } from '@corral/memory';
import { type PackCache, PackForged } from '../machine/pack-cache.ts';

/** Whether a namespace's snapshots may lie on a pack: its own, or one of the images everybody shares. */
export function mayLieOn({ key, sha256 }: Layer, namespace: string): boolean {
  return key === packKey(namespace, sha256) || key === packKey(SHARED_PACKS_NAMESPACE, sha256);
}

/**
 * Takes over what a VM process wrote into a folder: its packs go to the node's, the rest stays where it is. A process that
 * a guest has broken out into must not get at packs of other namespaces by naming them, nor put its own in their place.
 * Throws SnapshotError or PackForged.
 */
export async function keepTaken(directory: string, taken: SnapshotTaken, namespace: string, packs: PackCache): Promise<SnapshotManifest> {
  const bytes = await readFile(join(directory, taken.manifest.name));
  if (createHash('sha256').update(bytes).digest('hex') !== taken.manifest.sha256) throw new PackForged('the manifest is not the one it was said to be');
  const manifest = decodeManifest(bytes);
  const layers = layersOf(manifest);
  const foreign = layers.find((layer) => !mayLieOn(layer, namespace));
  if (foreign) throw new PackForged(`the snapshot lies on ${foreign.key}, which is not ${namespace}’s`);
  const written = new Set(taken.files.map(({ name }) => name));
  for (const layer of layers) if (written.has(layer.sha256)) await packs.adopt(join(directory, layer.sha256), layer);
  return manifest;
}
