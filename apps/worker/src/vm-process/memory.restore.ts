import { closeSync, fstatSync, openSync } from 'node:fs';
import type { BaseRam, SnapshotBase } from '@corral/contracts';
import { SealedMemory, SealingFailed, type OpenedSnapshot } from '@corral/memory';
import type { Emulator } from '@corral/v86-host';
import { hostMemory } from './process-memory.ts';

/**
 * Gives a machine that never ran the RAM of a snapshot. Where the host can, that is a mapping of what every machine from
 * this snapshot shares, and takes no time and no memory of its own; else it is a copy.
 */
export async function restoreMemory(
  { memory }: Emulator,
  snapshot: Pick<OpenedSnapshot, 'manifest' | 'readMemory'>,
  base: SnapshotBase | undefined,
): Promise<void> {
  // A base that is not this snapshot's own would be somebody else's memory.
  const isIts = base?.sha256 === snapshot.manifest.files.memory.sha256;
  const fd = hostMemory && base && isIts ? openBase(base.ram, memory.sizeBytes) : undefined;
  if (hostMemory && fd !== undefined) {
    try {
      // The mapping holds the memory: its descriptor is not needed any more, nor its name.
      return hostMemory.mapPrivate(memory.whole(), fd);
    } finally {
      closeSync(fd);
    }
  }
  memory.clear();
  await snapshot.readMemory((number, count) => memory.place(number, count));
}

/** Undefined, with a word about it, where it cannot be had: the snapshot has the same pages. */
function openBase(ram: BaseRam, atLeastBytes: number): number | undefined {
  try {
    if (ram.sizeBytes < atLeastBytes) throw new SealingFailed(`it has ${ram.sizeBytes} bytes; the machine has ${atLeastBytes}`);
    return ram.type === 'Sealed' ? SealedMemory.open(ram) : openFile(ram);
  } catch (error) {
    console.error('The base cannot be mapped, and is copied:', error);
    return undefined;
  }
}

function openFile({ path, sizeBytes }: Extract<BaseRam, { type: 'File' }>): number {
  const fd = openSync(path, 'r');
  const { size } = fstatSync(fd);
  if (size === sizeBytes) return fd;
  closeSync(fd);
  throw new SealingFailed(`the file has ${size} bytes, not ${sizeBytes}`);
}
