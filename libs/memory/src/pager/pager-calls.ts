import { createRequire } from 'node:module';
import type koffiModule from 'koffi';

/** The C library's calls that only the pager needs. Addresses and failures as in Libc. */
export interface PagerCalls {
  /** Source: eventfd(2). */
  eventfd(initial: number, flags: number): number;
  /** Source: socket(2). */
  socket(domain: number, type: number, protocol: number): number;
  connect(fd: number, address: number, length: number): number;
  getsockopt(fd: number, level: number, name: number, value: number, length: number): number;
  setsockopt(fd: number, level: number, name: number, value: number, length: number): number;
  send(fd: number, address: number, length: number, flags: number): number;
  recv(fd: number, address: number, length: number, flags: number): number;
  /** Source: write(2). */
  write(fd: number, address: number, length: number): number;
  close(fd: number): number;
  /** Source: dup(2). */
  dup(fd: number): number;
  /** Ends every thread of the process at once, also one that waits for a page. Source: _exit(2). */
  exitNow(status: number): void;
  /** Of the last call that failed. */
  errno(): number;
}

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOCK_STREAM = 1;
export const NON_BLOCKING = 0o4_000;
export const CLOSE_ON_EXEC = 0o2_000_000;
export const IPPROTO_TCP = 6;
export const TCP_NODELAY = 1;
export const SOL_SOCKET = 1;
export const SO_ERROR = 4;
export const MSG_NOSIGNAL = 0x4000;
export const EINPROGRESS = 115;
export const POLLIN = 1;
export const POLLOUT = 4;
export const POLLERR = 8;
export const POLLHUP = 16;

/** Throws where the C library cannot be reached. */
export function loadPagerCalls(): PagerCalls {
  const koffi = createRequire(import.meta.url)('koffi') as typeof koffiModule;
  const library = koffi.load('libc.so.6');
  const [send, recv, write] = ['send(int fd, intptr_t address, size_t length, int flags)', 'recv(int fd, intptr_t address, size_t length, int flags)', 'write(int fd, intptr_t address, size_t length)'].map((signature) =>
    library.func(`int64_t ${signature}`),
  );
  return {
    eventfd: library.func('int eventfd(unsigned int initial, int flags)') as PagerCalls['eventfd'],
    socket: library.func('int socket(int domain, int type, int protocol)') as PagerCalls['socket'],
    connect: library.func('int connect(int fd, intptr_t address, uint32_t length)') as PagerCalls['connect'],
    getsockopt: library.func('int getsockopt(int fd, int level, int name, intptr_t value, intptr_t length)') as PagerCalls['getsockopt'],
    setsockopt: library.func('int setsockopt(int fd, int level, int name, intptr_t value, uint32_t length)') as PagerCalls['setsockopt'],
    send: (fd, address, length, flags) => Number(send?.(fd, address, length, flags)),
    recv: (fd, address, length, flags) => Number(recv?.(fd, address, length, flags)),
    write: (fd, address, length) => Number(write?.(fd, address, length)),
    close: library.func('int close(int fd)') as PagerCalls['close'],
    dup: library.func('int dup(int fd)') as PagerCalls['dup'],
    exitNow: library.func('void _exit(int status)') as unknown as PagerCalls['exitNow'],
    errno: () => koffi.errno(),
  };
}
