import { closeSync } from 'node:fs';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { SWAP_LOST_EXIT_CODE } from '@corral/contracts/for-vm-process';
import { MADV_DONTNEED, type Libc } from '../host/libc.ts';
import { MappingFailed } from '../host/mapping-failed.ts';
import { MemoryBlock } from '../host/memory-block.ts';
import { PageCategory, type PageScan } from '../host/page-scan.ts';
import { UserFaultMode, type UserFault } from '../host/userfault.ts';
import { PAGE_BYTES } from '../machine-pages.ts';
import { PageSet } from '../page-set.ts';
import { SLAB_BYTES } from './arena.ts';
import { DurableFile } from './durable.file.ts';
import { mappingsBetween } from './mappings.ts';
import { residentAllowance, sharesOf } from './memory-shares.ts';
import { PageCodec } from './page-codec.ts';
import { PageState, PageTable } from './page-table.ts';
import { CLOSE_ON_EXEC, loadPagerCalls, NON_BLOCKING, type PagerCalls } from './pager-calls.ts';
import { PagerControl, type PageOrigin, type PagerCounter, type PageWaits } from './pager-control.ts';
import type { PagerWorkerData } from './pager.protocol.ts';
import type { RedisAddress } from './redis-address.ts';
import { SecondChance } from './second-chance.ts';
import { StagingQueue } from './staging-queue.ts';
import { SwapLost } from './swap-tiers.ts';

export interface PagerOptions {
  readonly libc: Libc;
  /** The one the machine's RAM is tracked with. */
  readonly userFault: UserFault;
  readonly scan: PageScan;
  /** Address of the machine's first page, and how many it has. */
  readonly start: number;
  readonly pages: number;
  /** Of the machine's own: the durable copy is made here, without a name. */
  readonly folder: string;
  readonly budgetBytes: number;
  /** Undefined: pages go to the durable copy alone. */
  readonly redis: RedisAddress | undefined;
  readonly keyPrefix: string;
  /** Written to once a second while the pager lives. */
  readonly heartbeatFd?: number;
}

/** What became of a machine's pages, in bytes; and what the pager counted since it was started. */
export interface PagerUsage {
  readonly stagedBytes: number;
  readonly packedBytes: number;
  /** Pages that are packed in this process, before packing. */
  readonly compressedBytes: number;
  /** Pages that are outside of this process. */
  readonly swappedBytes: number;
  /** Pages that were taken out because they are all zero. */
  readonly zeroBytes: number;
  readonly counters: Record<PagerCounter, number>;
  readonly waits: Readonly<Record<PageOrigin, PageWaits>>;
}

/** What came of a look at a machine's memory. */
export interface Look {
  /** Pages that were taken out. */
  readonly evicted: number;
  /** For how long the machine stood still for pages to leave. */
  readonly waitedMs: number;
}

/** At least so many slots for pages on their way out, so that one look can take out many at once. */
const STAGING_SPARE = 512;
/** More than is needed is taken out, so that not every look has to: this part of the budget, since looking at more memory takes longer. */
const EVICT_AHEAD = { part: 256, leastPages: 32 };
/** What a machine may exceed its budget by before it waits: this part of it; for how long at a time, and for how long while nothing leaves. */
const TOLERATED = 16;
const LONGEST_WAIT_MS = 200;
const LONGEST_STALL_MS = 50;
const WAIT_STEP_MS = 1;
const THREAD_LIMITS = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 32, stackSizeMb: 1 };
const READ_ATTEMPTS = 16;

/**
 * Keeps a machine's RAM within a budget: takes out what has not been used for longest, and brings back what is touched.
 * This is the machine's side of it, on the machine's own thread; the other side is `pager.worker.ts`.
 *
 * Only the machine's thread may touch the RAM from `start` on, never a system call (EFAULT) and never the thread pool: while it waits
 * for a page, nothing but the pager runs.
 */
