import { closeSync, fstatSync, ftruncateSync, openSync, renameSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type BaseRam } from '@corral/contracts';
import { HostMemory, PageSet, PIECE_BYTES, SealedMemory, SealingFailed } from '@corral/memory';

/** Where the pages of one base lie while machines share them. Filled once, in any order, and the same from then on. */
export interface BaseMemory {
  /** What it takes of the host now. */
  readonly storedBytes: number;
  /** How VM processes find it. */
  readonly ram: BaseRam;
  /** Whole pages at a place that was not written before. Throws NoRoom. */
  write(bytes: Uint8Array, offset: number): void;
  /** Nothing changes from here on. Throws NoRoom. */
  finish(): void;
  /** Machines that have mapped it keep it. */
  close(): void;
}

/** The host has no room for a base, or cannot hold one in this way. Machines can be copied instead. */
export class NoRoom extends Error {
  override readonly name = 'NoRoom';
}

/** Makes the memory for a base, all zero. Throws NoRoom. */
export type BaseMemoryKind = (name: string, sizeBytes: number) => BaseMemory;

/** How this host can hold bases, from the best; none where machines cannot map them anyway. */
export function baseMemoryKinds(folder: string): BaseMemoryKind[] {
  return HostMemory.probe().memory ? [inSealedMemory, inFiles(folder)] : [];
}

/** Memory without a file, which the kernel keeps from changing: what bases are held in wherever the host has it. */
export const inSealedMemory: BaseMemoryKind = (name, sizeBytes) =>
  asRoom(() => {
    const memory = SealedMemory.create(`corral-base-${name}`, sizeBytes);
    return {
      get storedBytes() {
        return memory.storedBytes;
      },
      ram: { type: 'Sealed', ...memory.place },
      write: (bytes, offset) => asRoom(() => memory.write(bytes, offset)),
      finish: () => asRoom(() => memory.seal()),
      close: () => memory.close(),
    };
  });

const STAT_BLOCK_BYTES = 512;
const READ_ONLY = 0o400;
/** Source: statfs(2). */
const TMPFS_MAGIC = 0x0102_1994;
const ZEROS = Buffer.alloc(64 * PIECE_BYTES);

/**
 * A regular file, for hosts without sealed memory. Nothing but its permissions, and a folder that is ours alone, keeps it from
 * changing; so none is ever taken over from an earlier node agent, who cannot say what happened to it since.
 */
export function inFiles(folder: string): BaseMemoryKind {
  return (name, sizeBytes) =>
    asRoom(() => {
      const path = join(folder, name);
      const partial = `${path}.part`;
      rmSync(partial, { force: true });
      const fd = openSync(partial, 'wx', READ_ONLY);
      let isClosed = false;
      const remove = (): void => {
        if (isClosed) return;
        isClosed = true;
        closeSync(fd);
        for (const each of [partial, path]) rmSync(each, { force: true });
      };
      try {
        ftruncateSync(fd, sizeBytes);
      } catch (error) {
        remove();
        throw error;
      }
      const holes = new PageSet(sizeBytes / PIECE_BYTES);
      holes.addRun(0, holes.bound);
      // Its number may be another file's by now.
      const requireOpen = (): void => {
        if (isClosed) throw new NoRoom('The base was given up');
      };
      return {
        get storedBytes() {
          return isClosed ? 0 : fstatSync(fd).blocks * STAT_BLOCK_BYTES;
        },
        ram: { type: 'File', path, sizeBytes },
        write: (bytes, offset) =>
          asRoom(() => {
            requireOpen();
            writeAll(fd, bytes, offset);
            holes.deleteRun(offset / PIECE_BYTES, bytes.length / PIECE_BYTES);
          }),
        finish: () =>
          asRoom(() => {
            requireOpen();
            // Such a file system needs room for a page of zeros that is only read, and ends who reads it by SIGBUS where there is none.
            if (statfsSync(folder).type === TMPFS_MAGIC) for (const { start, count } of holes.runs(ZEROS.length / PIECE_BYTES)) writeAll(fd, ZEROS.subarray(0, count * PIECE_BYTES), start * PIECE_BYTES);
            renameSync(partial, path);
          }),
        close: remove,
      };
    });
}

function writeAll(fd: number, bytes: Uint8Array, offset: number): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at, bytes.length - at, offset + at);
}

function asRoom<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof NoRoom) throw error;
    throw new NoRoom(error instanceof SealingFailed ? error.message : 'The base could not be written', { cause: error });
  }
}
