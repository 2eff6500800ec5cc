import { closeSync, fstatSync, openSync } from 'node:fs';
import type { BaseRam, SnapshotBase } from '@corral/contracts';
import { type HostMemory, type OpenedSnapshot, SealedMemory, SealingFailed } from '@corral/memory';
import type { Emulator } from '@corral/v86-host';

/** A base that this process can map. */
export interface OpenedBase {
  /** Of the pack its pages are from. */
  readonly sha256: string;
  readonly fd: number;
  close(): void;
}

/** Undefined, with a word about it, where the base cannot be had: the snapshot's packs have the same pages. */
export function openBase({ sha256, ram }: SnapshotBase, atLeastBytes: number, hostMemory: HostMemory | undefined): OpenedBase | undefined {
  if (!hostMemory) return undefined;
  try {
    if (ram.sizeBytes < atLeastBytes) throw new SealingFailed(`it has ${ram.sizeBytes} bytes; the machine has ${atLeastBytes}`);
    const fd = ram.type === 'Sealed' ? SealedMemory.open(ram) : openFile(ram);
    return { sha256, fd, close: () => closeSync(fd) };
  } catch (error) {
    console.error('The base cannot be mapped, and is copied:', error);
    return undefined;
  }
}

/**
 * Gives a machine that never ran the memory of a snapshot. Where the snapshot lies on a base, that is mapped: all machines from
 * it share it, and it takes no time and no memory of its own. The rest is copied.
 */
export async function restoreMemory({ memory }: Emulator, snapshot: Pick<OpenedSnapshot, 'isOnBase' | 'readMemory'>, base: OpenedBase | undefined, hostMemory: HostMemory | undefined): Promise<void> {
  if (snapshot.isOnBase && base) hostMemory?.mapPrivate(memory.whole(), base.fd);
  else memory.clear();
  await snapshot.readMemory((number, count) => memory.place(number, count));
}

function openFile({ path, sizeBytes }: Extract<BaseRam, { type: 'File' }>): number {
  const fd = openSync(path, 'r');
  const { size } = fstatSync(fd);
  if (size === sizeBytes) return fd;
  closeSync(fd);
  throw new SealingFailed(`the file has ${size} bytes, not ${sizeBytes}`);
}
