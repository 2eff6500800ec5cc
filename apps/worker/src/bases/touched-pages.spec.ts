import { closeSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { HostMemory, MemoryBlock, PAGE_BYTES, SealedMemory } from '@corral/memory';
import { touchedPages } from './touched-pages.ts';

const PAGES = 1_024;
const { memory: host } = HostMemory.probe();

(host ? describe : describe.skip)('what a process touched of some memory', () => {
  it('holds every page it read or wrote, and none far from these', async () => {
    if (!host) return;
    const sealed = SealedMemory.create('touched', PAGES * PAGE_BYTES);
    sealed.write(randomBytes(PAGES * PAGE_BYTES), 0);
    sealed.seal();
    const block = MemoryBlock.anonymous(host.libc, PAGES * PAGE_BYTES);
    const fd = SealedMemory.open(sealed.place);
    host.mapPrivateAt(block.address, block.byteLength, fd);
    closeSync(fd);
    expect(await touchedPages(process.pid, sealed.place.inode)).toEqual([]);
    const view = new Uint8Array(block.buffer);
    const looked = [3, 700, 701];
    for (const page of looked) expect(view[page * PAGE_BYTES]).toBeDefined();
    view[400 * PAGE_BYTES] = 1;
    const touched = await touchedPages(process.pid, sealed.place.inode);
    expect(touched).toEqual(expect.arrayContaining([...looked, 400]));
    // The host maps 16 pages at a time where it can.
    for (const page of touched) expect([...looked, 400].some((near) => Math.abs(near - page) < 16)).toBe(true);
    expect(await touchedPages(process.pid, 1)).toEqual([]);
    block.free();
    sealed.close();
  });

  it('cannot be told of a process that is gone', async () => {
    await expect(touchedPages(2 ** 22 + 1, 1)).rejects.toThrow('ENOENT');
  });
});
