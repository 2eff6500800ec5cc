import { closeSync, openSync, readSync } from 'node:fs';
import { PAGE_BYTES } from '../machine-pages.ts';

const ENTRY_BYTES = 8;
const CHUNK_PAGES = 8_192;
/** Bits 63, 62 and 61 of an entry, in its upper word. Source: Documentation/admin-guide/mm/pagemap.rst. */
const PRESENT = 0x8000_0000;
const SWAPPED = 0x4000_0000;
const OF_A_FILE = 0x2000_0000;

/**
 * Calls `found` with the position of every page of a range that is this process's own: written to, over a private mapping. On any Linux.
 * Where writes are tracked, pages that are not there look like pages that the host has swapped out: then `isPresent` leaves both out.
 */
export function eachPrivatePage(address: number, pages: number, isPresent: boolean, found: (position: number) => void): void {
  const wanted = isPresent ? PRESENT : PRESENT | SWAPPED;
  const fd = openSync('/proc/self/pagemap', 'r');
  try {
    const chunk = new DataView(new ArrayBuffer(CHUNK_PAGES * ENTRY_BYTES));
    for (let at = 0; at < pages; at += CHUNK_PAGES) {
      const count = Math.min(CHUNK_PAGES, pages - at);
      const read = readSync(fd, chunk, 0, count * ENTRY_BYTES, (address / PAGE_BYTES + at) * ENTRY_BYTES);
      for (let position = 0; position * ENTRY_BYTES < read; position += 1) {
        const upper = chunk.getUint32(position * ENTRY_BYTES + 4, true);
        if ((upper & wanted) !== 0 && (upper & OF_A_FILE) === 0) found(at + position);
      }
    }
  } finally {
    closeSync(fd);
  }
}
