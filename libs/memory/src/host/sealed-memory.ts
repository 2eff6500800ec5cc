import { closeSync, fchmodSync, fstatSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import type koffiModule from 'koffi';
import { PIECE_BYTES } from '../pack.ts';

/** The calls that make and seal memory without a name. Source: memfd_create(2), fcntl(2). */
export interface SealingCalls {
  memfdCreate(name: string, flags: number): number;
  fcntl(fd: number, command: number, argument: number): number;
  /** Of the last call that failed. */
  errno(): number;
}

/** Memory that could not be made, filled, sealed or opened as what it was said to be. */
export class SealingFailed extends Error {
  override readonly name = 'SealingFailed';
}

/** How another process finds sealed memory, and knows that it is the one that was meant. */
export interface SealedMemoryPlace {
  /** `/proc/<pid>/fd/<n>` of whoever holds it: good while that process lives and has not closed it. */
  readonly path: string;
  /** A number of a descriptor is given again after it was closed; an inode of the kernel's own file system is not while it is open. */
  readonly inode: number;
  readonly sizeBytes: number;
}

const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const F_ADD_SEALS = 1033;
const F_GET_SEALS = 1034;
const F_SEAL_SEAL = 1;
const F_SEAL_SHRINK = 2;
const F_SEAL_GROW = 4;
const F_SEAL_WRITE = 8;
const FIXED_SIZE = F_SEAL_SHRINK | F_SEAL_GROW;
const IMMUTABLE = FIXED_SIZE | F_SEAL_WRITE | F_SEAL_SEAL;
const STAT_BLOCK_BYTES = 512;
/** Nobody else opens it to write, also while it is being filled. Whoever may override permissions is stopped by the seals, once it is. */
const READ_ONLY = 0o400;
const ZEROS = Buffer.alloc(PIECE_BYTES);

/**
 * Memory that many processes map and that nothing can change any more, or make shorter: the kernel refuses. It has no name in
 * any file system, takes no room on a disk, and is gone with its last descriptor and mapping. Pages never written are holes.
 *
 * It is filled by pwrite(2), never through a mapping: where memory has run out that is an error to handle, and not a SIGBUS.
 * Source: memfd_create(2), fcntl(2) "File Sealing".
 */
export class SealedMemory {
  readonly sizeBytes: number;
  readonly #calls: SealingCalls;
  readonly #fd: number;
  readonly #inode: number;
  #isSealed = false;
  #isClosed = false;

  private constructor(calls: SealingCalls, fd: number, sizeBytes: number) {
    this.#calls = calls;
    this.#fd = fd;
    this.sizeBytes = sizeBytes;
    this.#inode = fstatSync(fd).ino;
  }

  /**
   * All zero, of a size that never changes from now on: so that whoever maps it early is never killed by a page that is not
   * there. The name is seen in /proc only. Throws SealingFailed where the host has no such memory.
   */
  static create(name: string, sizeBytes: number, calls: SealingCalls = sealingCalls()): SealedMemory {
    if (sizeBytes <= 0 || sizeBytes % PIECE_BYTES !== 0) throw new SealingFailed('the memory is no whole number of pages');
    const fd = calls.memfdCreate(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) throw new SealingFailed(`memfd_create failed with errno ${calls.errno()}`);
    try {
      fchmodSync(fd, READ_ONLY);
      ftruncateSync(fd, sizeBytes);
      const memory = new SealedMemory(calls, fd, sizeBytes);
      memory.#addSeals(FIXED_SIZE);
      return memory;
    } catch (error) {
      closeSync(fd);
      throw error instanceof SealingFailed ? error : new SealingFailed('the memory could not be given its size', { cause: error });
    }
  }

  /** Opens what another process holds, for reading; the caller closes the descriptor. Throws SealingFailed where it is anything else than was meant. */
  static open({ path, inode, sizeBytes }: SealedMemoryPlace, calls: SealingCalls = sealingCalls()): number {
    let fd: number;
    try {
      fd = openSync(path, 'r');
    } catch (error) {
      throw new SealingFailed('whoever holds the memory is gone', { cause: error });
    }
    try {
      const { ino, size } = fstatSync(fd);
      const seals = calls.fcntl(fd, F_GET_SEALS, 0);
      if (seals < 0 || (seals & FIXED_SIZE) !== FIXED_SIZE) throw new SealingFailed('the memory is not sealed');
      if (ino !== inode || size !== sizeBytes) throw new SealingFailed('the memory is another than was meant');
      return fd;
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /** For this process's own mappings. */
  get fd(): number {
    return this.#fd;
  }

  get place(): SealedMemoryPlace {
    return { path: `/proc/${process.pid}/fd/${this.#fd}`, inode: this.#inode, sizeBytes: this.sizeBytes };
  }

  get isSealed(): boolean {
    return this.#isSealed;
  }

  /** Memory it takes now. Holes take none until somebody reads them through a mapping. */
  get storedBytes(): number {
    return this.#isClosed ? 0 : fstatSync(this.#fd).blocks * STAT_BLOCK_BYTES;
  }

  /**
   * Puts whole pages at a place that was never written; pages of zeros stay holes. Throws SealingFailed where the host has no
   * memory left, and what was not written is zero then: who fills it gives it up.
   */
  write(bytes: Uint8Array, offset: number): void {
    // Its number may be another file's by now.
    if (this.#isClosed) throw new SealingFailed('the memory was closed');
    if (bytes.length % PIECE_BYTES !== 0 || offset % PIECE_BYTES !== 0) throw new SealingFailed('only whole pages are written');
    if (offset < 0 || offset + bytes.length > this.sizeBytes) throw new SealingFailed('what is written lies beyond the memory');
    for (let at = 0; at < bytes.length; ) {
      const end = endOfRun(bytes, at);
      if (isZero(bytes, at)) at = end;
      else while (at < end) at += this.#writeSome(bytes.subarray(at, end), offset + at);
    }
  }

  /** From now on nobody writes to it, whoever they are, and nobody can take that back. */
  seal(): void {
    this.#addSeals(IMMUTABLE);
    this.#isSealed = true;
  }

  /** Mappings of it stay whole; only opening it again ends. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    closeSync(this.#fd);
  }

  #writeSome(bytes: Uint8Array, offset: number): number {
    try {
      return writeSync(this.#fd, bytes, 0, bytes.length, offset);
    } catch (error) {
      throw new SealingFailed('the memory could not be filled', { cause: error });
    }
  }

  #addSeals(seals: number): void {
    if (this.#calls.fcntl(this.#fd, F_ADD_SEALS, seals) < 0) throw new SealingFailed(`sealing failed with errno ${this.#calls.errno()}`);
  }
}

/** Where the pages that begin at `at` stop being all zero, or all not. */
function endOfRun(bytes: Uint8Array, at: number): number {
  const zero = isZero(bytes, at);
  let end = at + PIECE_BYTES;
  while (end < bytes.length && isZero(bytes, end) === zero) end += PIECE_BYTES;
  return end;
}

function isZero(bytes: Uint8Array, at: number): boolean {
  return ZEROS.compare(bytes, at, at + PIECE_BYTES) === 0;
}

let loaded: SealingCalls | undefined;

/** Throws where the C library cannot be reached, or knows no memory of this kind. */
export function sealingCalls(): SealingCalls {
  if (loaded) return loaded;
  const koffi = createRequire(import.meta.url)('koffi') as typeof koffiModule;
  const library = koffi.load('libc.so.6');
  loaded = {
    memfdCreate: library.func('int memfd_create(const char *name, unsigned int flags)') as SealingCalls['memfdCreate'],
    fcntl: library.func('int fcntl(int fd, int command, int argument)') as SealingCalls['fcntl'],
    errno: () => koffi.errno(),
  };
  return loaded;
}
