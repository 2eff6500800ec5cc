import { PAGE_BYTES } from '../machine-pages.ts';
import type { Libc } from './libc.ts';
import { MemoryBlock } from './memory-block.ts';
import { UserFaultMode, type UserFault } from './userfault.ts';

const SCRATCH_PAGES = 64;

/** Memory of which pages may be missing, and somebody else answers for them. */
export class MissingPages {
  readonly #userFault: UserFault;
  readonly #scratch: MemoryBlock;

  private constructor(libc: Libc, userFault: UserFault) {
    this.#userFault = userFault;
    this.#scratch = MemoryBlock.anonymous(libc, SCRATCH_PAGES * PAGE_BYTES);
  }

  /** Also for pages that the file has and that are only not mapped: whether they are to be shown is decided by who answers. Throws MappingFailed. */
  static register(libc: Libc, userFault: UserFault, ranges: readonly { readonly address: number; readonly pages: number }[]): MissingPages {
    const modes = UserFaultMode.Missing | UserFaultMode.WriteProtect | UserFaultMode.Minor;
    for (const { address, pages } of ranges) userFault.register(address, pages * PAGE_BYTES, modes);
    return new MissingPages(libc, userFault);
  }

  /**
   * Puts whole pages in place, and waits for nobody: writing to a page that is missing would bring it first. They count as written to. False where some
   * are there already; then they are to be written like any memory.
   */
  place(address: number, bytes: Uint8Array): boolean {
    const scratch = new Uint8Array(this.#scratch.buffer);
    for (let at = 0; at < bytes.byteLength; at += scratch.byteLength) {
      const part = bytes.subarray(at, at + scratch.byteLength);
      scratch.set(part);
      if (this.#userFault.copy(address + at, this.#scratch.address, part.byteLength) !== part.byteLength) return false;
    }
    return true;
  }

  free(): void {
    this.#scratch.free();
  }
}
