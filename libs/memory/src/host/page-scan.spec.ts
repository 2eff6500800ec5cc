import { PAGE_BYTES } from '../machine-pages.ts';
import { HostMemory } from './host-memory.ts';
import { loadLibc } from './libc.ts';
import { MemoryBlock } from './memory-block.ts';
import { PageCategory, PageScan } from './page-scan.ts';

const libc = loadLibc();

(HostMemory.probe().capability.mode === 'Full' ? describe : describe.skip)('PAGEMAP_SCAN', () => {
  // The kernel pauses by itself after 512 runs, and we have room for 16,384.
  it.each([10, 511, 513, 5_000, 16_384, 20_000])('tells of each of %i scattered pages once', (count) => {
    const block = MemoryBlock.anonymous(libc, (2 * count + 1) * PAGE_BYTES);
    const scan = new PageScan(libc);
    try {
      const bytes = new Uint8Array(block.buffer);
      for (let page = 0; page < count; page += 1) bytes[(2 * page + 1) * PAGE_BYTES] = 1;
      const told: number[] = [];
      scan.scan(block.address, block.address + block.byteLength, { all: PageCategory.Present, none: PageCategory.File | PageCategory.Zero }, (from, to) => {
        for (let at = from; at < to; at += PAGE_BYTES) told.push((at - block.address) / PAGE_BYTES);
      });
      expect(told).toEqual(Array.from({ length: count }, (_, page) => 2 * page + 1));
    } finally {
      scan.close();
      block.free();
    }
  });
});
