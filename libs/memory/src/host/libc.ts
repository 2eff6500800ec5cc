import { createRequire } from 'node:module';
import type koffiModule from 'koffi';

/** Addresses are numbers: user space ends far below 2^53 on every machine Node runs on. */
export interface Libc {
  /** Source: mmap(2). */
  mmap(address: number, length: number, protection: number, flags: number, fd: number, offset: number): number;
  /** Source: madvise(2). */
  madvise(address: number, length: number, advice: number): number;
  /** Source: malloc_trim(3). */
  mallocTrim(pad: number): number;
  /** Copies nothing: how the address of a buffer is learned. */
  addressOf(bytes: Uint8Array): number;
  /** Of the last call that failed. */
  errno(): number;
}

export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const MAP_PRIVATE = 2;
export const MAP_FIXED = 0x10;
export const MAP_NORESERVE = 0x4000;
export const MADV_DONTNEED = 4;
export const FAILED = -1;

/** Throws where the C library cannot be reached: another system, or a build of koffi that is not there. */
export function loadLibc(): Libc {
  // Loaded when asked for: a host without it runs machines all the same.
  const koffi = createRequire(import.meta.url)('koffi') as typeof koffiModule;
  const library = koffi.load('libc.so.6');
  const copy = library.func('intptr_t memcpy(void *destination, void *source, size_t length)');
  return {
    mmap: library.func('intptr_t mmap(intptr_t address, size_t length, int protection, int flags, int fd, int64_t offset)') as Libc['mmap'],
    madvise: library.func('int madvise(intptr_t address, size_t length, int advice)') as Libc['madvise'],
    mallocTrim: library.func('int malloc_trim(size_t pad)') as Libc['mallocTrim'],
    addressOf: (bytes) => Number(copy(bytes, bytes, 0)),
    errno: () => koffi.errno(),
  };
}
