import { createRequire } from 'node:module';
import type koffiModule from 'koffi';

/**
 * The C library's calls that machines' memory needs. Addresses are numbers: user space ends far below 2^53 on every machine Node runs on.
 * What fails answers FAILED, and `errno` says why.
 */
export interface Libc {
  /** Source: mmap(2). */
  mmap(address: number, length: number, protection: number, flags: number, fd: number, offset: number): number;
  /** Source: munmap(2). Never for a guest's memory: that is only ever replaced. */
  munmap(address: number, length: number): number;
  /** Source: madvise(2). */
  madvise(address: number, length: number, advice: number): number;
  /** Source: ioctl(2). `argument` is an address or a plain number, as the request has it. */
  ioctl(fd: number, request: number, argument: number): number;
  /** Source: syscall(2), for calls without a wrapper that take one argument. */
  syscall(number: number, argument: number): number;
  /** Source: read(2). */
  read(fd: number, address: number, length: number): number;
  /** Source: lseek(2). */
  seek(fd: number, offset: number, whence: number): number;
  /** Source: poll(2). */
  poll(address: number, count: number, timeoutMs: number): number;
  /** Source: memcpy(3), between addresses: no view of anybody's memory is handed out, none can be detached. */
  copy(destination: number, source: number, length: number): void;
  /** Source: memcmp(3). 0 where they are equal. */
  compare(one: number, other: number, length: number): number;
  /** Source: malloc_trim(3). */
  mallocTrim(pad: number): number;
  /** Copies nothing: how the address of a buffer is learned. Small ones move when garbage is collected: only for WebAssembly memory. */
  addressOf(bytes: Uint8Array): number;
  /** Memory at an address as an ArrayBuffer, which does not own it. */
  view(address: number, length: number): ArrayBuffer;
  /** Of the last call that failed. */
  errno(): number;
}

export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const MAP_SHARED = 1;
export const MAP_PRIVATE = 2;
export const MAP_FIXED = 0x10;
export const MAP_ANONYMOUS = 0x20;
export const MAP_NORESERVE = 0x4000;
export const MADV_DONTNEED = 4;
export const MADV_NOHUGEPAGE = 15;
export const SEEK_DATA = 3;
export const SEEK_HOLE = 4;
export const FAILED = -1;
/** errno values that are told apart. Source: errno(3), x86-64. */
export const ENOENT = 2;
export const ENXIO = 6;
export const EAGAIN = 11;
export const EFAULT = 14;
export const EEXIST = 17;

let loaded: Libc | undefined;

/** Throws where the C library cannot be reached: another system, or a build of koffi that is not there. */
export function loadLibc(): Libc {
  loaded ??= load();
  return loaded;
}

function load(): Libc {
  // Loaded when asked for: a host without it runs machines all the same.
  const koffi = createRequire(import.meta.url)('koffi') as typeof koffiModule;
  const library = koffi.load('libc.so.6');
  const addressOf = library.func('intptr_t memcpy(void *destination, void *source, size_t length)');
  const syscall = library.func('syscall', 'long', ['long', 'long']);
  const seek = library.func('int64_t lseek(int fd, int64_t offset, int whence)');
  const read = library.func('int64_t read(int fd, intptr_t address, size_t length)');
  return {
    mmap: library.func('intptr_t mmap(intptr_t address, size_t length, int protection, int flags, int fd, int64_t offset)') as Libc['mmap'],
    munmap: library.func('int munmap(intptr_t address, size_t length)') as Libc['munmap'],
    madvise: library.func('int madvise(intptr_t address, size_t length, int advice)') as Libc['madvise'],
    ioctl: library.func('int ioctl(int fd, uint64_t request, intptr_t argument)') as Libc['ioctl'],
    syscall: (number, argument) => Number(syscall(number, argument)),
    read: (fd, address, length) => Number(read(fd, address, length)),
    seek: (fd, offset, whence) => Number(seek(fd, offset, whence)),
    poll: library.func('int poll(intptr_t descriptors, uint64_t count, int timeout)') as Libc['poll'],
    copy: library.func('intptr_t memcpy(intptr_t destination, intptr_t source, size_t length)') as unknown as Libc['copy'],
    compare: library.func('int memcmp(intptr_t one, intptr_t other, size_t length)') as Libc['compare'],
    mallocTrim: library.func('int malloc_trim(size_t pad)') as Libc['mallocTrim'],
    addressOf: (bytes) => Number(addressOf(bytes, bytes, 0)),
    view: (address, length) => koffi.view(BigInt(address), length),
    errno: () => koffi.errno(),
  };
}
