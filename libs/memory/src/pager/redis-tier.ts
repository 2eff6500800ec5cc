import type { Libc } from '../host/libc.ts';
import { PAGE_BYTES } from '../machine-pages.ts';
import { Breaker } from './breaker.ts';
import { Backing, PageState, type PageTable } from './page-table.ts';
import type { PagerCalls } from './pager-calls.ts';
import type { PagerControl } from './pager-control.ts';
import { PollSet } from './poll-set.ts';
import { CLUSTER_PAGES } from './readahead.ts';
import type { RedisAddress } from './redis-address.ts';
import { RedisConnection } from './redis-connection.ts';
import type { RespReply } from './resp.ts';
import { clusterKey, fieldOf, HEADER_BYTES, readHeader, writeHeader } from './swap-keys.ts';

/** How long a machine waits for Redis before it takes the durable copy. */
export const REDIS_DEADLINE_MS = 100;
/** Commands under way at most: what is not acknowledged is held twice. */
const UNANSWERED_MAX = 256;
/** A key that nobody removed, because its node died for good, removes itself; a machine that still needs it has its durable copy. */
const KEY_LIFETIME_SECONDS = 24 * 60 * 60;

export interface RedisTierOptions {
  readonly libc: Libc;
  readonly calls: PagerCalls;
  readonly table: PageTable;
  readonly control: PagerControl;
  readonly redis: RedisAddress;
  readonly keyPrefix: string;
  readonly now: () => number;
}

/**
 * Copies of packed pages in the swap Redis, each with its generation and checksum, so that nothing else is ever taken for it. It may forget, refuse
 * or hang: the durable copy is what counts. Belongs to the pager's thread, which waits here for nothing but a page that a machine waits for.
 */
export class RedisTier {
  readonly #options: RedisTierOptions;
  readonly #breaker = new Breaker();
  /** Two, so that a page somebody waits for never stands behind pages that leave. */
  readonly #stores: RedisConnection;
  readonly #loads: RedisConnection;
  readonly #leaving = new Set<number>();
  #leavingBytes = 0;
  readonly #value = new Uint8Array(HEADER_BYTES + PAGE_BYTES);
  readonly #keysWithLifetime: Uint8Array;
  readonly #polled: PollSet;

