import { PAGE_BYTES } from '../machine-pages.ts';
import { PageSet } from '../page-set.ts';
import { ENXIO, FAILED, SEEK_DATA, SEEK_HOLE, type Libc } from './libc.ts';
import { MemoryBlock } from './memory-block.ts';

/**
 * A base image to compare pages with: page n lies at n pages into the file, and what lies beyond its end is zero. The mapping holds the
 * file; its descriptor is not needed any more. Holes of the file are known, so comparing with one does not fill it.
 */
export class BaseView {
  /** How many pages the file has. */
  readonly pages: number;
  readonly #libc: Libc;
  readonly #file: MemoryBlock | undefined;
  readonly #zeros: MemoryBlock;
  /** Pages the file stores; every other one is zero. */
  #stored: PageSet;
  #isWhole = true;

  private constructor(libc: Libc, stored: PageSet, file: MemoryBlock | undefined) {
    this.#libc = libc;
    this.pages = stored.bound;
    this.#stored = stored;
    this.#file = file;
    this.#zeros = MemoryBlock.anonymous(libc, PAGE_BYTES);
  }

  /** Throws MappingFailed. */
  static ofFile(libc: Libc, fd: number, pages: number): BaseView {
    return new BaseView(libc, storedPages(libc, fd, pages), MemoryBlock.readOnly(libc, pages * PAGE_BYTES, fd));
  }

  /** Of a machine that comes from no base: every page is compared with zeros. */
  static ofZeros(libc: Libc): BaseView {
    return new BaseView(libc, new PageSet(0), undefined);
  }

  /** Pages that are not zero only because the base has them. */
  get stored(): PageSet {
    return this.#stored.clone();
  }

  /** Whether the base stores a page, which then may be something else than zero. */
  has(page: number): boolean {
    return page < this.pages && this.#stored.has(page);
  }

  /** Not all of these pages are there yet, and no others come. */
  expect(stored: PageSet): void {
    this.#stored = stored;
    this.#isWhole = false;
  }

  /** All pages are there that were expected. */
  complete(): void {
    this.#isWhole = true;
  }

  /** Whether a page's content at an address is what the base has. While pages are still expected, of those that are not zero nobody knows. */
  equals(page: number, address: number): boolean {
    if (!this.#isWhole && this.#stored.has(page)) return false;
    const theirs = this.#file && this.#stored.has(page) ? this.#file.address + page * PAGE_BYTES : this.#zeros.address;
    return this.#libc.compare(address, theirs, PAGE_BYTES) === 0;
  }

  close(): void {
    this.#file?.free();
    this.#zeros.free();
  }
}

/** Where the file system does not say, all that was not told of counts as stored: to compare with it costs time, and to take it for zero would be wrong. */
function storedPages(libc: Libc, fd: number, pages: number): PageSet {
  const stored = new PageSet(pages);
  const size = pages * PAGE_BYTES;
  for (let at = 0; at < size; ) {
    const data = libc.seek(fd, at, SEEK_DATA);
    // Nothing but a hole is left.
    if (data === FAILED && libc.errno() === ENXIO) return stored;
    const hole = data === FAILED ? FAILED : libc.seek(fd, data, SEEK_HOLE);
    const first = Math.floor((data === FAILED ? at : data) / PAGE_BYTES);
    if (first >= pages) return stored;
    at = hole === FAILED ? size : Math.min(hole, size);
    stored.addRun(first, Math.ceil(at / PAGE_BYTES) - first);
  }
  return stored;
}
