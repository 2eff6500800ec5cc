/** Linux's numbers for i386, as far as callers tell them apart. Source: errno(3), asm-generic/errno-base.h. */
const NAMES: Readonly<Record<number, { readonly name: string; readonly message: string }>> = {
  1: { name: 'EPERM', message: 'Operation not permitted' },
  2: { name: 'ENOENT', message: 'No such file or directory' },
  5: { name: 'EIO', message: 'Input/output error' },
  7: { name: 'E2BIG', message: 'Argument list too long' },
  8: { name: 'ENOEXEC', message: 'Exec format error' },
  11: { name: 'EAGAIN', message: 'Resource temporarily unavailable' },
  12: { name: 'ENOMEM', message: 'Cannot allocate memory' },
  13: { name: 'EACCES', message: 'Permission denied' },
  16: { name: 'EBUSY', message: 'Device or resource busy' },
  17: { name: 'EEXIST', message: 'File exists' },
  20: { name: 'ENOTDIR', message: 'Not a directory' },
  21: { name: 'EISDIR', message: 'Is a directory' },
  22: { name: 'EINVAL', message: 'Invalid argument' },
  24: { name: 'EMFILE', message: 'Too many open files' },
  26: { name: 'ETXTBSY', message: 'Text file busy' },
  27: { name: 'EFBIG', message: 'File too large' },
  28: { name: 'ENOSPC', message: 'No space left on device' },
  30: { name: 'EROFS', message: 'Read-only file system' },
  36: { name: 'ENAMETOOLONG', message: 'File name too long' },
  38: { name: 'ENOSYS', message: 'Function not implemented' },
  39: { name: 'ENOTEMPTY', message: 'Directory not empty' },
  71: { name: 'EPROTO', message: 'Protocol error' },
  75: { name: 'EOVERFLOW', message: 'Value too large' },
  40: { name: 'ELOOP', message: 'Too many levels of symbolic links' },
};

/** The guest's kernel refused: `code` is the errno's name, `message` what strerror(3) says. */
export class GuestError extends Error {
  override readonly name = 'GuestError';
  readonly errno: number;
  readonly code: string;

  constructor(errno: number) {
    super(NAMES[errno]?.message ?? `Error ${errno}`);
    this.errno = errno;
    this.code = NAMES[errno]?.name ?? `E${errno}`;
  }
}

/** The agent does not answer, or stopped being there in the middle of a request. */
export class AgentLost extends Error {
  override readonly name = 'AgentLost';
}
