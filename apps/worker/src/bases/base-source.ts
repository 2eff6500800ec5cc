import { open } from 'node:fs/promises';
import { hash } from 'node:crypto';
import { decodePackIndex, type Layer, machinePages, packIndexBytes, PackReader, type SnapshotManifest, SnapshotError } from '@corral/memory';
import { type ObjectStore } from '@corral/object-store';
import { type PackCache } from '../machine/pack-cache.ts';
import { type CachedSnapshot } from '../machine/snapshot-cache.ts';
import { type BaseSource, type OpenedPack } from './base-images.ts';
import { PackAssembly } from './pack-assembly.ts';
import { type WorkingSet } from './working-set.ts';

/** The base that machines from this snapshot share: its first pack of memory, which lies on this node and was verified as a whole. */
export function baseSourceOf({ manifest, packPath }: Pick<CachedSnapshot, 'packPath'> & { readonly manifest: Pick<SnapshotManifest, 'machine' | 'memory'> }, workingSet?: WorkingSet): BaseSource | undefined {
  const layer = manifest.memory.layers[0];
  return layer && sourceOf(manifest, layer, () => openFile(layer, packPath(layer)), workingSet);
}

export interface RemoteOptions {
  readonly store: ObjectStore;
  readonly packs: PackCache;
  readonly log: { warn(what: object, text: string): void };
}

/**
 * The same, from a pack in the object store that is read in parts; undefined where no part could be verified before the rest is here. What
 * was read is kept on this node's disk as well, once it is whole.
 */
export function remoteBaseSourceOf(manifest: SnapshotManifest, options: RemoteOptions, workingSet?: WorkingSet): BaseSource | undefined {
  const layer = manifest.memory.layers[0];
  if (layer?.indexSha256 === undefined) return undefined;
  const { indexSha256 } = layer;
  return sourceOf(manifest, layer, () => openRemote({ ...layer, indexSha256 }, options), workingSet);
}

/** Named with the digest of the index by which parts of it are verified, so that nobody shares a base with who was told another. */
const sourceOf = ({ machine }: Pick<SnapshotManifest, 'machine'>, { sha256, indexSha256 }: Layer, opened: () => Promise<OpenedPack>, workingSet: WorkingSet | undefined): BaseSource => ({
  sha256,
  name: [sha256, indexSha256].filter((part) => part !== undefined).join('-'),
  pages: machinePages(machine.memoryMiB),
  open: opened,
  ...(workingSet ? { workingSet } : {}),
});

async function openFile({ sha256, sizeBytes }: Layer, path: string): Promise<OpenedPack> {
  const file = await open(path).catch((error: unknown) => {
    throw new SnapshotError('SnapshotUnreadable', `the base ${sha256} cannot be read`, { cause: error });
  });
  const read = async (offset: number, length: number): Promise<Uint8Array> => {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(length), 0, length, offset);
    if (bytesRead !== length) throw new SnapshotError('SnapshotCorrupt', `the base ${sha256} ends early`);
    return buffer;
  };
  try {
    const { index } = await PackReader.open({ sizeBytes, read });
    return { index, read, isRemote: false, close: () => file.close() };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** How long one read of a part may take: somebody may be standing still for it. */
const READ_DEADLINE_MS = 15_000;

async function openRemote(layer: Layer & { readonly indexSha256: string }, { store, packs, log }: RemoteOptions): Promise<OpenedPack> {
  const { key, sha256, sizeBytes, pieces, indexSha256 } = layer;
  const read = async (offset: number, length: number): Promise<Buffer> => {
    const stream = await store.getStream(key, { range: { first: offset, last: offset + length - 1 }, signal: AbortSignal.timeout(READ_DEADLINE_MS) });
    const bytes = Buffer.concat(await stream.toArray() as Buffer[]);
    if (bytes.length !== length) throw new SnapshotError('SnapshotCorrupt', `the object store has ${bytes.length} bytes of ${key} where ${length} were asked for`);
    return bytes;
  };
  const indexBytes = packIndexBytes(pieces);
  if (indexBytes > sizeBytes) throw new SnapshotError('SnapshotCorrupt', `the pack ${sha256} is too short for its pieces`);
  const tail = await read(sizeBytes - indexBytes, indexBytes);
  if (hash('sha256', tail) !== indexSha256) throw new SnapshotError('SnapshotCorrupt', `the index of the pack ${sha256} is not what was written`);
  const index = decodePackIndex(tail, sizeBytes);
  const assembly = await PackAssembly.begin(packs.pathOf(sha256), sizeBytes).catch((error: unknown) => {
    log.warn({ err: error, pack: sha256 }, 'A pack is used from memory only');
    return undefined;
  });
  await assembly?.add(sizeBytes - indexBytes, tail);
  return {
    index,
    isRemote: true,
    async read(offset, length) {
      const bytes = await read(offset, length);
      await assembly?.add(offset, bytes);
      return bytes;
    },
    async close(isWhole) {
      const path = await assembly?.end(isWhole);
      if (path !== undefined) await packs.adopt(path, layer);
    },
  };
}
