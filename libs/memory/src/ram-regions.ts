import { PAGE_BYTES } from './machine-pages.ts';
import type { PageRun } from './page-set.ts';

export interface RamRegion {
  readonly firstPage: number;
  readonly pages: number;
  /** Undefined where the host's memory cannot be reached: only views are used then. */
  readonly address: number | undefined;
}

/** A run of pages within one region. */
export interface RegionRun extends PageRun {
  readonly region: number;
}

/** Where the pages of one machine lie, region by region. */
export class RamRegions {
  readonly all: readonly RamRegion[];
  /** Exclusive bound of the page numbers. */
  readonly pages: number;

  constructor(views: readonly Uint8Array[], addressOf: (view: Uint8Array) => number | undefined) {
    let firstPage = 0;
    this.all = views.map((view) => {
      const region = { firstPage, pages: view.byteLength / PAGE_BYTES, address: addressOf(view) };
      firstPage += region.pages;
      return region;
    });
    this.pages = firstPage;
  }

  /** Throws RangeError where the machine has no such page, or its address is not known. */
  addressOf(page: number): number {
    const region = this.all.find(({ firstPage, pages }) => page >= firstPage && page < firstPage + pages);
    if (region?.address === undefined) throw new RangeError(`the machine has no page ${page} with an address`);
    return region.address + (page - region.firstPage) * PAGE_BYTES;
  }

  /** Where a page begins in its region's view. */
  offsetOf({ region, start }: RegionRun): number {
    return (start - (this.all[region]?.firstPage ?? 0)) * PAGE_BYTES;
  }

  /** A run, cut where regions end. Throws RangeError where the machine has no such page. */
  *cut({ start, count }: PageRun): Generator<RegionRun> {
    if (start < 0 || start + count > this.pages) throw new RangeError(`the machine has no page ${start + count - 1}`);
    for (const [region, { firstPage, pages }] of this.all.entries()) {
      const [from, to] = [Math.max(start, firstPage), Math.min(start + count, firstPage + pages)];
      if (from < to) yield { region, start: from, count: to - from };
    }
  }
}
