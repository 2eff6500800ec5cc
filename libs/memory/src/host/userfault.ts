import { closeSync, constants, openSync } from 'node:fs';
import { readOnly, readWrite } from './ioctl-number.ts';
import { EAGAIN, FAILED, type Libc } from './libc.ts';
import { MappingFailed } from './mapping-failed.ts';
import { MemoryBlock } from './memory-block.ts';

/** Source for every number here: include/uapi/linux/userfaultfd.h, x86-64; ioctl_userfaultfd(2). */
const TYPE = 0xaa;
const API = 0xaa;
const IOCTL = {
  api: readWrite(TYPE, 0x3f, 24),
  register: readWrite(TYPE, 0, 32),
  unregister: readOnly(TYPE, 1, 16),
  wake: readOnly(TYPE, 2, 16),
  copy: readWrite(TYPE, 3, 40),
  zeroPage: readWrite(TYPE, 4, 32),
  move: readWrite(TYPE, 5, 40),
  writeProtect: readWrite(TYPE, 6, 24),
  continue: readWrite(TYPE, 7, 32),
} as const;
const SYSCALL = 323;
/** `ioctl` of /dev/userfaultfd that makes a descriptor; its argument is the flags themselves. */
const DEVICE_NEW = 0xaa00;
const USER_MODE_ONLY = 1;
/** O_CLOEXEC, which Node's constants lack. Source: open(2), x86-64. */
const CLOSE_ON_EXEC = 0o2_000_000;

/** What to ask the kernel for when it is opened. */
export const UserFaultFeature = {
  /** Write-protection of anonymous memory, and so of private mappings. */
  WriteProtect: 1,
  MinorShared: 1 << 10,
  WriteProtectShared: 1 << 12,
  /** Write-protection also of pages that are not there yet. Anonymous memory needs it for dirty tracking; file mappings do it anyway. */
  WriteProtectUnpopulated: 1 << 13,
  Poison: 1 << 14,
  /** A write to a protected page clears the protection in the kernel and waits for nobody: dirty tracking. Linux 6.7. */
  WriteProtectAsync: 1 << 15,
  /** Linux 6.8. */
  Move: 1 << 16,
} as const;

/** What a range is registered for. */
export const UserFaultMode = { Missing: 1, WriteProtect: 2, Minor: 4 } as const;

/** How pages are put in place: `copy`, `zeroPage`, `move` and `continue` take these. */
export const PlaceFlag = {
  DoNotWake: 1,
  /** Of `copy` and `continue`: the page counts as clean. */
  WriteProtect: 2,
  /** Of `move`, with the same number. */
  AllowSourceHoles: 2,
} as const;

/** Somebody waits for a page, at most until it is put in place or `wake`d. */
export interface PageFault {
  readonly address: number;
  readonly isWrite: boolean;
  /** The page is protected, and the range is not tracked asynchronously. */
  readonly isProtected: boolean;
  /** The file has the page; it is only not mapped: answer by `continue`. */
  readonly isMinor: boolean;
}

/** Mode of UFFDIO_WRITEPROTECT. */
const UNPROTECT_QUIETLY = 2;

const EVENT_PAGE_FAULT = 0x12;
const FLAG_WRITE = 1;
const FLAG_PROTECTED = 2;
const FLAG_MINOR = 4;
const MESSAGE_BYTES = 32;
const MESSAGES = 128;
const SCRATCH_BYTES = 4096 + MESSAGES * MESSAGE_BYTES;

/**
 * A userfaultfd: who registers memory with it hears of page faults, fills pages, and protects them against writes. For user-mode faults
 * only, which needs no privilege; so memory that is registered for Missing or Minor must never be handed to a system call (EFAULT): copy
 * it first.
 *
 * Addresses and lengths are whole pages. `copy`, `zeroPage`, `move` and `continue` answer how many bytes they put in place, or the
 * negative errno where that is none (-17 EEXIST: the page is there already, -11 EAGAIN: the mappings are changing, try again). The other
 * calls throw MappingFailed.
 *
 * Not to be used by two threads at once; a second thread makes its own with `attach`. Never closed while memory that is registered
 * with it is in use: missing pages would then read as zero.
 */
export class UserFault {
  readonly fd: number;
  /** What the kernel has of what can be asked for. */
  readonly features: number;
  readonly #libc: Libc;
  readonly #scratch: MemoryBlock;
  readonly #words: BigUint64Array;
  readonly #signed: BigInt64Array;
  readonly #messages: DataView;
  #closed = false;

  private constructor(libc: Libc, fd: number, features: number) {
    this.#libc = libc;
    this.fd = fd;
    this.features = features;
    this.#scratch = MemoryBlock.anonymous(libc, SCRATCH_BYTES);
    this.#words = new BigUint64Array(this.#scratch.buffer, 0, 8);
    this.#signed = new BigInt64Array(this.#scratch.buffer, 0, 8);
    this.#messages = new DataView(this.#scratch.buffer, 4096);
  }

