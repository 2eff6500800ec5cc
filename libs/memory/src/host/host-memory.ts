import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PAGE_BYTES } from '../machine-pages.ts';
import { FAILED, loadLibc, MADV_DONTNEED, MADV_NOHUGEPAGE, MAP_FIXED, MAP_NORESERVE, MAP_PRIVATE, PROT_READ, PROT_WRITE, type Libc } from './libc.ts';
import { MappingFailed } from './mapping-failed.ts';
import { MemoryBlock } from './memory-block.ts';
import { PageCategory, PageScan } from './page-scan.ts';
import { UserFault, UserFaultFeature, UserFaultMode } from './userfault.ts';

const ZERO_PAGE = Buffer.alloc(PAGE_BYTES);
const TRACKING = UserFaultFeature.WriteProtect | UserFaultFeature.WriteProtectUnpopulated | UserFaultFeature.WriteProtectAsync;
/** What the pager needs to also hear of pages that are not there. */
const PAGING = UserFaultFeature.MinorShared | UserFaultFeature.WriteProtectShared;

/**
 * How guest RAM can be held here, from the best. Full: on the host's own virtual memory, shared between machines until they
 * write to it, and the host says which pages they wrote to. MapOnly: shared as well, but what was written to is found by
 * comparing. Copy: each machine's own bytes.
 */
export const MEMORY_MODES = ['Full', 'MapOnly', 'Copy'] as const;
export type MemoryMode = (typeof MEMORY_MODES)[number];

/** What this host can do with memory, found out by trying. */
export interface MemoryCapability {
  readonly mode: MemoryMode;
  /** Why it is not a better mode; empty for the best there is. */
  readonly reason: string;
}

export interface ProbedMemory {
  /** Undefined in mode Copy: machines are copied. */
  readonly memory: HostMemory | undefined;
  readonly capability: MemoryCapability;
}

export interface ProbeOptions {
  /** Use no better mode than this, whatever the host can do. */
  readonly atBest?: MemoryMode;
  readonly load?: () => Libc;
}

/** The host's virtual memory, as far as machines need it. */
export class HostMemory {
  readonly libc: Libc;

  private constructor(libc: Libc) {
    this.libc = libc;
  }

  /** What the host can do, found out by doing it to a page of WebAssembly memory, which is what guests live in. */
  static probe({ atBest = 'Full', load = loadLibc }: ProbeOptions = {}): ProbedMemory {
    if (atBest === 'Copy') return { memory: undefined, capability: { mode: 'Copy', reason: 'configured' } };
    try {
      const memory = new HostMemory(load());
      memory.#tryMapping();
      return { memory, capability: atBest === 'MapOnly' ? { mode: 'MapOnly', reason: 'configured' } : memory.#bestMode() };
    } catch (error) {
      return { memory: undefined, capability: { mode: 'Copy', reason: messageOf(error) } };
    }
  }

  /**
   * Puts a file's content in the place of some memory, copy-on-write: reads see the file, writes stay here, and pages that
   * are only read are shared with everyone who maps the same file. The file must reach as far as the place, from `offset` on, and must
   * never change or shrink: readers would see it, or die. What was registered with a userfaultfd has to be registered again.
   * Throws MappingFailed. Source: mmap(2), MAP_PRIVATE and MAP_FIXED.
   */
  mapPrivate(place: Uint8Array, fd: number, offset = 0): void {
    this.mapPrivateAt(this.libc.addressOf(place), place.byteLength, fd, offset);
  }

  /** `mapPrivate` for memory that is known by its address. */
  mapPrivateAt(address: number, byteLength: number, fd: number, offset = 0): void {
    if (address % PAGE_BYTES !== 0 || byteLength % PAGE_BYTES !== 0) throw new MappingFailed('the memory does not begin and end at a page');
    const flags = MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE;
    const mapped = Number(this.libc.mmap(address, byteLength, PROT_READ | PROT_WRITE, flags, fd, offset));
    if (mapped === FAILED) throw new MappingFailed(`mmap failed with errno ${this.libc.errno()}`);
    if (mapped !== address) throw new MappingFailed('mmap put the memory elsewhere');
  }

  /** Has the kernel keep small pages in a range, so that what changed is known page by page. Source: madvise(2). */
  keepSmallPages(address: number, byteLength: number): void {
    // A kernel without huge pages refuses, and has small ones anyway.
    this.libc.madvise(address, byteLength, MADV_NOHUGEPAGE);
  }

  /**
   * Gives pages to the host: what is mapped from a file shows the file again, anonymous memory reads as zero. Throws MappingFailed.
   * Source: madvise(2), MADV_DONTNEED.
   */
  dropPages(address: number, byteLength: number): void {
    if (Number(this.libc.madvise(address, byteLength, MADV_DONTNEED)) === FAILED) throw new MappingFailed(`madvise failed with errno ${this.libc.errno()}`);
  }

  /**
   * A userfaultfd for dirty tracking: writes are noted by the kernel, and nobody waits. Where the kernel has what paging needs as
   * well, it is asked for now: that cannot be done later. Throws MappingFailed.
   */
  openTracking(): UserFault {
    try {
      return UserFault.open(this.libc, TRACKING | PAGING);
    } catch {
      return UserFault.open(this.libc, TRACKING);
    }
  }

  /** Gives memory that malloc holds back for later to the host. Source: malloc_trim(3). */
  trimHeap(): void {
    this.libc.mallocTrim(0);
  }

  /**
   * Gives pages that are all zero to the host, and answers how many bytes that were. Only for anonymous memory, where a
   * page that was given back reads as zero again. Source: madvise(2), MADV_DONTNEED.
   */
  dropZeroPages(place: Uint8Array): number {
    const start = this.libc.addressOf(place);
    const first = (PAGE_BYTES - (start % PAGE_BYTES)) % PAGE_BYTES;
    let dropped = 0;
    for (let at = first; at + PAGE_BYTES <= place.byteLength; ) {
      let end = at;
      while (end + PAGE_BYTES <= place.byteLength && ZERO_PAGE.compare(place, end, end + PAGE_BYTES) === 0) end += PAGE_BYTES;
      if (end > at) {
        this.dropPages(start + at, end - at);
        dropped += end - at;
      }
      at = Math.max(end, at + PAGE_BYTES);
    }
    return dropped;
  }

  #bestMode(): MemoryCapability {
    try {
      this.#tryTracking();
      return { mode: 'Full', reason: '' };
    } catch (error) {
      return { mode: 'MapOnly', reason: messageOf(error) };
    }
  }

