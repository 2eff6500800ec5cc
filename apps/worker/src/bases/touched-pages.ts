import { open, readFile } from 'node:fs/promises';
import { PAGE_BYTES } from '@corral/memory';

const ENTRY_BYTES = 8;
/** Not bit 62: a page that is not there and is protected against writes counts as swapped out. Source: Documentation/admin-guide/mm/pagemap.rst, bit 63. */
const PRESENT = 0x80;
/** `55d0-55e0 rw-p 00003000 00:01 1234  /memfd:…`. Source: proc_pid_maps(5). */
const MAPPING = /^([0-9a-f]+)-([0-9a-f]+) \S+ ([0-9a-f]+) [0-9a-f]+:[0-9a-f]+ (\d+)/;

/**
 * Which pages of some memory a process has looked at or written to since it mapped it, and perhaps a few around them: the host maps
 * neighbours that are there along with a page. In ascending order. Throws where the process is gone.
 */
export async function touchedPages(pid: number, inode: number): Promise<number[]> {
  const touched = new Set<number>();
  const pagemap = await open(`/proc/${pid}/pagemap`);
  try {
    for (const line of (await readFile(`/proc/${pid}/maps`, 'utf8')).split('\n')) {
      const [, from, to, offset, of] = MAPPING.exec(line) ?? [];
      if (from === undefined || to === undefined || offset === undefined || Number(of) !== inode) continue;
      const first = Number.parseInt(from, 16) / PAGE_BYTES;
      const pages = Number.parseInt(to, 16) / PAGE_BYTES - first;
      const { buffer, bytesRead } = await pagemap.read(Buffer.alloc(pages * ENTRY_BYTES), 0, pages * ENTRY_BYTES, first * ENTRY_BYTES);
      for (let at = 0; at * ENTRY_BYTES < bytesRead; at += 1) {
        if (((buffer[at * ENTRY_BYTES + 7] ?? 0) & PRESENT) !== 0) touched.add(Number.parseInt(offset, 16) / PAGE_BYTES + at);
      }
    }
  } finally {
    await pagemap.close();
  }
  return [...touched].sort((a, b) => a - b);
}
