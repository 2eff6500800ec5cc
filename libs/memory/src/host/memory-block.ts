import { FAILED, MADV_DONTNEED, MAP_ANONYMOUS, MAP_NORESERVE, MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE, type Libc } from './libc.ts';
import { MappingFailed } from './mapping-failed.ts';

/**
 * Memory of this process outside of V8's heap, by address: what system calls read and write. A Buffer would not do: its
 * bytes may move, and an address does not keep it alive. Nothing may use the block after `free`.
 */
export class MemoryBlock {
  readonly address: number;
  readonly byteLength: number;
  /** The block's bytes. Stays valid, since the block never moves; must not be used after `free`. */
  readonly buffer: ArrayBuffer;
  readonly #libc: Libc;
  #freed = false;

  private constructor(libc: Libc, address: number, byteLength: number) {
    this.#libc = libc;
    this.address = address;
    this.byteLength = byteLength;
    this.buffer = libc.view(address, byteLength);
  }

  /** All zero; costs memory only where it is written to. Throws MappingFailed. */
  static anonymous(libc: Libc, byteLength: number): MemoryBlock {
    return MemoryBlock.#map(libc, byteLength, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
  }

  /** What is written to it is written to the file, which must be as long. Throws MappingFailed. */
  static shared(libc: Libc, byteLength: number, fd: number): MemoryBlock {
    return MemoryBlock.#map(libc, byteLength, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
  }

  /** A file to read, which must be as long and never shrink. Writing to it ends the process. Throws MappingFailed. */
  static readOnly(libc: Libc, byteLength: number, fd: number): MemoryBlock {
    return MemoryBlock.#map(libc, byteLength, PROT_READ, MAP_PRIVATE | MAP_NORESERVE, fd);
  }

  static #map(libc: Libc, byteLength: number, protection: number, flags: number, fd: number): MemoryBlock {
    const address = Number(libc.mmap(0, byteLength, protection, flags, fd, 0));
    if (address === FAILED) throw new MappingFailed(`mmap failed with errno ${libc.errno()}`);
    return new MemoryBlock(libc, address, byteLength);
  }

  /** Gives the memory back but keeps the block: anonymous memory reads as zero again. Source: madvise(2), MADV_DONTNEED. */
  empty(): void {
    if (!this.#freed) this.#libc.madvise(this.address, this.byteLength, MADV_DONTNEED);
  }

  free(): void {
    if (this.#freed) return;
    this.#freed = true;
    this.#libc.munmap(this.address, this.byteLength);
  }
}
