import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PIECE_BYTES } from '../pack.ts';
import { FAILED, loadLibc, MADV_DONTNEED, MAP_FIXED, MAP_NORESERVE, MAP_PRIVATE, PROT_READ, PROT_WRITE, type Libc } from './libc.ts';

const ZERO_PAGE = Buffer.alloc(PIECE_BYTES);

/**
 * How guest RAM can be held here. MapOnly: on the host's own virtual memory, shared between machines until they write to
 * it. Copy: each machine's own bytes.
 */
export type MemoryMode = 'MapOnly' | 'Copy';

/** What this host can do with memory, found out by trying. */
export interface MemoryCapability {
  readonly mode: MemoryMode;
  /** Why it is not a better mode; empty for the best there is. */
  readonly reason: string;
}

/** A mapping that the host refused. */
export class MappingFailed extends Error {
  override readonly name = 'MappingFailed';
}

/** The host's virtual memory, as far as machines need it. */
export class HostMemory {
  readonly #libc: Libc;

  private constructor(libc: Libc) {
    this.#libc = libc;
  }

  /** Undefined, with the reason, where machines must be copied. The probe maps one page and looks at it. */
  static probe(load: () => Libc = loadLibc): { readonly memory: HostMemory | undefined; readonly capability: MemoryCapability } {
    try {
      const memory = new HostMemory(load());
      memory.#tryOut();
      return { memory, capability: { mode: 'MapOnly', reason: '' } };
    } catch (error) {
      return { memory: undefined, capability: { mode: 'Copy', reason: error instanceof Error ? error.message : String(error) } };
    }
  }

  /**
   * Puts a file's content in the place of some memory, copy-on-write: reads see the file, writes stay here, and pages that
   * are only read are shared with everyone who maps the same file. The file must be as long as the place, and must never
   * change or shrink: readers would see it, or die. Throws MappingFailed. Source: mmap(2), MAP_PRIVATE and MAP_FIXED.
   */
  mapPrivate(place: Uint8Array, fd: number): void {
    const address = this.#libc.addressOf(place);
    if (address % PIECE_BYTES !== 0 || place.byteLength % PIECE_BYTES !== 0) throw new MappingFailed('the memory does not begin and end at a page');
    const flags = MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE;
    const mapped = Number(this.#libc.mmap(address, place.byteLength, PROT_READ | PROT_WRITE, flags, fd, 0));
    if (mapped === FAILED) throw new MappingFailed(`mmap failed with errno ${this.#libc.errno()}`);
    if (mapped !== address) throw new MappingFailed('mmap put the memory elsewhere');
  }

  /** Gives memory that malloc holds back for later to the host. Source: malloc_trim(3). */
  trimHeap(): void {
    this.#libc.mallocTrim(0);
  }

  /**
   * Gives pages that are all zero to the host, and answers how many bytes that were. Only for anonymous memory, where a
   * page that was given back reads as zero again. Source: madvise(2), MADV_DONTNEED.
   */
  dropZeroPages(place: Uint8Array): number {
    const start = this.#libc.addressOf(place);
    const first = (PIECE_BYTES - (start % PIECE_BYTES)) % PIECE_BYTES;
    let dropped = 0;
    for (let at = first; at + PIECE_BYTES <= place.byteLength; ) {
      let end = at;
      while (end + PIECE_BYTES <= place.byteLength && ZERO_PAGE.compare(place, end, end + PIECE_BYTES) === 0) end += PIECE_BYTES;
      if (end > at) {
        if (Number(this.#libc.madvise(start + at, end - at, MADV_DONTNEED)) === FAILED) throw new MappingFailed(`madvise failed with errno ${this.#libc.errno()}`);
        dropped += end - at;
      }
      at = Math.max(end, at + PIECE_BYTES);
    }
    return dropped;
  }

  /** WebAssembly memory is what guests live in, so that is what is tried. */
  #tryOut(): void {
    const folder = mkdtempSync(join(tmpdir(), 'corral-memory-'));
    try {
      const path = join(folder, 'page');
      writeFileSync(path, Buffer.alloc(PIECE_BYTES, 0x5a));
      const fd = openSync(path, 'r');
      try {
        const page = new Uint8Array(new WebAssembly.Memory({ initial: 1 }).buffer, 0, PIECE_BYTES);
        this.mapPrivate(page, fd);
        if (!page.every((byte) => byte === 0x5a)) throw new MappingFailed('a mapped page does not show its file');
      } finally {
        closeSync(fd);
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
}