  #tryMapping(): void {
    withMappedPage(this, (page) => {
      if (!page.every((byte) => byte === 0x5a)) throw new MappingFailed('a mapped page does not show its file');
    });
  }

  /** Of two pages one is written to: the kernel must say which, once, over a private mapping and over anonymous memory. */
  #tryTracking(): void {
    withMappedPage(this, (page) => this.#tryTrackingOf(this.libc.addressOf(page), PAGE_BYTES));
    const block = MemoryBlock.anonymous(this.libc, 2 * PAGE_BYTES);
    try {
      this.#tryTrackingOf(block.address, block.byteLength);
    } finally {
      block.free();
    }
  }

  #tryTrackingOf(address: number, length: number): void {
    const tracking = this.openTracking();
    try {
      tracking.register(address, length, UserFaultMode.WriteProtect);
      tracking.writeProtect(address, length, true);
      const scan = new PageScan(this.libc);
      try {
        const written = (): number[] => {
          const found: number[] = [];
          scan.scan(address, address + length, WRITTEN_PRIVATELY, (start, end) => found.push(start - address, end - address));
          return found;
        };
        const before = written();
        new Uint8Array(this.libc.view(address, PAGE_BYTES))[1] = 1;
        const [after, again] = [written(), written()];
        if (before.length > 0 || after.join() !== `0,${PAGE_BYTES}` || again.length > 0) throw new MappingFailed('the kernel does not tell which pages were written to');
      } finally {
        scan.close();
      }
    } finally {
      tracking.close();
    }
  }
}

/**
 * Pages that hold something of this process's own and were written to since they were protected, which they are again when it
 * answers. One the host has swapped out is found too; pages of the file and the zero page never.
 */
export const WRITTEN_PRIVATELY = {
  all: PageCategory.Written,
  none: PageCategory.File | PageCategory.Zero,
  any: PageCategory.Present | PageCategory.Swapped,
  protect: true,
} as const;

function withMappedPage(memory: HostMemory, use: (page: Uint8Array) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'corral-memory-'));
  try {
    const path = join(folder, 'page');
    writeFileSync(path, Buffer.alloc(PAGE_BYTES, 0x5a));
    const fd = openSync(path, 'r');
    try {
      const page = new Uint8Array(new WebAssembly.Memory({ initial: 1 }).buffer, 0, PAGE_BYTES);
      memory.mapPrivate(page, fd);
      use(page);
    } finally {
      closeSync(fd);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
