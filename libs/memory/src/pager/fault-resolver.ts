import { EEXIST, ENOENT } from '../host/libc.ts';
import { PlaceFlag, type PageFault, type UserFault } from '../host/userfault.ts';
import { PAGE_BYTES } from '../machine-pages.ts';
import { PageState, type PageTable } from './page-table.ts';
import type { PagerControl, PageOrigin } from './pager-control.ts';
import { CLUSTER_PAGES, Readahead } from './readahead.ts';
import type { SwapTiers } from './swap-tiers.ts';

export interface FaultResolverOptions {
  readonly userFault: UserFault;
  /** Address of the machine's first page. */
  readonly start: number;
  readonly table: PageTable;
  readonly tiers: SwapTiers;
  readonly control: PagerControl;
  /** Room for as many pages as are ever fetched together. */
  readonly scratch: number;
  readonly now: () => number;
}

/** A page is not to be put where the table says it belongs: nothing that was promised holds any more. */
export class PagerConfused extends Error {
  override readonly name = 'PagerConfused';
}

/**
 * Gives a machine the page it waits for, and neighbours with it. The machine's thread is the only one that touches its RAM, and it stands still until
 * it is woken: nothing that is put in place races with it. So all that is known is written before the last call.
 */
export class FaultResolver {
  readonly #options: FaultResolverOptions;
  readonly #readahead = new Readahead();

  constructor(options: FaultResolverOptions) {
    this.#options = options;
  }

  resolve({ address, isMinor }: PageFault): void {
    const { start, table, control, now } = this.#options;
    const startMs = now();
    const page = Math.floor((address - start) / PAGE_BYTES);
    if (page < 0 || page >= table.pages) throw new PagerConfused(`a fault at page ${page}, which is none of the machine’s`);
    control.count('faults');
    const state = table.stateOf(page);
    let origin: PageOrigin;
    if (state === PageState.Resident && isMinor) {
      this.#mapBase(page);
      origin = 'base';
    } else if (state === PageState.Resident || state === PageState.Zero) {
      table.move(page, PageState.Resident);
      this.#zero(page);
      origin = 'zero';
    } else origin = this.#bringBack(page);
    control.observe(origin, (now() - startMs) * 1_000);
  }

  #addressOf(page: number): number {
    return this.#options.start + page * PAGE_BYTES;
  }

  #bringBack(page: number): PageOrigin {
    const { tiers, userFault, control, scratch } = this.#options;
    const { count, origin } = tiers.bringBack(page, this.#readahead.windowAt(page), scratch);
    this.#readahead.brought(page, count);
    control.count('readaheadPages', count - 1);
    // Clean: what was dirty when it left was noted then.
    const placed = userFault.copy(this.#addressOf(page), scratch, count * PAGE_BYTES, PlaceFlag.WriteProtect);
    if (placed === -ENOENT && count > 1) this.#putEach(page, count);
    else if (placed !== count * PAGE_BYTES) throw new PagerConfused(`pages ${page} and ${count - 1} after it could not be put in place: ${placed}`);
    return origin;
  }

  /** The pages lie in several mappings, a layer's and its base's: the kernel puts together what lies in one. The machine goes on when all are there. */
  #putEach(first: number, count: number): void {
    const { userFault, scratch } = this.#options;
    for (let at = 0; at < count; at += 1) {
      const placed = userFault.copy(this.#addressOf(first + at), scratch + at * PAGE_BYTES, PAGE_BYTES, PlaceFlag.WriteProtect | PlaceFlag.DoNotWake);
      if (placed !== PAGE_BYTES) throw new PagerConfused(`page ${first + at} could not be put in place: ${placed}`);
    }
    userFault.wake(this.#addressOf(first), count * PAGE_BYTES);
  }

  /** The base has the page: map it, and its neighbours while that costs no other call. */
  #mapBase(page: number): void {
    const { table, userFault, control } = this.#options;
    const [first, end] = [page - (page % CLUSTER_PAGES), Math.min(page - (page % CLUSTER_PAGES) + CLUSTER_PAGES, table.pages)];
    let [from, to] = [page, page + 1];
    while (from > first && table.stateOf(from - 1) === PageState.Resident) from -= 1;
    while (to < end && table.stateOf(to) === PageState.Resident) to += 1;
    const length = (to - from) * PAGE_BYTES;
    const quiet = PlaceFlag.WriteProtect | PlaceFlag.DoNotWake;
    const mapped = userFault.continue(this.#addressOf(from), length, quiet);
    if (mapped !== length) {
      // Some of them are there, or are holes of the base. The one that is waited for is none of these, unless somebody was faster.
      const alone = userFault.continue(this.#addressOf(page), PAGE_BYTES, quiet);
      if (alone !== PAGE_BYTES && alone !== -EEXIST) throw new PagerConfused(`page ${page} of the base could not be mapped: ${alone}`);
    }
    control.count('basePages');
    userFault.wake(this.#addressOf(page), PAGE_BYTES);
  }

  /** Nobody has written to the page, or what it had was zero. */
  #zero(page: number): void {
    const { userFault, control } = this.#options;
    const address = this.#addressOf(page);
    control.count('zeroPages');
    if (userFault.zeroPage(address, PAGE_BYTES) === PAGE_BYTES) return;
    // A page that is protected without being there refuses the host's page of zeros.
    userFault.unprotect(address, PAGE_BYTES);
    const placed = userFault.zeroPage(address, PAGE_BYTES);
    if (placed === PAGE_BYTES) return;
    if (placed !== -EEXIST) throw new PagerConfused(`page ${page} could not be made zero: ${placed}`);
    userFault.wake(address, PAGE_BYTES);
  }
}
