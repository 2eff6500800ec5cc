import { lookup } from 'node:dns/promises';
import type { MachineConfig, VmMemoryStatus, VmPageWaits } from '@corral/contracts';
import {
  LookPacing, PAGE_BYTES, PageCategory, Pager, PageScan, ramPages, redisAddress, swapKeyPrefix, type FollowedWrites, type GuestRam, type HostMemory, type Look, type RedisAddress,
} from '@corral/memory';
import { isWorthTelling } from './memory-news.ts';
import { memoryStatus } from './memory-status.ts';
import { PagerHeartbeat } from './pager-heartbeat.ts';

export interface MemoryKeeperOptions {
  readonly config: Pick<MachineConfig, 'uid' | 'incarnation' | 'memoryMiB' | 'directory' | 'swapRedisUrl'>;
  /** Undefined: nobody limits it. */
  readonly budgetBytes: number | undefined;
  readonly ram: GuestRam;
  /** Undefined where RAM is copied: then there is nothing to keep. */
  readonly host: HostMemory | undefined;
  /** How much the guest has done: one that has done nothing has changed nothing. */
  readonly instructions: () => number;
  readonly tell: (memory: VmMemoryStatus, pageWaits: VmPageWaits | undefined) => void;
  /** Somebody else answers for pages that are not there, as long as this says so. */
  readonly isPagedByOther?: () => boolean;
}

/** The pager's thread is worth its memory only to a machine that comes this near to its budget. */
const PRESSING_SHARE = 0.85;
const FIRST_LOOK_MS = 100;
const TELL_EVERY_MS = 10_000;

type PagerState = { readonly type: 'Off' | 'Starting' } | { readonly type: 'On'; readonly pager: Pager; readonly heartbeat: PagerHeartbeat } | { readonly type: 'Refused'; readonly reason: string };

/**
 * Keeps a running machine's RAM within its budget, and tells where it is. It looks between slices of the guest, often while
 * the budget presses and hardly ever while the machine sleeps; the pager is started the first time it is needed.
 */
export class MemoryKeeper {
  readonly #options: MemoryKeeperOptions;
  readonly #pacing = new LookPacing();
  readonly #scan: PageScan | undefined;
  readonly #written: FollowedWrites;
  #pager: PagerState = { type: 'Off' };
  #starting: Promise<void> | undefined;
  #budgetBytes: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #instructions = -1;
  #evicted = 0;
  #told: VmMemoryStatus | undefined;
  #toldAtMs = -Infinity;
  #isDisposed = false;
  #directory: string;

  constructor(options: MemoryKeeperOptions) {
    this.#options = options;
    this.#scan = options.host && new PageScan(options.host.libc);
    this.#budgetBytes = options.budgetBytes;
    this.#directory = options.config.directory;
    this.#written = options.ram.follow();
    this.#schedule(FIRST_LOOK_MS);
  }

