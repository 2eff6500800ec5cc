import { MADV_DONTNEED, type Libc } from '../host/libc.ts';
import { MemoryBlock } from '../host/memory-block.ts';
import { PAGE_BYTES } from '../machine-pages.ts';
import { Arena, SLAB_BYTES } from './arena.ts';
import { Breaker } from './breaker.ts';
import type { DurableFile } from './durable.file.ts';
import { PACKED_OVERDRAFT } from './memory-shares.ts';
import { PageCodec } from './page-codec.ts';
import { Backing, PageState, type PageTable } from './page-table.ts';
import type { PagerCalls } from './pager-calls.ts';
import type { PagerControl, PageOrigin } from './pager-control.ts';
import { CLUSTER_PAGES } from './readahead.ts';
import type { RedisAddress } from './redis-address.ts';
import type { RedisConnection } from './redis-connection.ts';
import { RedisTier } from './redis-tier.ts';
import type { StagingQueue } from './staging-queue.ts';

/** Pages in one go, between which faults are looked for. */
const PACK_AT_ONCE = 8;
const DRAIN_AT_ONCE = 32;
/** So many harvests older than they are, pages count that came in the course of a long way through memory. */
const SCANNED_AGE = 64;

/** A page is nowhere any more as it was: the machine cannot go on. */
export class SwapLost extends Error {
  override readonly name = 'SwapLost';
}

export interface SwapTiersOptions {
  readonly libc: Libc;
  readonly calls: PagerCalls;
  readonly table: PageTable;
  readonly staging: StagingQueue;
  readonly stagingAddress: number;
  readonly arenaAddress: number;
  readonly arenaBytes: number;
  readonly durable: DurableFile;
  readonly control: PagerControl;
  /** Undefined: the durable copy is all there is. */
  readonly redis: RedisAddress | undefined;
  readonly keyPrefix: string;
  readonly now: () => number;
}

/** Where pages are that are not in the guest's RAM, and their way from one tier to the next. Belongs to the pager's thread. */
export class SwapTiers {
  readonly #options: SwapTiersOptions;
  readonly #codec = new PageCodec();
  readonly #arena: Arena;
  readonly #arenaView: Uint8Array;
  /** Of the disk under the durable copy, which may be full. */
  readonly #disk = new Breaker();
  readonly #redis: RedisTier | undefined;
  /** Packed pages in the order they were packed; some have left since. */
  #packed: number[] = [];
  #packedHead = 0;
  readonly #scratch: MemoryBlock;

  constructor(options: SwapTiersOptions) {
    this.#options = options;
    const { libc, redis, arenaBytes, arenaAddress } = options;
    this.#arena = new Arena(arenaBytes);
    this.#arenaView = new Uint8Array(libc.view(arenaAddress, arenaBytes));
    // Two packed pages, a poll argument, and a page of zeros to compare with.
    this.#scratch = MemoryBlock.anonymous(libc, 4 * PAGE_BYTES);
    this.#redis = redis && new RedisTier({ ...options, redis });
  }

  /** To be polled, and served. */
  get connections(): readonly RedisConnection[] {
    return this.#redis?.connections ?? [];
  }

  get packedBytes(): number {
    return this.#arena.usedBytes;
  }

  /** Whether there is something to do without being asked. */
  get isBehind(): boolean {
    return this.#stagedTooMany() || (this.#packedTooMuch() && this.#canLeave());
  }

  /** Whether something is due that has to wait for Redis. */
  get isWaiting(): boolean {
    return this.#packedTooMuch() || (this.#redis?.isBusy ?? false);
  }