  /**
   * Opens one with all of `features`, by the system call or, where a sandbox forbids that, by /dev/userfaultfd. Reads do not block.
   * Throws MappingFailed where the host has none, or not these features.
   */
  static open(libc: Libc, features: number): UserFault {
    const flags = CLOSE_ON_EXEC | constants.O_NONBLOCK | USER_MODE_ONLY;
    let fd = libc.syscall(SYSCALL, flags);
    if (fd === FAILED) fd = openByDevice(libc, flags, libc.errno());
    const opened = new UserFault(libc, fd, features);
    try {
      opened.#call(IOCTL.api, [API, features, 0], 'the userfaultfd has not all that is needed');
      return new UserFault(libc, fd, Number(opened.#words[1] ?? 0n));
    } catch (error) {
      closeSync(fd);
      throw error;
    } finally {
      opened.#scratch.free();
    }
  }

  /** For another thread of the same process: the same descriptor, scratch memory of its own. Its `close` must not be called. */
  static attach(libc: Libc, fd: number, features: number): UserFault {
    return new UserFault(libc, fd, features);
  }

  /** Registers a range, or registers it again for other modes; pages and protection stay as they are. Answers the ioctls that are possible, as bits. */
  register(start: number, length: number, mode: number): bigint {
    this.#call(IOCTL.register, [start, length, mode, 0], 'userfaultfd: registering failed');
    return this.#words[3] ?? 0n;
  }

  /** Protection of the range is gone with it. */
  unregister(start: number, length: number): void {
    this.#call(IOCTL.unregister, [start, length], 'userfaultfd: unregistering failed');
  }

  /** Puts copies of pages at `source` in place of missing ones. With WriteProtect they count as clean. */
  copy(destination: number, source: number, length: number, flags = 0): number {
    return this.#place(IOCTL.copy, [destination, source, length, flags, 0], 4, length);
  }

  zeroPage(start: number, length: number, flags = 0): number {
    return this.#place(IOCTL.zeroPage, [start, length, flags, 0], 3, length);
  }

  /** Maps pages that the file has (Minor faults). */
  continue(start: number, length: number, flags = 0): number {
    return this.#place(IOCTL.continue, [start, length, flags, 0], 3, length);
  }

  /** Moves anonymous pages; both ranges registered with this descriptor. Feature Move. */
  move(destination: number, source: number, length: number, flags = 0): number {
    return this.#place(IOCTL.move, [destination, source, length, flags, 0], 4, length);
  }

  /** Protects a range against writes, or ends the protection (and wakes who waits for that). Registered for WriteProtect. */
  writeProtect(start: number, length: number, protect: boolean): void {
    this.#call(IOCTL.writeProtect, [start, length, protect ? 1 : 0], 'userfaultfd: write-protecting failed');
  }

  /** Ends the protection, also of pages that are not there, and wakes nobody. */
  unprotect(start: number, length: number): void {
    this.#call(IOCTL.writeProtect, [start, length, UNPROTECT_QUIETLY], 'userfaultfd: ending write protection failed');
  }

  /** Lets go on who waits for pages of the range: after `PlaceFlag.DoNotWake`, and after EEXIST. */
  wake(start: number, length: number): void {
    this.#call(IOCTL.wake, [start, length], 'userfaultfd: waking failed');
  }

  /** The faults that wait, at most 128 at a time; none where nobody waits. `poll` the descriptor for more (POLLIN). */
  readFaults(): PageFault[] {
    const read = this.#libc.read(this.fd, this.#scratch.address + 4096, MESSAGES * MESSAGE_BYTES);
    if (read < 0) {
      if (this.#libc.errno() === EAGAIN) return [];
      throw new MappingFailed(`userfaultfd: reading failed with errno ${this.#libc.errno()}`);
    }
    const faults: PageFault[] = [];
    for (let at = 0; at + MESSAGE_BYTES <= read; at += MESSAGE_BYTES) {
      if (this.#messages.getUint8(at) !== EVENT_PAGE_FAULT) continue;
      const flags = Number(this.#messages.getBigUint64(at + 8, true));
      faults.push({
        address: Number(this.#messages.getBigUint64(at + 16, true)),
        isWrite: (flags & FLAG_WRITE) !== 0,
        isProtected: (flags & FLAG_PROTECTED) !== 0,
        isMinor: (flags & FLAG_MINOR) !== 0,
      });
    }
    return faults;
  }

  /** Only when nothing that is registered with it is used any more. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.fd);
    this.#scratch.free();
  }

  #set(fields: readonly number[]): void {
    fields.forEach((field, at) => {
      this.#words[at] = BigInt(field);
    });
  }

  #call(request: number, fields: readonly number[], refusal: string): void {
    this.#set(fields);
    if (this.#libc.ioctl(this.fd, request, this.#scratch.address) === FAILED) throw new MappingFailed(`${refusal} (errno ${this.#libc.errno()})`);
  }

  /** The kernel writes what became of it into the last field: bytes done, or the negative errno. */
  #place(request: number, fields: readonly number[], outcome: number, length: number): number {
    this.#set(fields);
    if (this.#libc.ioctl(this.fd, request, this.#scratch.address) !== FAILED) return length;
    const errno = this.#libc.errno();
    const done = Number(this.#signed[outcome] ?? 0n);
    return done === 0 ? -errno : done;
  }
}

function openByDevice(libc: Libc, flags: number, errno: number): number {
  let device: number;
  try {
    device = openSync('/dev/userfaultfd', constants.O_RDWR);
  } catch {
    throw new MappingFailed(`userfaultfd is not available (errno ${errno}), nor is /dev/userfaultfd`);
  }
  try {
    const fd = libc.ioctl(device, DEVICE_NEW, flags);
    if (fd === FAILED) throw new MappingFailed(`/dev/userfaultfd gives no descriptor (errno ${libc.errno()})`);
    return fd;
  } finally {
    closeSync(device);
  }
}
