import { BaseView } from './host/base-view.ts';
import { type HostMemory, type MemoryCapability, type ProbedMemory } from './host/host-memory.ts';
import { MemoryBlock } from './host/memory-block.ts';
import { MissingPages } from './host/missing-pages.ts';
import { MappingFailed } from './host/mapping-failed.ts';
import { eachPrivatePage } from './host/private-pages.ts';
import { type UserFault } from './host/userfault.ts';
import { PAGE_BYTES } from './machine-pages.ts';
import { PageSet, type PageRun } from './page-set.ts';
import { RamRegions } from './ram-regions.ts';
import { WriteTracking, type FollowedWrites } from './write-tracking.ts';

/** Mappings are few on a host (vm.max_map_count, 65530): runs beyond this many are copied. */
const MAPPED_RUNS = 1_024;
const ZERO_PAGE = Buffer.alloc(PAGE_BYTES);

/** Knows the content of pages that are not in their place. */
export interface PagesOut {
  /** Undefined for a page that is in its place. Good until the next call. */
  readOut(page: number): Uint8Array | undefined;
}

/**
 * The pages of one machine, RAM first and screen memory behind it, in this process's memory: where they come from, what is in
 * them, and which of them changed.
 *
 * `views` gives the regions in the order of their pages, anew at each call: a WebAssembly memory that grows detaches old views, while
 * its pages stay where they are. Views are used at once and never handed to the file system or a socket.
 *
 * Modes: Full knows what was written to, by asking the kernel (`harvest`); MapOnly finds what differs from the base; Copy knows
 * only what is not zero. A machine may have a lower mode than its host.
 */
export class GuestRam {
  /** Exclusive bound of the page numbers. */
  readonly pages: number;
  readonly #views: () => readonly Uint8Array[];
  readonly #regions: RamRegions;
  readonly #host: HostMemory | undefined;
  readonly #writes: WriteTracking;
  /** Pages over which a layer may have been mapped. */
  readonly #layered: PageSet;
  #capability: MemoryCapability;
  #base: BaseView | undefined;
  #paging: MissingPages | undefined;
  #disposed = false;
  #out: PagesOut | undefined;

  constructor(views: () => readonly Uint8Array[], { memory, capability }: ProbedMemory) {
    this.#views = views;
    this.#host = memory;
    this.#capability = capability;
    this.#regions = new RamRegions(views(), (view) => memory?.libc.addressOf(view));
    this.pages = this.#regions.pages;
    this.#writes = new WriteTracking(this.#regions);
    this.#layered = new PageSet(this.pages);
    this.#base = memory && BaseView.ofZeros(memory.libc);
  }

  get capability(): MemoryCapability {
    return this.#capability;
  }

  /** The userfaultfd that notes writes, for whoever registers the same memory for more; undefined where writes are not noted. */
  get userFault(): UserFault | undefined {
    return this.#writes.fault;
  }