  /**
   * Puts up to `count` pages from `page` on at `destination`, as they were, and makes them resident in the table: the caller puts them in place
   * right away, while the machine still waits. Stops at the first that is not out, and at one that cannot be had. Answers how many; throws SwapLost where
   * the first cannot be had.
   */
  bringBack(page: number, count: number, destination: number): { readonly count: number; readonly origin: PageOrigin } {
    const { table, control } = this.#options;
    const end = Math.min(page + count, table.pages);
    // A guest that goes through its memory in order is unlikely to be back soon: what it uses otherwise is kept instead.
    const age = Math.max(0, control.get('epoch') - (count > CLUSTER_PAGES ? SCANNED_AGE : 0));
    let last = page + 1;
    while (last < end && isOut(table.stateOf(last))) last += 1;
    const loaded = this.#load(page, last, destination);
    let origin: PageOrigin | undefined;
    let at = page;
    for (; at < last; at += 1) {
      const from = this.#restore(at, destination + (at - page) * PAGE_BYTES, loaded);
      if (from === undefined) break;
      origin ??= from;
      table.age[at] = age;
      table.move(at, PageState.Resident);
    }
    if (origin === undefined) throw new SwapLost(`page ${page} is nowhere any more as it was`);
    return { count: at - page, origin };
  }

  /** Does a little of what is due. */
  work(): void {
    for (let done = 0; done < PACK_AT_ONCE && this.#stagedTooMany(); done += 1) this.#packOldest();
    this.#drain();
    this.#options.control.set('packedKib', this.#arena.usedBytes / 1024);
  }

  dispose(): void {
    this.#redis?.close();
    this.#codec.free();
    this.#scratch.free();
  }

  #stagedTooMany(): boolean {
    const { staging, control } = this.#options;
    return staging.length > control.get('stagedLimit');
  }