export class Pager {
  readonly #options: PagerOptions;
  readonly #calls: PagerCalls;
  readonly #table: PageTable;
  readonly #control = new PagerControl();
  readonly #staging: StagingQueue;
  readonly #stagingBlock: MemoryBlock;
  readonly #arenaBlock: MemoryBlock;
  readonly #scratch: MemoryBlock;
  readonly #durable: DurableFile;
  readonly #codec: PageCodec;
  readonly #secondChance = new SecondChance();
  /** Never woken: the machine’s thread sleeps on it. */
  readonly #sleep = new Int32Array(new SharedArrayBuffer(4));
  readonly #wakeFd: number;
  readonly #worker: Worker;
  readonly #exited: Promise<void>;
  #budgetBytes: number;
  #privatePages = 0;
  #evictedPages = 0;
  #isStopped = false;

  private constructor(options: PagerOptions) {
    const { libc, pages, folder } = options;
    this.#options = options;
    this.#budgetBytes = options.budgetBytes;
    this.#calls = loadPagerCalls();
    this.#codec = new PageCodec();
    this.#table = new PageTable(pages);
    this.#durable = DurableFile.create(folder);
    this.#staging = new StagingQueue(sharesOf(pages * PAGE_BYTES).stagedPages + STAGING_SPARE);
    this.#stagingBlock = MemoryBlock.anonymous(libc, this.#staging.capacity * PAGE_BYTES);
    // Twice what the machine has: slabs are rarely full, and what is not used costs nothing.
    this.#arenaBlock = MemoryBlock.anonymous(libc, Math.ceil((2 * pages * PAGE_BYTES) / SLAB_BYTES) * SLAB_BYTES);
    // What was read, what it was packed as, zeros, and a number to wake the pager with.
    this.#scratch = MemoryBlock.anonymous(libc, 4 * PAGE_BYTES);
    this.#wakeFd = this.#calls.eventfd(0, NON_BLOCKING | CLOSE_ON_EXEC);
    if (this.#wakeFd < 0) throw new MappingFailed(`eventfd failed with errno ${this.#calls.errno()}`);
    this.#applyBudget();
    const data: PagerWorkerData = {
      userFaultFd: options.userFault.fd, start: options.start, pages,
      table: this.#table.shared, control: this.#control.shared, staging: this.#staging.shared,
      stagingCapacity: this.#staging.capacity, stagingAddress: this.#stagingBlock.address,
      arenaAddress: this.#arenaBlock.address, arenaBytes: this.#arenaBlock.byteLength,
      durableFd: this.#durable.fd, wakeFd: this.#wakeFd, heartbeatFd: options.heartbeatFd,
      redis: options.redis, keyPrefix: options.keyPrefix, lostExitCode: SWAP_LOST_EXIT_CODE,
    };
    this.#worker = new Worker(new URL(`./pager.worker${extname(import.meta.filename)}`, import.meta.url), { workerData: data, resourceLimits: THREAD_LIMITS });
    // It does not keep the process, and nothing is in order once it has ended.
    this.#worker.unref();
    this.#worker.on('error', () => process.kill(process.pid, 'SIGKILL'));
    this.#exited = new Promise((resolve) => this.#worker.once('exit', () => resolve()));
    process.once('exit', this.#onProcessExit);
  }

  /**
   * Starts the pager's thread and has page faults answered by it. Throws MappingFailed where the memory is of a kind that
   * cannot be paged, and what the file system says where there is no room for the durable copy; the machine then runs on as before.
   */
  static async start(options: PagerOptions): Promise<Pager> {
    const pager = new Pager(options);
    try {
      await pager.#ready();
      pager.#register();
      return pager;
    } catch (error) {
      await pager.stop();
      throw error;
    }
  }

  /** How much of the machine's RAM may be in this process from now on. */
  set budgetBytes(bytes: number) {
    this.#budgetBytes = bytes;
    this.#applyBudget();
    this.#wake();
  }

  get budgetBytes(): number {
    return this.#budgetBytes;
  }

  /** Pages of the machine's own in its RAM, as of the last look. */
  get privatePages(): number {
    return this.#privatePages;
  }

  /**
   * Takes out what is too much. To be called right after writes were harvested and protected anew, with what the harvest found, and before the
   * guest runs again: a write that was not noted would be lost.
   */
  look(written: PageSet): Look {
    const epoch = this.#control.get('epoch') + 1;
    this.#control.set('epoch', epoch);
    for (const page of written) if (page < this.#table.pages) this.#table.written(page, epoch);
    const resident = this.#residentPages();
    this.#privatePages = resident.count;
    const ahead = Math.max(EVICT_AHEAD.leastPages, Math.floor(this.#budgetBytes / PAGE_BYTES / EVICT_AHEAD.part));
    let [evicted, waitedMs, stalledMs] = [0, 0, 0];
    for (;;) {
      const over = this.#privatePages - this.#allowance();
      if (over <= 0) return { evicted, waitedMs };
      const taken = this.evict(this.#secondChance.choose(resident, this.#table.age, epoch, over + ahead));
      evicted += taken.length;
      for (const page of taken) resident.delete(page);
      // A guest that writes faster than pages can leave waits for them, as it would for a disk.
      if (over - taken.length <= this.#budgetBytes / PAGE_BYTES / TOLERATED || waitedMs >= LONGEST_WAIT_MS || stalledMs >= LONGEST_STALL_MS) return { evicted, waitedMs };
      const startMs = performance.now();
      Atomics.wait(this.#sleep, 0, 0, WAIT_STEP_MS);
      const tookMs = performance.now() - startMs;
      waitedMs += tookMs;
      stalledMs = taken.length > 0 ? 0 : stalledMs + tookMs;
    }
  }

  /** Takes out these pages, which are the machine's own and resident; under the same rule as `look`. Answers those for which there was room. */
  evict(pages: Uint32Array): Uint32Array {
    // Where there is no room for more pages on their way out, those whose copies are good still can.
    const taken = pages.filter((page) => this.#takeOut(page));
    for (let first = 0; first < taken.length; ) {
      let end = first + 1;
      while (end < taken.length && taken[end] === (taken[end - 1] ?? 0) + 1) end += 1;
      this.#drop(taken[first] ?? 0, end - first);
      first = end;
    }
    this.#privatePages -= taken.length;
    this.#evictedPages += taken.length;
    if (taken.length > 0) this.#wake();
    return taken;
  }

  /**
   * The content of a page that is out, without bringing it back; undefined where it is in its place. Good until the next call. On the machine's
   * thread only. Throws SwapLost.
   */
  readOut(page: number): Uint8Array | undefined {
    for (let attempt = 0; attempt < READ_ATTEMPTS; attempt += 1) {
      const state = page < this.#table.pages ? this.#table.stateOf(page) : PageState.Resident;
      if (state === PageState.Resident) return undefined;
      // The pager may move the page on meanwhile; then what was read is of no use.
      if (this.#readAt(page, state, this.#scratch.address) && this.#table.stateOf(page) === state) return new Uint8Array(this.#scratch.buffer, 0, PAGE_BYTES);
    }
    throw new SwapLost(`page ${page} is nowhere any more as it was`);
  }

  isOut(page: number): boolean {
    return page < this.#table.pages && this.#table.stateOf(page) !== PageState.Resident;
  }

  usage(): PagerUsage {
    const pages = [0, 0, 0, 0, 0];
    for (const state of this.#table.state) pages[state] = (pages[state] ?? 0) + 1;
    const bytes = (state: PageState): number => (pages[state] ?? 0) * PAGE_BYTES;
    return {
      stagedBytes: bytes(PageState.Staged),
      packedBytes: this.#control.get('packedKib') * 1024,
      compressedBytes: bytes(PageState.Packed),
      swappedBytes: bytes(PageState.Swapped),
      zeroBytes: bytes(PageState.Zero),
      counters: this.#control.counters(),
      waits: this.#control.waits(),
    };
  }

  /** Pages that were taken out since the start. */
  get evictedPages(): number {
    return this.#evictedPages;
  }

  /** Ends the thread. Only when nobody will touch the machine's RAM any more: nobody would answer. */
  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    process.off('exit', this.#onProcessExit);
    this.#control.set('quit', 1);
    this.#wake();
    await this.#exited;
    this.#codec.free();
    this.#durable.close();
    closeSync(this.#wakeFd);
    for (const block of [this.#stagingBlock, this.#arenaBlock, this.#scratch]) block.free();
  }

  /** Node waits for its threads when it ends, and this one would be asleep. */
  readonly #onProcessExit = (): void => {
    this.#control.set('quit', 1);
    this.#wake();
  };

  async #ready(): Promise<void> {
    const failed = this.#exited.then(() => Promise.reject(new MappingFailed('the pager did not start')));
    await Promise.race([new Promise<void>((resolve) => this.#worker.once('message', () => resolve())), failed]);
  }

  /** Shared memory has pages that are only not mapped, anonymous memory has not. */
  #register(): void {
    const { userFault, start, pages } = this.#options;
    const end = start + pages * PAGE_BYTES;
    for (const { from, to, isAnonymous } of mappingsBetween(start, end)) {
      userFault.register(from, to - from, UserFaultMode.Missing | UserFaultMode.WriteProtect | (isAnonymous ? 0 : UserFaultMode.Minor));
    }
  }

  #residentPages(): PageSet {
    const { scan, start, pages } = this.#options;
    const resident = new PageSet(pages);
    scan.scan(start, start + pages * PAGE_BYTES, { all: PageCategory.Present, none: PageCategory.File | PageCategory.Zero }, (from, to) => {
      resident.addRun((from - start) / PAGE_BYTES, (to - from) / PAGE_BYTES);
    });
    return resident;
  }

  #allowance(): number {
    return residentAllowance(this.#budgetBytes, { stagedPages: this.#staging.length, packedBytes: this.#control.get('packedKib') * 1024 });
  }

  #applyBudget(): void {
    const { stagedPages, packedBytes } = sharesOf(this.#budgetBytes);
    this.#control.set('stagedLimit', stagedPages);
    this.#control.set('packedLimitKib', Math.floor(packedBytes / 1024));
  }

  #takeOut(page: number): boolean {
    const table = this.#table;
    if (table.backing[page] !== 0) {
      // Nobody wrote to it since it came back: what is kept elsewhere is still right.
      table.move(page, PageState.Swapped);
      return true;
    }
    const slot = this.#staging.offer();
    if (slot === undefined) return false;
    this.#options.libc.copy(this.#stagingBlock.address + slot * PAGE_BYTES, this.#addressOf(page), PAGE_BYTES);
    table.generation[page] = (table.generation[page] ?? 0) + 1;
    table.slot[page] = slot;
    table.move(page, PageState.Staged);
    this.#staging.commit(page);
    return true;
  }

  #drop(page: number, count: number): void {
    const { libc } = this.#options;
    if (libc.madvise(this.#addressOf(page), count * PAGE_BYTES, MADV_DONTNEED) !== 0) throw new MappingFailed(`madvise failed with errno ${libc.errno()}`);
  }

  #addressOf(page: number): number {
    return this.#options.start + page * PAGE_BYTES;
  }

  #readAt(page: number, state: PageState, destination: number): boolean {
    const { libc } = this.#options;
    const [packed, zeros] = [this.#scratch.address + PAGE_BYTES, this.#scratch.address + 2 * PAGE_BYTES];
    const { length: lengths, slot, place } = this.#table;
    const length = lengths[page] ?? 0;
    switch (state) {
      case PageState.Resident:
        return false;
      case PageState.Zero:
        libc.copy(destination, zeros, PAGE_BYTES);
        return true;
      case PageState.Staged:
        libc.copy(destination, this.#stagingBlock.address + (slot[page] ?? 0) * PAGE_BYTES, PAGE_BYTES);
        return true;
      case PageState.Packed:
        libc.copy(packed, this.#arenaBlock.address + (place[page] ?? 0), length);
        break;
      case PageState.Swapped:
        if (!this.#durable.read(page, new Uint8Array(this.#scratch.buffer, PAGE_BYTES, length))) return false;
        break;
    }
    if (length === PAGE_BYTES) libc.copy(destination, packed, PAGE_BYTES);
    else if (!this.#codec.unpack(packed, length, destination)) return false;
    return this.#codec.checksum(destination) === this.#table.checksum[page];
  }

  #wake(): void {
    new BigUint64Array(this.#scratch.buffer, 3 * PAGE_BYTES, 1)[0] = 1n;
    this.#calls.write(this.#wakeFd, this.#scratch.address + 3 * PAGE_BYTES, 8);
  }
}
