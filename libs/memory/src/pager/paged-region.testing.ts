import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { HostMemory } from '../host/host-memory.ts';
import { MemoryBlock } from '../host/memory-block.ts';
import { PageCategory, PageScan } from '../host/page-scan.ts';
import { UserFaultMode } from '../host/userfault.ts';
import { PAGE_BYTES } from '../machine-pages.ts';
import { PageSet } from '../page-set.ts';
import { Pager } from './pager.ts';
import { redisAddress } from './redis-address.ts';
import { SwapLost } from './swap-tiers.ts';

/**
 * For tests: a program whose memory is paged as a machine's is, and who knows every byte of it. Told what to do by IPC;
 * a process of its own, since what goes wrong ends the process.
 */
export interface RegionOptions {
  readonly memoryMiB: number;
  readonly budgetMiB: number;
  readonly isAnonymous: boolean;
  /** Pieces of another file lie over the base, as in a machine that goes on from a frozen one. */
  readonly isLayered?: boolean;
  readonly redisUrl?: string;
  readonly seed: number;
}
export type RegionOrder =
  /** Write and compare, here and there, so many times. */
  | { readonly type: 'Churn'; readonly rounds: number }
  /** Take out as much as possible, and wait until so many bytes have gone on. */
  | { readonly type: 'Push' }
  /** Compare every byte. */
  | { readonly type: 'Verify' }
  /** Take pages out, and compare them where they are while the pager moves them on, so many times. */
  | { readonly type: 'ReadOut'; readonly rounds: number }
  /** Compare what is out, where it is. */
  | { readonly type: 'CompareOut' }
  | { readonly type: 'Usage' }
  /** Close the descriptor that the memory was registered with. */
  | { readonly type: 'CloseUserFault' }
  /** Have somebody fault where no machine is. */
  | { readonly type: 'Confuse' };

const BASE_EVERY = 3;
const LAYER_PIECE_PAGES = 10;
const LAYER_EVERY_PAGES = 48;
/** As many as are staged at once, and more; each is read for about as long as it takes to pack one. */
const OUT_PAGES = 1_024;
const READS_OUT = 8;
const EFBIG_SIGNAL = 'SIGXFSZ';

class Region {
  readonly start: number;
  readonly pages: number;
  readonly #ram: Uint8Array;
  readonly #expected: Buffer;
  readonly #memory: HostMemory;
  readonly #userFault;
  readonly #scan: PageScan;
  readonly #wasm: WebAssembly.Memory;
  #pager: Pager | undefined;
  #seed: number;
  wrong = 0;
  /** Pages that were nowhere any more. */
  lost = 0;