  constructor(options: RedisTierOptions) {
    const { libc, calls, table, control, redis } = options;
    this.#options = options;
    this.#keysWithLifetime = new Uint8Array(Math.ceil(table.pages / CLUSTER_PAGES));
    this.#polled = new PollSet(libc, 1);
    const connect = (): RedisConnection => new RedisConnection(libc, calls, redis, this.#breaker, () => control.count('redisConnections'));
    this.#stores = connect();
    this.#loads = connect();
  }

  /** To be polled, and served. */
  get connections(): readonly RedisConnection[] {
    return [this.#stores, this.#loads];
  }

  /** Of pages that were sent and are not acknowledged. */
  get leavingBytes(): number {
    return this.#leavingBytes;
  }

  get isBusy(): boolean {
    return this.#leaving.size > 0;
  }

  isLeaving(page: number): boolean {
    return this.#leaving.has(page);
  }

  /** Whether pages can be sent now; begins to connect where that is due. */
  takes(now: number): boolean {
    return this.#stores.unanswered < UNANSWERED_MAX && this.#breaker.allows(now) && this.#stores.ensure(now);
  }

  /**
   * Sends a packed page; false where that is not possible now. `settled` hears whether Redis has it, unless the page went back, or came again, meanwhile:
   * its backing says so already then.
   */
  store(page: number, packed: Uint8Array, settled: (page: number, isStored: boolean) => void): boolean {
    const { table, control, keyPrefix, now } = this.#options;
    const generation = table.generation[page] ?? 0;
    writeHeader(this.#value, generation, table.checksum[page] ?? 0);
    this.#value.set(packed, HEADER_BYTES);
    const { byteLength } = packed;
    const key = clusterKey(keyPrefix, page);
    const slot = table.slot[page];
    const sent = this.#stores.send(['HSET', key, fieldOf(page), this.#value.subarray(0, HEADER_BYTES + byteLength)], (reply) => {
      this.#leaving.delete(page);
      this.#leavingBytes -= byteLength;
      const isStill = table.stateOf(page) === PageState.Packed && table.generation[page] === generation && table.slot[page] === slot;
      const isStored = reply?.type === 'Integer';
      if (isStored) this.#breaker.succeeded();
      else if (reply) {
        // Full, read-only, loading: it answers, and does not take pages. Later, perhaps.
        control.count('redisRefusals');
        this.#breaker.failed(now());
      }
      if (!isStill) return;
      if (isStored) {
        table.backing[page] = (table.backing[page] ?? 0) | Backing.Redis;
        control.count('redisOuts');
        control.count('redisOutBytes', byteLength);
      }
      settled(page, isStored);
    });
    if (!sent) return false;
    this.#limitLifetime(page, key);
    this.#leaving.add(page);
    this.#leavingBytes += byteLength;
    return true;
  }

  flush(now: number): void {
    this.#stores.flush(now);
  }

  /**
   * Asks for those of these pages that Redis has, and gives each to `place` packed, of its present generation, which says whether it is what it was. Answers
   * which are. What is not there, or something else, is not asked for again.
   */
  load(first: number, end: number, place: (page: number, packed: Uint8Array) => boolean): ReadonlySet<number> {
    const { control, now } = this.#options;
    const loaded = new Set<number>();
    const wanted = this.#wanted(first, end);
    const loads = this.#loads;
    if (wanted.size === 0 || !loads.ensure(now())) return loaded;
    const startMs = now();
    let unanswered = 0;
    for (const [key, pages] of wanted) {
      const isSent = loads.send(['HMGET', key, ...pages.map(fieldOf)], (reply) => {
        unanswered -= 1;
        if (reply) this.#take(reply, pages, place, loaded);
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

  close(): void {
    this.#stores.close();
    this.#loads.close();
    this.#polled.free();
  }

  #limitLifetime(page: number, key: string): void {
    const cluster = Math.floor(page / CLUSTER_PAGES);
    if (this.#keysWithLifetime[cluster] !== 0) return;
    this.#keysWithLifetime[cluster] = 1;
    this.#stores.send(['EXPIRE', key, String(KEY_LIFETIME_SECONDS)], () => undefined);
  }

  /** By the key they are under. */
  #wanted(first: number, end: number): ReadonlyMap<string, readonly number[]> {
    const { table, keyPrefix } = this.#options;
    const wanted = new Map<string, number[]>();
    for (let page = first; page < end; page += 1) {
      if (table.stateOf(page) !== PageState.Swapped || ((table.backing[page] ?? 0) & Backing.Redis) === 0) continue;
      const key = clusterKey(keyPrefix, page);
      const others = wanted.get(key);
      if (others) others.push(page);
      else wanted.set(key, [page]);
    }
    return wanted;
  }

  #take(reply: RespReply, wanted: readonly number[], place: (page: number, packed: Uint8Array) => boolean, loaded: Set<number>): void {
    const { table, control, now } = this.#options;
    if (reply.type !== 'Array') {
      control.count('redisRefusals');
      return this.#breaker.failed(now());
    }
    this.#breaker.succeeded();
    wanted.forEach((page, at) => {
      const item = reply.items[at];
      if (item?.type === 'Bulk' && this.#isPresent(page, item.bytes) && place(page, item.bytes.subarray(HEADER_BYTES))) return loaded.add(page);
      control.count(item?.type === 'Bulk' ? 'redisStale' : 'redisMisses');
      // It will not be there the next time either.
      table.backing[page] = (table.backing[page] ?? 0) & ~Backing.Redis;
    });
  }

  /** Whether a value is of the page as it left last, and whole. */
  #isPresent(page: number, value: Uint8Array): boolean {
    const { table } = this.#options;
    const header = readHeader(value);
    return header?.generation === table.generation[page] && header?.checksum === table.checksum[page] && value.byteLength === HEADER_BYTES + (table.length[page] ?? 0);
  }
}