  /** Whether pages come from a base that was mapped. */
  get hasBase(): boolean {
    return (this.#base?.pages ?? 0) > 0;
  }

  /** Where the machine's pages lie, for whoever works with addresses. Empty in mode Copy. */
  get ranges(): readonly { readonly firstPage: number; readonly pages: number; readonly address: number }[] {
    return this.#regions.all.flatMap(({ address, ...region }) => (address === undefined ? [] : [{ ...region, address }]));
  }

  /**
   * Maps a base image copy-on-write in place of all pages it has; page n lies at n pages into the file. The file must never change or
   * shrink; its descriptor may be closed afterwards. Throws MappingFailed, also in mode Copy.
   */
  mapBase(fd: number, pages: number): void {
    const host = this.#mapping();
    // Where it cannot be looked at, the machine keeps what it had.
    const base = BaseView.ofFile(host.libc, fd, Math.min(pages, this.pages));
    this.#base?.close();
    this.#layered.clear();
    this.#base = base;
    for (const { firstPage, pages: count, address } of this.#regions.all) {
      const mapped = Math.min(count, pages - firstPage);
      if (address !== undefined && mapped > 0) host.mapPrivateAt(address, mapped * PAGE_BYTES, fd, firstPage * PAGE_BYTES);
    }
    this.#writes.protect();
  }

  /**
   * Puts a layer over what is there, copy-on-write: its i-th page lies at i pages into the file and is machine page `numbers[i]`, ascending. Long runs
   * are mapped, and what would take too many mappings is copied. The same rules as for `mapBase`.
   */
  mapLayer(fd: number, numbers: Uint32Array): void {
    const host = this.#mapping();
    const runs = [...this.#layerRuns(numbers)];
    for (const { start, count } of runs) this.#layered.addRun(start, count);
    const shortest = [...runs].sort((one, other) => other.count - one.count)[MAPPED_RUNS]?.count ?? 0;
    const copied: LayerRun[] = [];
    for (const run of runs) {
      const address = this.#regions.addressOf(run.start);
      if (run.count > shortest) host.mapPrivateAt(address, run.count * PAGE_BYTES, fd, run.at * PAGE_BYTES);
      else copied.push(run);
    }
    if (copied.length > 0) {
      const layer = MemoryBlock.readOnly(host.libc, numbers.length * PAGE_BYTES, fd);
      try {
        for (const { start, count, at } of copied) host.libc.copy(this.#regions.addressOf(start), layer.address + at * PAGE_BYTES, count * PAGE_BYTES);
      } finally {
        layer.free();
      }
    }
    this.#writes.protect();
  }

  /** Writes pages from a number on, whole pages. */
  put(number: number, bytes: Uint8Array): void {
    let from = 0;
    const views = this.#views();
    for (const cut of this.#regions.cut({ start: number, count: bytes.byteLength / PAGE_BYTES })) {
      const part = bytes.subarray(from, from + cut.count * PAGE_BYTES);
      if (!this.#paging?.place(this.#regions.addressOf(cut.start), part)) views[cut.region]?.set(part, this.#regions.offsetOf(cut));
      from += part.byteLength;
    }
  }

  /** Pages may be out of their places from now on, and whoever copies them copies what they hold. */
  set pagesOut(out: PagesOut) {
    this.#out = out;
  }

  /** Copies a run of pages to a place outside of this memory. A page that is out stays there. */
  copyRun({ start, count }: PageRun, destination: Uint8Array): void {
    let from = start;
    const inPlaceUntil = (end: number): void => {
      if (end > from) this.#copyInPlace({ start: from, count: end - from }, destination.subarray((from - start) * PAGE_BYTES));
    };
    for (let page = start; this.#out && page < start + count; page += 1) {
      const out = this.#out.readOut(page);
      if (!out) continue;
      inPlaceUntil(page);
      destination.set(out, (page - start) * PAGE_BYTES);
      from = page + 1;
    }
    inPlaceUntil(start + count);
  }

  #copyInPlace({ start, count }: PageRun, destination: Uint8Array): void {
    let to = 0;
    const views = this.#views();
    for (const cut of this.#regions.cut({ start, count })) {
      const at = this.#regions.offsetOf(cut);
      const view = views[cut.region];
      if (view) destination.set(view.subarray(at, at + cut.count * PAGE_BYTES), to);
      to += cut.count * PAGE_BYTES;
    }
  }

  /**
   * Begins to note writes, from now on: mode Full. Where the host refuses, the machine stays in mode MapOnly and says why.
   * Call while the guest stands still.
   */
  track(): void {
    if (this.#writes.fault || this.#capability.mode !== 'Full' || !this.#host) return;
    try {
      this.#writes.begin(this.#host);
    } catch (error) {
      this.#capability = { mode: 'MapOnly', reason: error instanceof Error ? error.message : String(error) };
    }
  }

  /**
   * Pages of the base may be missing from now on, and a pager answers for them (BasePager); `held` are those the base has, now or later. The base is mapped,
   * writes are tracked, and nobody has looked at it yet. Throws MappingFailed where the host cannot do that.
   */
  beginPaging(held: PageSet): void {
    const [host, base, fault] = [this.#host, this.#base, this.#writes.fault];
    if (!host || !base || !fault) throw new MappingFailed('only memory on a base that is tracked can be paged');
    this.#paging = MissingPages.register(host.libc, fault, this.ranges);
    base.expect(held);
  }

  /** Whether pages of the base may be missing. */
  get isPaged(): boolean {
    return this.#paging !== undefined;
  }

  /**
   * Nobody answers for pages that are not there any more: the kernel does, from the base. For when the base is whole, and its pager is
   * stopped next. What was written to before is told first. Call between two slices of the guest.
   */
  endPaging(): void {
    const fault = this.#writes.fault;
    if (!fault || !this.#paging) return;
    this.harvest();
    this.#paging.free();
    this.#paging = undefined;
    this.#base?.complete();
    for (const { pages, address } of this.ranges) fault.unregister(address, pages * PAGE_BYTES);
    this.#writes.protect();
  }

  /** From now on, every page that `harvest` finds written to is added. */
  follow(): FollowedWrites {
    return this.#writes.follow();
  }

  /**
   * Asks the kernel which pages were written to since it was asked last, and tells everybody who follows; answers how many. What is
   * written to afterwards is found the next time. Whoever takes pages away (madvise) harvests first, in the same turn of the event loop: a page that is
   * not there is not found. Does nothing where writes are not noted.
   */
  harvest(): number {
    return this.#writes.harvest();
  }

  /** Pages that hold something else than the base; where there is none, or in mode Copy, those that are not all zero. Looks at all that are there. */
  differing(): PageSet {
    const base = this.#base;
    if (!base) return this.#nonZero();
    const different = new PageSet(this.pages);
    for (const { firstPage, pages, address } of this.#regions.all) {
      if (address === undefined) continue;
      eachPrivatePage(address, pages, false, (position) => {
        if (!base.equals(firstPage + position, address + position * PAGE_BYTES)) different.add(firstPage + position);
      });
    }
    // Pages of a layer that was mapped are a file's, and not this machine's own.
    for (const page of this.#layered) if (!different.has(page) && !base.equals(page, this.#regions.addressOf(page))) different.add(page);
    return different;
  }

  /** Whether a copy of a page, at an address, is what the base has: zeros where there is none. Never in mode Copy. */
  isBaseContent(page: number, address: number): boolean {
    return this.#base?.equals(page, address) ?? false;
  }

  /**
   * Gives to the host what a guest does not need to keep: the pages hold what the base has then, or zeros. They count as written to, and what
   * was written to before is told first. Does nothing in mode Copy. Source: madvise(2), MADV_DONTNEED.
   */
  discard(run: PageRun): void {
    const host = this.#host;
    if (!host) return;
    this.harvest();
    for (const { start, count } of this.#regions.cut(run)) {
      host.dropPages(this.#regions.addressOf(start), count * PAGE_BYTES);
      this.#writes.note({ start, count });
    }
  }

  /**
   * Gives to the host what the guest has said it does not need: the pages are zero afterwards, or as they were, and never what the base has.
   * They count as written to, and what was written to before is told first. Answers how many were given. Pages that are shared cost
   * nothing and stay, and so does everything while a pager knows where pages are. Does nothing in mode Copy. Call between two slices of the guest, or from within one.
   * Source: madvise(2), MADV_DONTNEED; userfaultfd(2), UFFDIO_ZEROPAGE.
   */
  giveBack(run: PageRun): number {
    const [host, base, fault] = [this.#host, this.#base, this.#writes.fault];
    if (!host || !base || this.#out) return 0;
    this.harvest();
    const own = new PageSet(this.pages);
    for (const { start, count } of this.#regions.cut(run)) eachPrivatePage(this.#regions.addressOf(start), count, true, (position) => own.add(start + position));
    // What lies below these is not zero: the host would show it instead.
    const covered = new PageSet(this.pages);
    for (const page of own.numbers()) if (base.has(page) || this.#layered.has(page)) covered.add(page);
    own.subtract(covered);
    for (const given of own.runs()) this.discard(given);
    if (!fault) return own.count;
    for (const given of covered.runs()) {
      for (const cut of this.#regions.cut(given)) this.#placeZeros(host, fault, cut);
      this.#writes.note(given);
    }
    return own.count + covered.count;
  }

  #placeZeros(host: HostMemory, fault: UserFault, { start, count }: PageRun): void {
    const address = this.#regions.addressOf(start);
    // A protected page leaves a mark where it was, and the kernel puts zeros only where nothing is.
    fault.writeProtect(address, count * PAGE_BYTES, false);
    host.dropPages(address, count * PAGE_BYTES);
    for (let at = 0; at < count; ) {
      const placed = fault.zeroPage(address + at * PAGE_BYTES, (count - at) * PAGE_BYTES) / PAGE_BYTES;
      // A host that does not want to: zeros of its own are as good to the guest.
      if (placed <= 0) this.put(start + at, ZERO_PAGE);
      at += Math.max(1, Math.floor(placed));
    }
  }

  /**
   * Gives to the host every page that is this machine's own and yet what the base has, or zero: afterwards it is shared again, with the same
   * content. Answers how many. Call while the guest stands still, or between two of its slices.
   */
  shareAgain(): number {
    const [host, base] = [this.#host, this.#base];
    // Who takes pages out knows where each one is.
    if (!host || !base || this.#out) return 0;
    this.harvest();
    const same = new PageSet(this.pages);
    for (const { firstPage, pages, address } of this.#regions.all) {
      if (address === undefined) continue;
      eachPrivatePage(address, pages, true, (position) => {
        if (base.equals(firstPage + position, address + position * PAGE_BYTES)) same.add(firstPage + position);
      });
    }
    // A layer was mapped over some of them: there the file below is another.
    same.subtract(this.#layered);
    for (const { start, count } of same.runs()) for (const cut of this.#regions.cut({ start, count })) host.dropPages(this.#regions.addressOf(cut.start), cut.count * PAGE_BYTES);
    return same.count;
  }

  /**
   * Ends the tracking and lets go of the base. Only when the machine will not run again, and after its pager was stopped: memory
   * that was registered stays in place, and is given back with the process.
   */
  dispose(): void {
    if (this.#disposed) return;
    // Without it the kernel would show zeros in place of pages that are missing.
    if (this.#paging) throw new Error('the memory is still paged');
    this.#disposed = true;
    this.#writes.end();
    this.#base?.close();
  }

  #mapping(): HostMemory {
    if (!this.#host) throw new Error(`the machine’s memory cannot be mapped: ${this.#capability.reason}`);
    return this.#host;
  }

  #nonZero(): PageSet {
    const set = new PageSet(this.pages);
    this.#views().forEach((view, position) => {
      const { firstPage, pages } = this.#regions.all[position] ?? { firstPage: 0, pages: 0 };
      for (let page = 0; page < pages; page += 1) {
        // memcmp beats any loop in JavaScript.
        if (ZERO_PAGE.compare(view, page * PAGE_BYTES, (page + 1) * PAGE_BYTES) !== 0) set.add(firstPage + page);
      }
    });
    return set;
  }

  *#layerRuns(numbers: Uint32Array): Generator<LayerRun> {
    for (let at = 0; at < numbers.length; ) {
      const first = numbers[at] ?? 0;
      let count = 1;
      while (numbers[at + count] === first + count) count += 1;
      let offset = at;
      for (const cut of this.#regions.cut({ start: first, count })) {
        yield { start: cut.start, count: cut.count, at: offset };
        offset += cut.count;
      }
      at += count;
    }
  }
}

interface LayerRun extends PageRun {
  /** Position of the run's first page in the layer. */
  readonly at: number;
}
