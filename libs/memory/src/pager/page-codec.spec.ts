import fc from 'fast-check';
import { loadLibc } from '../host/libc.ts';
import { MemoryBlock } from '../host/memory-block.ts';
import { PAGE_BYTES } from '../machine-pages.ts';
import { crc32 } from 'node:zlib';
import { PageCodec } from './page-codec.ts';

const block = MemoryBlock.anonymous(loadLibc(), 3 * PAGE_BYTES);
const [page, packed, unpacked] = [0, 1, 2].map((at) => new Uint8Array(block.buffer, at * PAGE_BYTES, PAGE_BYTES));
const codec = new PageCodec();
afterAll(() => {
  codec.free();
  block.free();
});

const contents = fc.oneof(
  fc.uint8Array({ minLength: PAGE_BYTES, maxLength: PAGE_BYTES }),
  fc.uint8Array({ minLength: 1, maxLength: 64 }).map((part) => Uint8Array.from({ length: PAGE_BYTES }, (_, at) => part[at % part.length] ?? 0)),
);

describe('a page', () => {
  it('comes back from being packed as it was, or is said not to be worth it', () => {
    fc.assert(
      fc.property(contents, (bytes) => {
        page?.set(bytes);
        unpacked?.fill(7);
        const length = codec.pack(block.address, block.address + PAGE_BYTES);
        if (length === PAGE_BYTES) return;
        expect(codec.unpack(block.address + PAGE_BYTES, length, block.address + 2 * PAGE_BYTES)).toBe(true);
        expect(Buffer.compare(unpacked ?? Buffer.alloc(0), bytes)).toBe(0);
        expect(codec.checksum(block.address + 2 * PAGE_BYTES)).toBe(crc32(bytes));
      }),
    );
  });

  it('a damaged one is not whole, or has another checksum', () => {
    fc.assert(
      fc.property(contents, fc.nat(), fc.integer({ min: 1, max: 255 }), (bytes, where, flip) => {
        page?.set(bytes);
        const length = codec.pack(block.address, block.address + PAGE_BYTES);
        if (length === PAGE_BYTES || !packed) return;
        const at = where % length;
        packed[at] = (packed[at] ?? 0) ^ flip;
        const isWhole = codec.unpack(block.address + PAGE_BYTES, length, block.address + 2 * PAGE_BYTES);
        const isSame = isWhole && Buffer.compare(unpacked ?? Buffer.alloc(0), bytes) === 0;
        if (isWhole && !isSame) expect(codec.checksum(block.address + 2 * PAGE_BYTES)).not.toBe(crc32(bytes));
      }),
    );
  });

  it('packing takes no more memory however often it is done', () => {
    page?.set(Uint8Array.from({ length: PAGE_BYTES }, (_, at) => at >> 4));
    const before = process.memoryUsage.rss();
    for (let round = 0; round < 20_000; round += 1) codec.pack(block.address, block.address + PAGE_BYTES);
    expect(process.memoryUsage.rss() - before).toBeLessThan(32 * 1024 * 1024);
  });
});
