import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HostMemory } from '../host/host-memory.ts';
import { loadLibc } from '../host/libc.ts';
import { MemoryBlock } from '../host/memory-block.ts';
import { PAGE_BYTES } from '../machine-pages.ts';
import { SLAB_BYTES } from './arena.ts';
import { BREAKER_OPEN_MS } from './breaker.ts';
import { DurableFile } from './durable.file.ts';
import { PageState, PageTable } from './page-table.ts';
import { loadPagerCalls } from './pager-calls.ts';
import { PagerControl } from './pager-control.ts';
import { StagingQueue } from './staging-queue.ts';
import { SwapTiers } from './swap-tiers.ts';

const PAGES = 8;

/** Calls `onWrite` after each write to one of the table's columns: the other thread may look at any moment. */
function observed(table: PageTable, onWrite: () => void): PageTable {
  const columns = Object.entries(table).filter(([, column]) => ArrayBuffer.isView(column) && column !== table.state);
  for (const [name, column] of columns) {
    const value = new Proxy(column as Uint32Array, {
      set: (target, key, number: number) => {
        target[Number(key)] = number;
        onWrite();
        return true;
      },
    });
    Object.defineProperty(table, name, { value });
  }
  return table;
}

(HostMemory.probe().memory ? describe : describe.skip)('on the way from one tier to the next', () => {
  const libc = loadLibc();
  let folder: string;
  let nowMs: number;
  let staging: StagingQueue;
  let stagingBlock: MemoryBlock;
  let arenaBlock: MemoryBlock;
  let tiers: SwapTiers;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'corral-tiers-'));
    nowMs = 0;
    staging = new StagingQueue(PAGES);
    [stagingBlock, arenaBlock] = [MemoryBlock.anonymous(libc, PAGES * PAGE_BYTES), MemoryBlock.anonymous(libc, 4 * SLAB_BYTES)];
  });
  afterEach(() => {
    tiers.dispose();
    for (const block of [stagingBlock, arenaBlock]) block.free();
    rmSync(folder, { recursive: true });
  });

  /** With every page staged, and nothing that may stay. */
  function begin(table: PageTable, durable: DurableFile, onStaged: (page: number, slot: number) => void = () => undefined): void {
    for (let page = 0; page < PAGES; page += 1) {
      const slot = staging.offer() ?? 0;
      new Uint8Array(stagingBlock.buffer, slot * PAGE_BYTES, PAGE_BYTES).fill(page + 1);
      table.slot[page] = slot;
      table.move(page, PageState.Staged);
      staging.commit(page);
      onStaged(page, slot);
    }
    tiers = new SwapTiers({
      libc, calls: loadPagerCalls(), table, staging, stagingAddress: stagingBlock.address, arenaAddress: arenaBlock.address, arenaBytes: arenaBlock.byteLength,
      durable, control: new PagerControl(), redis: undefined, keyPrefix: 'none', now: () => nowMs,
    });
  }

  it('a page is found where the table says it is, whenever somebody looks', () => {
    const slots = new Map<number, number>();
    let looks = 0;
    const table: PageTable = observed(new PageTable(PAGES), () => {
      for (const [page, slot] of slots) {
        if (table.stateOf(page) !== PageState.Staged) continue;
        looks += 1;
        expect([page, table.slot[page]]).toEqual([page, slot]);
      }
    });
    begin(table, DurableFile.create(folder), (page, slot) => slots.set(page, slot));
    while (staging.length > 0) tiers.work();
    expect([...table.state]).toEqual(Array.from({ length: PAGES }, () => PageState.Swapped));
    expect(looks).toBeGreaterThan(PAGES);
  });

  it('pages wait for a disk that is full, and nobody tries without a pause', () => {
    const table = new PageTable(PAGES);
    const full = openSync('/dev/full', 'r+');
    begin(table, DurableFile.of(full));
    for (let work = 0; work < PAGES; work += 1) tiers.work();
    expect([...table.state]).toEqual(Array.from({ length: PAGES }, () => PageState.Packed));
    // Else its thread would take all of a core.
    expect([tiers.isBehind, tiers.isWaiting]).toEqual([false, true]);
    nowMs += BREAKER_OPEN_MS;
    expect(tiers.isBehind).toBe(true);
    tiers.work();
    expect(tiers.isBehind).toBe(false);
    closeSync(full);
  });
});
