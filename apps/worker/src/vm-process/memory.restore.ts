import { closeSync, openSync } from 'node:fs';
import type { OpenedSnapshot } from '@corral/memory';
import type { Emulator } from '@corral/v86-host';
import { hostMemory } from './process-memory.ts';

/**
 * Gives a machine that never ran the RAM of a snapshot. Where the host can, that is a mapping of what every machine from
 * this snapshot shares, and takes no time and no memory of its own; else it is a copy.
 */
export async function restoreMemory({ memory }: Emulator, snapshot: Pick<OpenedSnapshot, 'memoryImage' | 'readMemory'>): Promise<void> {
  if (hostMemory && snapshot.memoryImage !== undefined) {
    const fd = openSync(snapshot.memoryImage, 'r');
    try {
      // The mapping holds the file: its descriptor is not needed any more, nor its name.
      return hostMemory.mapPrivate(memory.whole(), fd);
    } finally {
      closeSync(fd);
    }
  }
  memory.clear();
  await snapshot.readMemory((number, count) => memory.place(number, count));
}