  constructor({ memoryMiB, isAnonymous, isLayered, seed }: RegionOptions) {
    const { memory } = HostMemory.probe();
    if (!memory) throw new Error('this host has no memory to page');
    this.#memory = memory;
    this.#seed = seed;
    const bytes = memoryMiB * 1024 * 1024;
    this.pages = bytes / PAGE_BYTES;
    this.#wasm = new WebAssembly.Memory({ initial: bytes / 65_536, maximum: 65_536 });
    this.#ram = new Uint8Array(this.#wasm.buffer);
    this.start = memory.libc.addressOf(this.#ram);
    this.#expected = Buffer.alloc(bytes);
    if (!isAnonymous) this.#mapBase(bytes);
    if (isLayered) this.#mapLayer();
    this.#scan = new PageScan(memory.libc);
    this.#userFault = memory.openTracking();
    memory.keepSmallPages(this.start, bytes);
    this.#userFault.register(this.start, bytes, UserFaultMode.WriteProtect);
    this.#userFault.writeProtect(this.start, bytes, true);
  }

  async page({ budgetMiB, redisUrl }: RegionOptions): Promise<void> {
    this.#pager = await Pager.start({
      libc: this.#memory.libc, userFault: this.#userFault, scan: this.#scan, start: this.start, pages: this.pages, folder: process.cwd(), budgetBytes: budgetMiB * 1024 * 1024,
      redis: redisUrl === undefined ? undefined : await redisAddress(redisUrl, (host) => Promise.resolve(host)),
      keyPrefix: 'corral:swap:region:1',
    });
  }

  churn(): void {
    for (let count = 0; count < 100; count += 1) this.#write(this.#random(this.pages));
    const from = this.#random(this.pages - 100);
    for (let page = from; page < from + 100; page += 1) this.#compare(page);
    for (let count = 0; count < 30; count += 1) this.#compareOut(this.#random(this.pages));
    this.look();
  }

  look(): void {
    this.pager.look(this.#harvest());
  }

  /** Everything that is resident leaves. */
  push(): void {
    const written = this.#harvest();
    const all = this.pager.budgetBytes;
    this.pager.budgetBytes = 1;
    this.pager.look(written);
    this.pager.budgetBytes = all;
  }

  /** As a snapshot does that is taken under pressure. */
  readOut(): void {
    const from = this.#random(this.pages - OUT_PAGES);
    for (let page = from; page < from + OUT_PAGES; page += 1) this.#write(page);
    this.push();
    for (let page = from; page < from + OUT_PAGES; page += 1) for (let again = 0; again < READS_OUT; again += 1) this.#compareOut(page);
  }

  compareOut(): void {
    for (let page = 0; page < this.pages; page += 1) {
      try {
        this.#compareOut(page);
      } catch (error) {
        if (!(error instanceof SwapLost)) throw error;
        this.lost += 1;
      }
    }
  }

  verify(): void {
    for (let page = 0; page < this.pages; page += 1) {
      this.#compare(page);
      if (page % 64 === 0) this.look();
    }
  }

  confuse(): void {
    const other = MemoryBlock.anonymous(this.#memory.libc, PAGE_BYTES);
    this.#userFault.register(other.address, PAGE_BYTES, UserFaultMode.Missing);
    this.wrong += new Uint8Array(other.buffer)[0] ?? 0;
  }

  closeUserFault(): void {
    this.#userFault.close();
  }

  get pager(): Pager {
    if (!this.#pager) throw new Error('nobody pages yet');
    return this.#pager;
  }

  #mapBase(bytes: number): void {
    const fd = sharedFile(bytes);
    for (let page = 0; page < this.pages; page += BASE_EVERY) {
      this.#expected.fill((page % 250) + 1, page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
      writeSync(fd, this.#expected, page * PAGE_BYTES, PAGE_BYTES, page * PAGE_BYTES);
    }
    this.#memory.mapPrivateAt(this.start, bytes, fd);
    closeSync(fd);
  }

  #mapLayer(): void {
    const fd = sharedFile(LAYER_PIECE_PAGES * PAGE_BYTES);
    const piece = Buffer.alloc(LAYER_PIECE_PAGES * PAGE_BYTES, 'layer');
    writeSync(fd, piece);
    for (let page = LAYER_PIECE_PAGES; page + LAYER_PIECE_PAGES <= this.pages; page += LAYER_EVERY_PAGES) {
      this.#expected.set(piece, page * PAGE_BYTES);
      this.#memory.mapPrivateAt(this.start + page * PAGE_BYTES, piece.byteLength, fd);
    }
    closeSync(fd);
  }

  #harvest(): PageSet {
    const written = new PageSet(this.pages);
    const query = { all: PageCategory.Written | PageCategory.Present, none: PageCategory.File | PageCategory.Zero, protect: true };
    this.#scan.scan(this.start, this.start + this.pages * PAGE_BYTES, query, (from, to) => written.addRun((from - this.start) / PAGE_BYTES, (to - from) / PAGE_BYTES));
    return written;
  }

  /** A third random, a third text, a third zero: what packs badly, well, and to nothing. */
  #write(page: number): void {
    const bytes = this.#expected.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
    const kind = this.#random(3);
    if (kind === 0) for (let at = 0; at < PAGE_BYTES; at += 4) bytes.writeUInt32LE(this.#random(2 ** 32), at);
    else if (kind === 1) bytes.fill(`page ${page} ${this.#random(1e9)} `);
    else bytes.fill(0);
    this.#ram.set(bytes, page * PAGE_BYTES);
  }

  #compare(page: number): void {
    const [from, to] = [page * PAGE_BYTES, (page + 1) * PAGE_BYTES];
    if (this.#expected.compare(this.#ram, from, to, from, to) !== 0) this.wrong += 1;
  }

  #compareOut(page: number): void {
    const out = this.pager.readOut(page);
    if (out && this.#expected.compare(out, 0, PAGE_BYTES, page * PAGE_BYTES, (page + 1) * PAGE_BYTES) !== 0) this.wrong += 1;
  }

  /** Source: Numerical Recipes, "An Even Quicker Generator". */
  #random(below: number): number {
    this.#seed = (Math.imul(this.#seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#seed / 2 ** 32) * below);
  }
}

/** Of shared memory, without a name. */
function sharedFile(bytes: number): number {
  const folder = mkdtempSync(join('/dev/shm', 'corral-base-'));
  const fd = openSync(join(folder, 'base'), 'w+');
  rmSync(folder, { recursive: true });
  ftruncateSync(fd, bytes);
  return fd;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

if (process.send) {
  // A write beyond the limit of a file's size is to fail, not to end the process.
  process.on(EFBIG_SIGNAL, () => undefined);
  const options = JSON.parse(process.argv[2] ?? '{}') as RegionOptions;
  const region = new Region(options);
  process.on('message', (order: RegionOrder) => {
    void (async () => {
      if (order.type === 'Churn') {
        for (let round = 0; round < order.rounds; round += 1) {
          region.churn();
          await turn();
        }
      } else if (order.type === 'ReadOut') {
        for (let round = 0; round < order.rounds; round += 1) region.readOut();
      } else if (order.type === 'Push') region.push();
      else if (order.type === 'Verify') region.verify();
      else if (order.type === 'CompareOut') region.compareOut();
      else if (order.type === 'CloseUserFault') region.closeUserFault();
      else if (order.type === 'Confuse') region.confuse();
      process.send?.({ wrong: region.wrong, lost: region.lost, privatePages: region.pager.privatePages, ...region.pager.usage() });
    })();
  });
  process.on('disconnect', () => process.exit(0));
  await region.page(options);
  process.send('ready');
}
