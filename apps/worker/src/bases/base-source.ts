import { open } from 'node:fs/promises';
import { machinePages, PackReader, SnapshotError } from '@corral/memory';
import { type CachedSnapshot } from '../machine/snapshot-cache.ts';
import { type BaseSource } from './base-images.ts';

/** The base that machines from this snapshot share: its first pack of memory, which lies on this node and was verified as a whole. */
export function baseSourceOf({ manifest, packPath }: Pick<CachedSnapshot, 'manifest' | 'packPath'>): BaseSource | undefined {
  const [layer] = manifest.memory.layers;
  if (!layer) return undefined;
  const { sha256, sizeBytes } = layer;
  return {
    sha256,
    pages: machinePages(manifest.machine.memoryMiB),
    async open() {
      const file = await open(packPath(layer)).catch((error: unknown) => {
        throw new SnapshotError('SnapshotUnreadable', `the base ${sha256} cannot be read`, { cause: error });
      });
      const read = async (offset: number, length: number): Promise<Uint8Array> => {
        const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(length), 0, length, offset);
        if (bytesRead !== length) throw new SnapshotError('SnapshotCorrupt', `the base ${sha256} ends early`);
        return buffer;
      };
      try {
        const { index } = await PackReader.open({ sizeBytes, read });
        return { index, read, close: () => file.close() };
      } catch (error) {
        await file.close();
        throw error;
      }
    },
  };
}
