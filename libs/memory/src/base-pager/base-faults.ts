import { EAGAIN, EEXIST, EFAULT, ENOENT } from '../host/libc.ts';
import { PlaceFlag, type PageFault, type UserFault } from '../host/userfault.ts';
import { PAGE_BYTES } from '../machine-pages.ts';
import type { BaseConnection } from './base-connection.ts';
import type { BasePagerCounter, PageRange } from './base-pager.protocol.ts';

/** So many pages that lie together are mapped at once, where all of them are there. */
const TOGETHER_PAGES = 16;

export interface BaseFaultsOptions {
  readonly userFault: UserFault;
  readonly ranges: readonly PageRange[];
  readonly connection: Pick<BaseConnection, 'has' | 'isThere' | 'fetch'>;
  readonly count: (counter: BasePagerCounter, by?: number) => void;
}

/**
 * Gives a machine the page it waits for. What a page is, is what the node agent has said of it: never what the kernel happens to find in the base, which is still
 * being written to.
 */
export class BaseFaults {
  readonly #options: BaseFaultsOptions;

  constructor(options: BaseFaultsOptions) {
    this.#options = options;
  }

  /** Throws BaseLost. */
  resolve({ address }: PageFault): void {
    const { ranges, connection } = this.#options;
    const range = ranges.find((each) => address >= each.address && address < each.address + each.pages * PAGE_BYTES);
    if (!range) throw new Error('a fault where the machine has no page');
    const position = Math.floor((address - range.address) / PAGE_BYTES);
    const page = range.firstPage + position;
    if (!connection.has(page)) return this.#zero(range.address + position * PAGE_BYTES);
    if (!connection.isThere(page)) this.#fetch(page);
    this.#map(range, position);
  }

  #fetch(page: number): void {
    const { connection, count } = this.#options;
    const beganMs = performance.now();
    connection.fetch(page);
    count('waitedPages');
    count('waitedMicroseconds', Math.round((performance.now() - beganMs) * 1_000));
  }

  /** With the pages behind it: a machine mostly goes on there. */
  #map(range: PageRange, position: number): void {
    const { userFault, connection, count } = this.#options;
    const most = Math.min(TOGETHER_PAGES - (position % TOGETHER_PAGES), range.pages - position);
    let pages = 1;
    while (pages < most && connection.isThere(range.firstPage + position + pages)) pages += 1;
    const address = range.address + position * PAGE_BYTES;
    // Clean: what is written to from now on is noted.
    const flags = PlaceFlag.WriteProtect | PlaceFlag.DoNotWake;
    let mapped = userFault.continue(address, pages * PAGE_BYTES, flags);
    // Something else is mapped over those behind it.
    if (mapped === -ENOENT) mapped = userFault.continue(address, PAGE_BYTES, flags);
    // The base holds no pages that are all zero, whatever the pack has.
    if (mapped === -EFAULT) return this.#zero(address);
    if (mapped < 0 && mapped !== -EEXIST && mapped !== -EAGAIN) throw new Error(`a page of the base could not be mapped: ${mapped}`);
    count('basePages', Math.max(0, mapped) / PAGE_BYTES);
    userFault.wake(address, PAGE_BYTES);
  }

  #zero(address: number): void {
    const { userFault, count } = this.#options;
    count('zeroPages');
    // A page that is protected without being there refuses the host's page of zeros.
    userFault.unprotect(address, PAGE_BYTES);
    const placed = userFault.zeroPage(address, PAGE_BYTES);
    if (placed === PAGE_BYTES) return;
    if (placed !== -EEXIST && placed !== -EAGAIN) throw new Error(`a page could not be made zero: ${placed}`);
    userFault.wake(address, PAGE_BYTES);
  }
}
