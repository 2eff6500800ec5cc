import { closeSync, openSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { PAGE_BYTES } from '../machine-pages.ts';
import { HostMemory, WRITTEN_PRIVATELY } from './host-memory.ts';
import { loadLibc } from './libc.ts';
import { MappingFailed } from './mapping-failed.ts';
import { MemoryBlock } from './memory-block.ts';
import { PageCategory, PageScan } from './page-scan.ts';
import { SealedMemory } from './sealed-memory.ts';
import { PlaceFlag, UserFault, UserFaultFeature, UserFaultMode } from './userfault.ts';

const PAGES = 64;
const BYTES = PAGES * PAGE_BYTES;
const { capability } = HostMemory.probe();
const libc = loadLibc();

// A host without it is held to the other modes' guarantees.
(capability.mode === 'Full' ? describe : describe.skip)('userfaultfd and PAGEMAP_SCAN', () => {
  let scan: PageScan;
  const opened: { close(): void }[] = [];
  const blocks: MemoryBlock[] = [];
  beforeEach(() => {
    scan = new PageScan(libc);
  });
  afterEach(() => {
    scan.close();
    // Whatever is registered goes before what it is registered with.
    for (const block of blocks.splice(0)) block.free();
    for (const closable of opened.splice(0)) closable.close();
  });

  const open = (features: number): UserFault => {
    const fault = UserFault.open(libc, features);
    opened.push(fault);
    return fault;
  };
  const anonymous = (length = BYTES): MemoryBlock => {
    const block = MemoryBlock.anonymous(libc, length);
    blocks.push(block);
    return block;
  };
  /** A private mapping of a sealed memory whose page n is full of n + 1. */
  const privateCopy = (): MemoryBlock => {
    const base = SealedMemory.create('test', BYTES);
    for (let page = 0; page < PAGES; page += 1) base.write(Buffer.alloc(PAGE_BYTES, page + 1), page * PAGE_BYTES);
    base.seal();
    const block = anonymous();
    HostMemory.probe().memory?.mapPrivateAt(block.address, BYTES, base.fd);
    base.close();
    return block;
  };
  const written = (block: MemoryBlock, query = WRITTEN_PRIVATELY): number[] => {
    const pages: number[] = [];
    scan.scan(block.address, block.address + block.byteLength, query, (start, end) => {
      for (let at = start; at < end; at += PAGE_BYTES) pages.push((at - block.address) / PAGE_BYTES);
    });
    return pages;
  };

  const tracked = (block: MemoryBlock): MemoryBlock => {
    const tracking = HostMemory.probe().memory?.openTracking();
    if (!tracking) throw new Error('no tracking');
    opened.push(tracking);
    tracking.register(block.address, block.byteLength, UserFaultMode.WriteProtect);
    tracking.writeProtect(block.address, block.byteLength, true);
    return block;
  };

  it.each([
    ['a private mapping', privateCopy],
    ['anonymous memory', anonymous],
  ])('tell once which pages of %s were written to, and nothing of what was read', (_what, make) => {
    const block = tracked(make());
    const bytes = new Uint8Array(block.buffer);
    expect(bytes.reduce((sum, byte) => sum + byte, 0)).toBeGreaterThanOrEqual(0);
    expect(written(block)).toEqual([]);
    for (const page of [3, 4, 63]) bytes[page * PAGE_BYTES + 9] = 0xee;
    expect(written(block)).toEqual([3, 4, 63]);
    expect(written(block)).toEqual([]);
    bytes[4 * PAGE_BYTES] = 1;
    expect(written(block)).toEqual([4]);
  });

  it('leaves what was found unprotected when it is not asked to protect', () => {
    const block = tracked(privateCopy());
    new Uint8Array(block.buffer)[0] = 1;
    const looking = { ...WRITTEN_PRIVATELY, protect: false as unknown as true };
    expect([written(block, looking), written(block, looking), written(block), written(block)]).toEqual([[0], [0], [0], []]);
  });

  it('more runs of pages than one call answers are all found', () => {
    const pages = 70_000;
    const block = tracked(anonymous(pages * PAGE_BYTES));
    const bytes = new Uint8Array(block.buffer);
    const expected = Array.from({ length: pages / 2 }, (_, at) => at * 2);
    for (const page of expected) bytes[page * PAGE_BYTES] = 1;
    expect(written(block)).toEqual(expected);
  });

  it('says of pages of the file that they are', () => {
    const block = privateCopy();
    const bytes = new Uint8Array(block.buffer);
    bytes[0] = bytes[PAGE_BYTES] ?? 0;
    const found: number[] = [];
    scan.scan(block.address, block.address + 2 * PAGE_BYTES, { all: PageCategory.File | PageCategory.Present }, (start) => found.push(start - block.address));
    expect(found).toEqual([PAGE_BYTES]);
  });

  it('answers missing pages by copies, zeros and what a file has, from another thread, and the reader sees them', async () => {
    const shared = SealedMemory.create('test', BYTES);
    shared.write(Buffer.alloc(PAGE_BYTES, 7), 2 * PAGE_BYTES);
    const fault = open(UserFaultFeature.MinorShared | UserFaultFeature.WriteProtect);
    const block = anonymous();
    HostMemory.probe().memory?.mapPrivateAt(block.address, BYTES, shared.fd);
    fault.register(block.address, BYTES, UserFaultMode.Missing | UserFaultMode.Minor | UserFaultMode.WriteProtect);
    // Who reads waits, so it is another thread; this one answers.
    const reader = new Worker(
      `const { parentPort, workerData } = require('node:worker_threads');
       const koffi = require('koffi');
       const bytes = new Uint8Array(koffi.view(BigInt(workerData.address), workerData.length));
       parentPort.postMessage([0, 1, 2].map((page) => bytes[page * 4096]));`,
      { eval: true, workerData: { address: block.address, length: BYTES } },
    );
    const answer = new Promise<number[]>((resolve, reject) => reader.on('message', resolve).on('error', reject));
    const source = anonymous(PAGE_BYTES);
    new Uint8Array(source.buffer).fill(5);
    const kinds: boolean[] = [];
    while (kinds.length < 3) {
      for (const { address, isMinor } of fault.readFaults()) {
        const page = Math.floor((address - block.address) / PAGE_BYTES);
        const at = block.address + page * PAGE_BYTES;
        kinds[page] = isMinor;
        const done = [
          () => fault.copy(at, source.address, PAGE_BYTES, PlaceFlag.WriteProtect),
          () => fault.zeroPage(at, PAGE_BYTES),
          () => fault.continue(at, PAGE_BYTES, PlaceFlag.WriteProtect),
        ][page];
        expect(done?.()).toBe(PAGE_BYTES);
      }
      await nextTurn();
    }
    expect(await answer).toEqual([5, 0, 7]);
    expect(kinds).toEqual([false, false, true]);
    // What is there is not put there again.
    expect(fault.copy(block.address, source.address, PAGE_BYTES)).toBe(-17);
    await reader.terminate();
    shared.close();
  });

  it('moves pages where the kernel can', () => {
    let fault: UserFault;
    try {
      fault = open(UserFaultFeature.Move);
    } catch {
      return;
    }
    const [from, to] = [anonymous(), anonymous()];
    new Uint8Array(from.buffer)[0] = 9;
    for (const { address } of [from, to]) fault.register(address, BYTES, UserFaultMode.Missing);
    expect(fault.move(to.address, from.address, PAGE_BYTES)).toBe(PAGE_BYTES);
    expect(new Uint8Array(to.buffer)[0]).toBe(9);
  });

  it('refuses what the kernel does not have, and memory that is no whole number of pages', () => {
    expect(() => UserFault.open(libc, 2 ** 40)).toThrow(MappingFailed);
    const fault = open(UserFaultFeature.WriteProtect);
    expect(() => fault.register(anonymous().address + 1, PAGE_BYTES, UserFaultMode.WriteProtect)).toThrow(MappingFailed);
  });

  it('a sandbox that forbids the system call is served by the device, where there is one', () => {
    const withoutCall = { ...libc, syscall: () => -1 };
    let device: number | undefined;
    try {
      device = openSync('/dev/userfaultfd', 'r+');
    } catch {
      expect(() => UserFault.open(withoutCall, 0)).toThrow(/not available/);
      return;
    }
    closeSync(device);
    const fault = UserFault.open(withoutCall, UserFaultFeature.WriteProtect);
    expect(fault.features & UserFaultFeature.WriteProtect).not.toBe(0);
    fault.close();
  });
});