  set budgetBytes(bytes: number | undefined) {
    this.#budgetBytes = bytes;
    if (this.#pager.type === 'On') this.#pager.pager.budgetBytes = bytes ?? this.#ramBytes;
    this.#instructions = -1;
    this.#schedule(0);
  }

  /** The machine’s folder has another name from now on. In the swap Redis, what it is called never changes. */
  set directory(path: string) {
    this.#directory = path;
    if (this.#pager.type === 'On') this.#pager.heartbeat.folder = path;
  }

  /** Where the RAM is now. */
  status(): VmMemoryStatus {
    const { ram } = this.#options;
    const [privateBytes, sharedBytes] = [this.#bytes(0, PageCategory.File | PageCategory.Zero), this.#bytes(PageCategory.File, 0)];
    return memoryStatus({
      capability: ram.capability,
      ramBytes: this.#ramBytes,
      budgetBytes: this.#budgetBytes,
      privateBytes: this.#scan ? privateBytes : this.#ramBytes,
      sharedBytes,
      pager: this.#pager.type === 'Starting' ? 'Off' : this.#pager.type,
      pagerReason: this.#pager.type === 'Refused' ? this.#pager.reason : undefined,
      usage: this.#pager.type === 'On' ? this.#pager.pager.usage() : undefined,
      evictedPages: this.#pager.type === 'On' ? this.#pager.pager.evictedPages : 0,
    });
  }

  /** Only when the guest will not run again, and before its RAM is given up. */
  async dispose(): Promise<void> {
    this.#isDisposed = true;
    clearTimeout(this.#timer);
    this.#written.stop();
    // It would begin to page memory that nobody keeps any more.
    await this.#starting;
    this.#scan?.close();
    if (this.#pager.type !== 'On') return;
    await this.#pager.pager.stop();
    this.#pager.heartbeat.end();
  }

  get #ramBytes(): number {
    return ramPages(this.#options.config.memoryMiB) * PAGE_BYTES;
  }

  #schedule(delayMs: number): void {
    clearTimeout(this.#timer);
    if (!this.#isDisposed) this.#timer = setTimeout(() => this.#look(), delayMs);
  }

  #look(): void {
    const startedMs = performance.now();
    const instructions = this.#options.instructions();
    const worked = instructions !== this.#instructions;
    this.#instructions = instructions;
    let waitedMs = 0;
    if (worked || this.#evicted > 0) ({ evicted: this.#evicted, waitedMs } = this.#keep());
    // To wait costs no CPU time; and a guest that ran for as long as it had to wait would never come down to its budget.
    const tookMs = performance.now() - startedMs - waitedMs;
    if (worked && startedMs - this.#toldAtMs >= TELL_EVERY_MS) this.#tell(startedMs);
    this.#schedule(this.#pacing.next({ tookMs, evicted: this.#evicted, worked }));
  }

  #keep(): Look {
    const { ram } = this.#options;
    if (this.#pager.type === 'On') {
      ram.harvest();
      const look = this.#pager.pager.look(this.#written.pages);
      this.#written.pages.clear();
      return look;
    }
    const isPressing = this.#budgetBytes !== undefined && this.#budgetBytes < this.#ramBytes;
    if (isPressing && this.#pager.type === 'Off' && !this.#options.isPagedByOther?.() && this.#bytes(0, PageCategory.File | PageCategory.Zero) > (this.#budgetBytes ?? 0) * PRESSING_SHARE) this.#starting = this.#startPager();
    return { evicted: 0, waitedMs: 0 };
  }

  async #startPager(): Promise<void> {
    const { config, ram, host } = this.#options;
    const range = ram.ranges[0];
    this.#pager = { type: 'Starting' };
    let heartbeat: PagerHeartbeat | undefined;
    try {
      ram.track();
      if (!host || !range || !ram.userFault || !this.#scan) throw new Error(`the node holds RAM in mode ${ram.capability.mode}, which cannot be paged`);
      heartbeat = new PagerHeartbeat(this.#directory);
      const pager = await Pager.start({
        libc: host.libc, userFault: ram.userFault, scan: this.#scan,
        start: range.address, pages: ramPages(config.memoryMiB), folder: this.#directory,
        budgetBytes: this.#budgetBytes ?? this.#ramBytes,
        redis: await this.#redis(), keyPrefix: swapKeyPrefix(config.uid, config.incarnation), heartbeatFd: heartbeat.fd,
      });
      ram.pagesOut = pager;
      // It may have moved while the pager started.
      heartbeat.folder = this.#directory;
      this.#pager = { type: 'On', pager, heartbeat };
      pager.budgetBytes = this.#budgetBytes ?? this.#ramBytes;
      this.#schedule(0);
      // Whoever removes what the machine leaves in Redis has to know that there may be something.
      this.#tell(performance.now());
    } catch (error) {
      heartbeat?.end();
      this.#pager = { type: 'Refused', reason: error instanceof Error ? error.message : String(error) };
    }
  }

  /** Looked up once: nothing can be looked up while the machine waits for a page. */
  async #redis(): Promise<RedisAddress | undefined> {
    const { swapRedisUrl } = this.#options.config;
    if (swapRedisUrl === undefined) return undefined;
    try {
      return await redisAddress(swapRedisUrl, async (host) => (await lookup(host)).address);
    } catch (error) {
      // The durable copy does; the machine must not wait for somebody else's mistake.
      console.error(error);
      return undefined;
    }
  }

  #tell(nowMs: number): void {
    const status = this.status();
    if (this.#told && !isWorthTelling(this.#told, status)) return;
    this.#told = status;
    this.#toldAtMs = nowMs;
    this.#options.tell(status, this.#pager.type === 'On' ? this.#pager.pager.usage().waits : undefined);
  }

  #bytes(all: number, none: number): number {
    const { ram } = this.#options;
    const range = ram.ranges[0];
    let bytes = 0;
    if (range) this.#scan?.scan(range.address, range.address + this.#ramBytes, { all: all | PageCategory.Present, none }, (from, to) => (bytes += to - from));
    return bytes;
  }
}
