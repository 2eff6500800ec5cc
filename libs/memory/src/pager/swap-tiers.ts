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
import { RedisConnection } from './redis-connection.ts';
import { PollSet } from './poll-set.ts';
import type { RespReply } from './resp.ts';
import type { StagingQueue } from './staging-queue.ts';
import { clusterKey, fieldOf, HEADER_BYTES, readHeader, writeHeader } from './swap-keys.ts';

/** How long a machine waits for Redis before it takes the durable copy. */
export const REDIS_DEADLINE_MS = 100;
/** Pages in one go, between which faults are looked for. */
const PACK_AT_ONCE = 8;
const DRAIN_AT_ONCE = 32;
/** So many harvests older than they are, pages count that came in the course of a long way through memory. */
const SCANNED_AGE = 64;
/** Commands under way at most: what is not acknowledged is held twice. */
const UNANSWERED_MAX = 256;
/** A key that nobody removed, because its node died for good, removes itself; a machine that still needs it has its durable copy. */
const KEY_LIFETIME_SECONDS = 24 * 60 * 60;

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
  readonly #breaker = new Breaker();
  /** Of the disk under the durable copy, which may be full. */
  readonly #disk = new Breaker();
  /** Two, so that a page somebody waits for never stands behind pages that leave. */
  readonly stores: RedisConnection | undefined;
  readonly loads: RedisConnection | undefined;
  /** Packed pages in the order they were packed; some have left since. */
  #packed: number[] = [];
  #packedHead = 0;
  readonly #leaving = new Set<number>();
  #leavingBytes = 0;
  readonly #scratch: MemoryBlock;
  readonly #value: Uint8Array;
  readonly #keysWithLifetime: Uint8Array;
  readonly #polled: PollSet;

  constructor(options: SwapTiersOptions) {
    this.#options = options;
    const { libc, calls, redis, arenaBytes, arenaAddress, table } = options;
    this.#arena = new Arena(arenaBytes);
    this.#arenaView = new Uint8Array(libc.view(arenaAddress, arenaBytes));
    // Two packed pages, a poll argument, and a page of zeros to compare with.
    this.#scratch = MemoryBlock.anonymous(libc, 4 * PAGE_BYTES);
    this.#value = new Uint8Array(HEADER_BYTES + PAGE_BYTES);
    this.#keysWithLifetime = new Uint8Array(Math.ceil(table.pages / CLUSTER_PAGES));
    this.#polled = new PollSet(libc, 1);
    const connect = (): RedisConnection | undefined => redis && new RedisConnection(libc, calls, redis, this.#breaker, () => options.control.count('redisConnections'));
    this.stores = connect();
    this.loads = connect();
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
    return this.#packedTooMuch() || this.#leaving.size > 0;
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
    this.stores?.close();
    this.loads?.close();
    this.#codec.free();
    this.#scratch.free();
    this.#polled.free();
  }

  #stagedTooMany(): boolean {
    const { staging, control } = this.#options;
    return staging.length > control.get('stagedLimit');
  }

  #packedTooMuch(): boolean {
    return this.#arena.usedBytes - this.#leavingBytes > this.#packedLimit();
  }

  #packedLimit(): number {
    return this.#options.control.get('packedLimitKib') * 1024;
  }

  /** Whether pages can go on now: else there is nothing to do but wait. */
  #canLeave(): boolean {
    if (this.#packedHead >= this.#packed.length || !this.#disk.allows(this.#options.now())) return false;
    if (!this.stores) return true;
    return this.#isOverdrawn() || this.#takes(this.stores, this.#options.now());
  }

  #takes(connection: RedisConnection, now: number): boolean {
    return connection.unanswered < UNANSWERED_MAX && this.#breaker.allows(now) && connection.ensure(now);
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
    this.stores?.flush(now);
  }

  #nextPacked(): number | undefined {
    const { table } = this.#options;
    while (this.#packedHead < this.#packed.length) {
      const page = this.#packed[this.#packedHead++];
      if (this.#packedHead > 4096 && this.#packedHead * 2 > this.#packed.length) {
        this.#packed = this.#packed.slice(this.#packedHead);
        this.#packedHead = 0;
      }
      if (page !== undefined && table.stateOf(page) === PageState.Packed && !this.#leaving.has(page)) return page;
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
    if (this.stores && this.#takes(this.stores, now) && this.#store(this.stores, page, bytes)) return true;
    if (this.stores && !this.#isOverdrawn()) return false;
    this.#left(page);
    control.count('durableOuts');
    return true;
  }

  #store(connection: RedisConnection, page: number, bytes: Uint8Array): boolean {
    const { table, control, keyPrefix } = this.#options;
    const generation = table.generation[page] ?? 0;
    writeHeader(this.#value, generation, table.checksum[page] ?? 0);
    this.#value.set(bytes, HEADER_BYTES);
    const key = clusterKey(keyPrefix, page);
    const place = table.place[page];
    const cluster = Math.floor(page / CLUSTER_PAGES);
    const sent = connection.send(['HSET', key, fieldOf(page), this.#value.subarray(0, HEADER_BYTES + bytes.byteLength)], (reply) => {
      this.#leaving.delete(page);
      this.#leavingBytes -= bytes.byteLength;
      const isStill = table.stateOf(page) === PageState.Packed && table.generation[page] === generation && table.place[page] === place;
      if (reply?.type === 'Integer') {
        this.#breaker.succeeded();
        if (!isStill) return;
        table.backing[page] = (table.backing[page] ?? 0) | Backing.Redis;
        control.count('redisOuts');
        control.count('redisOutBytes', bytes.byteLength);
        return this.#left(page);
      }
      if (reply) {
        // Full, read-only, loading: it answers, and does not take pages. Later, perhaps.
        control.count('redisRefusals');
        this.#breaker.failed(this.#options.now());
      }
      if (isStill) this.#packed.push(page);
    });
    if (!sent) return false;
    if (this.#keysWithLifetime[cluster] === 0) {
      this.#keysWithLifetime[cluster] = 1;
      connection.send(['EXPIRE', key, String(KEY_LIFETIME_SECONDS)], () => undefined);
    }
    this.#leaving.add(page);
    this.#leavingBytes += bytes.byteLength;
    return true;
  }

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

  /** Asks Redis for those pages that it has, and puts them at their places from `destination` on. Answers which came as they should be. */
  #load(first: number, end: number, destination: number): ReadonlySet<number> {
    const { table, control, keyPrefix, now } = this.#options;
    const loaded = new Set<number>();
    const wanted = new Map<string, number[]>();
    for (let page = first; page < end; page += 1) {
      if (table.stateOf(page) !== PageState.Swapped || ((table.backing[page] ?? 0) & Backing.Redis) === 0) continue;
      const key = clusterKey(keyPrefix, page);
      const others = wanted.get(key);
      if (others) others.push(page);
      else wanted.set(key, [page]);
    }
    const loads = this.loads;
    if (wanted.size === 0 || !loads?.ensure(now())) return loaded;
    const startMs = now();
    let unanswered = 0;
    for (const [key, pages] of wanted) {
      const isSent = loads.send(['HMGET', key, ...pages.map(fieldOf)], (reply) => {
        unanswered -= 1;
        if (reply) this.#take(reply, pages, (page) => destination + (page - first) * PAGE_BYTES, loaded);
      });
      if (!isSent) break;
      unanswered += 1;
    }
    loads.flush(startMs);
    while (unanswered > 0) {
      const leftMs = startMs + REDIS_DEADLINE_MS - now();
      if (leftMs <= 0) {
        control.count('redisTimeouts');
        loads.fail(now());
        break;
      }
      this.#polled.set([loads]);
      this.#polled.poll(Math.ceil(leftMs));
      loads.serve(this.#polled.happened(loads), now());
    }
    return loaded;
  }

  #take(reply: RespReply, wanted: readonly number[], placeOf: (page: number) => number, loaded: Set<number>): void {
    const { table, control, now } = this.#options;
    if (reply.type !== 'Array') {
      control.count('redisRefusals');
      return this.#breaker.failed(now());
    }
    this.#breaker.succeeded();
    wanted.forEach((page, at) => {
      const item = reply.items[at];
      if (item?.type === 'Bulk' && this.#takeValue(page, item.bytes, placeOf(page))) return loaded.add(page);
      control.count(item?.type === 'Bulk' ? 'redisStale' : 'redisMisses');
      // It will not be there the next time either.
      table.backing[page] = (table.backing[page] ?? 0) & ~Backing.Redis;
    });
  }

  #takeValue(page: number, value: Uint8Array, destination: number): boolean {
    const { table } = this.#options;
    const header = readHeader(value);
    const length = table.length[page] ?? 0;
    if (header?.generation !== table.generation[page] || header?.checksum !== table.checksum[page] || value.byteLength !== HEADER_BYTES + length) return false;
    new Uint8Array(this.#scratch.buffer, 0, length).set(value.subarray(HEADER_BYTES));
    return this.#unpack(page, this.#scratch.address, destination);
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

const isOut = (state: PageState): boolean => state !== PageState.Resident;