  #packedTooMuch(): boolean {
    return this.#arena.usedBytes - (this.#redis?.leavingBytes ?? 0) > this.#packedLimit();
  }

  #packedLimit(): number {
    return this.#options.control.get('packedLimitKib') * 1024;
  }

  /** Whether pages can go on now: else there is nothing to do but wait. */
  #canLeave(): boolean {
    if (this.#packedHead >= this.#packed.length || !this.#disk.allows(this.#options.now())) return false;
    return this.#redis === undefined || this.#isOverdrawn() || this.#redis.takes(this.#options.now());
  }

  /** Redis has not taken pages for so long that the durable copy has to do. */
  #isOverdrawn(): boolean {
    return this.#arena.usedBytes > this.#packedLimit() * PACKED_OVERDRAFT;
  }

  #packOldest(): void {
    const { staging, table, stagingAddress, control, libc, arenaAddress } = this.#options;
    const oldest = staging.oldest();
    if (!oldest) return;
    const { page, slot } = oldest;
    // It went back meanwhile, and may even have come again, to another slot.
    if (table.stateOf(page) !== PageState.Staged || table.slot[page] !== slot) return staging.drop();
    const source = stagingAddress + slot * PAGE_BYTES;
    table.checksum[page] = this.#codec.checksum(source);
    if (libc.compare(source, this.#zeros, PAGE_BYTES) === 0) {
      table.move(page, PageState.Zero);
      control.count('zeroOuts');
      return staging.drop();
    }
    const packed = this.#scratch.address;
    const length = this.#codec.pack(source, packed);
    const place = this.#arena.allocate(length);
    // As many pages as the machine has fit, packed or not, so there is always a place.
    if (place === undefined) throw new Error('the arena is smaller than the machine');
    libc.copy(arenaAddress + place, length === PAGE_BYTES ? source : packed, length);
    table.place[page] = place;
    table.length[page] = length;
    table.backing[page] = 0;
    table.move(page, PageState.Packed);
    staging.drop();
    this.#packed.push(page);
    control.count('packedOuts');
  }

  get #zeros(): number {
    return this.#scratch.address + 3 * PAGE_BYTES;
  }

  #drain(): void {
    const now = this.#options.now();
    for (let done = 0; done < DRAIN_AT_ONCE && this.#packedTooMuch() && this.#canLeave(); done += 1) {
      const page = this.#nextPacked();
      if (page === undefined) break;
      if (!this.#leave(page, now)) {
        this.#packed.push(page);
        break;
      }
    }
    this.#redis?.flush(now);
  }

  #nextPacked(): number | undefined {
    const { table } = this.#options;
    while (this.#packedHead < this.#packed.length) {
      const page = this.#packed[this.#packedHead++];
      if (this.#packedHead > 4096 && this.#packedHead * 2 > this.#packed.length) {
        this.#packed = this.#packed.slice(this.#packedHead);
        this.#packedHead = 0;
      }
      if (page !== undefined && table.stateOf(page) === PageState.Packed && !this.#redis?.isLeaving(page)) return page;
    }
    return undefined;
  }

  /** Sends a packed page on; false where that is not possible now. */
  #leave(page: number, now: number): boolean {
    const { table, durable, control } = this.#options;
    const bytes = this.#packedOf(page);
    if (((table.backing[page] ?? 0) & Backing.Durable) === 0) {
      if (!durable.write(page, bytes)) {
        control.count('durableFailures');
        this.#disk.failed(now);
        return false;
      }
      table.backing[page] = Backing.Durable;
    }
    if (this.#redis?.takes(now) && this.#redis.store(page, bytes, this.#settled)) return true;
    if (this.#redis && !this.#isOverdrawn()) return false;
    this.#left(page);
    control.count('durableOuts');
    return true;
  }

  /** Redis has a page, or has not taken it: then it waits for another time. */
  readonly #settled = (page: number, isStored: boolean): void => {
    if (isStored) this.#left(page);
    else this.#packed.push(page);
  };

  #left(page: number): void {
    const { table } = this.#options;
    const place = table.place[page] ?? 0;
    table.move(page, PageState.Swapped);
    this.#free(place);
  }

  #free(place: number): void {
    const { libc, arenaAddress } = this.#options;
    const slab = this.#arena.free(place);
    if (slab !== undefined) libc.madvise(arenaAddress + slab, SLAB_BYTES, MADV_DONTNEED);
  }

  #packedOf(page: number): Uint8Array {
    const { table } = this.#options;
    const place = table.place[page] ?? 0;
    return this.#arenaView.subarray(place, place + (table.length[page] ?? 0));
  }

  /** Puts those pages that Redis has at their places from `destination` on. Answers which came as they should be. */
  #load(first: number, end: number, destination: number): ReadonlySet<number> {
    const place = (page: number, packed: Uint8Array): boolean => {
      new Uint8Array(this.#scratch.buffer, 0, packed.byteLength).set(packed);
      return this.#unpack(page, this.#scratch.address, destination + (page - first) * PAGE_BYTES);
    };
    return this.#redis?.load(first, end, place) ?? NONE;
  }

  /** Puts one page that is out at `destination`, and says where it was; undefined where it cannot be had. */
  #restore(page: number, destination: number, loaded: ReadonlySet<number>): PageOrigin | undefined {
    const { table, libc, stagingAddress, arenaAddress, control, durable } = this.#options;
    const place = table.place[page] ?? 0;
    switch (table.stateOf(page)) {
      case PageState.Resident:
        throw new Error(`page ${page} is not out`);
      case PageState.Zero:
        libc.copy(destination, this.#zeros, PAGE_BYTES);
        control.count('zeroPages');
        return 'zero';
      case PageState.Staged:
        libc.copy(destination, stagingAddress + (table.slot[page] ?? 0) * PAGE_BYTES, PAGE_BYTES);
        control.count('stagedIns');
        return 'staged';
      case PageState.Packed:
        if (!this.#unpack(page, arenaAddress + place, destination)) return undefined;
        this.#free(place);
        control.count('packedIns');
        return 'packed';
      case PageState.Swapped:
        break;
    }
    if (loaded.has(page)) {
      control.count('redisIns');
      return 'redis';
    }
    const packed = new Uint8Array(this.#scratch.buffer, 0, table.length[page] ?? 0);
    if (!durable.read(page, packed) || !this.#unpack(page, this.#scratch.address, destination)) return undefined;
    control.count('durableIns');
    return 'durable';
  }

  /** Unpacks and compares with what the page is known to be. */
  #unpack(page: number, source: number, destination: number): boolean {
    const { table, libc } = this.#options;
    const length = table.length[page] ?? 0;
    if (length === PAGE_BYTES) libc.copy(destination, source, PAGE_BYTES);
    else if (!this.#codec.unpack(source, length, destination)) return false;
    return this.#codec.checksum(destination) === table.checksum[page];
  }
}

const NONE: ReadonlySet<number> = new Set();
const isOut = (state: PageState): boolean => state !== PageState.Resident;
