import { WRITTEN_PRIVATELY, type HostMemory } from './host/host-memory.ts';
import { PageScan } from './host/page-scan.ts';
import { UserFaultMode, type UserFault } from './host/userfault.ts';
import { PAGE_BYTES } from './machine-pages.ts';
import { PageSet, type PageRun } from './page-set.ts';
import type { RamRegions } from './ram-regions.ts';

/** Which pages were written to since somebody began to follow. Its `pages` are those of the latest `harvest`. */
export interface FollowedWrites {
  readonly pages: PageSet;
  /** No longer counted. */
  stop(): void;
}

/** Which pages of a machine were written to, as the kernel notes it, told to everybody who follows. Nothing is noted before `begin`. */
export class WriteTracking {
  readonly #regions: RamRegions;
  readonly #followers = new Set<PageSet>();
  #noted: { readonly host: HostMemory; readonly fault: UserFault; readonly scan: PageScan } | undefined;

  constructor(regions: RamRegions) {
    this.#regions = regions;
  }

  /** What writes are noted with; undefined where they are not. */
  get fault(): UserFault | undefined {
    return this.#noted?.fault;
  }

  /** Notes writes from now on. Throws where the host refuses: then none are. */
  begin(host: HostMemory): void {
    const fault = host.openTracking();
    try {
      this.#noted = { host, fault, scan: new PageScan(host.libc) };
      this.protect();
    } catch (error) {
      this.#noted?.scan.close();
      this.#noted = undefined;
      fault.close();
      throw error;
    }
  }

  /** Protects everything anew: a mapping that was put in place has none of what was registered before. */
  protect(): void {
    if (!this.#noted) return;
    const { host, fault } = this.#noted;
    for (const { pages, address } of this.#regions.all) {
      if (address === undefined) continue;
      host.keepSmallPages(address, pages * PAGE_BYTES);
      fault.register(address, pages * PAGE_BYTES, UserFaultMode.WriteProtect);
      fault.writeProtect(address, pages * PAGE_BYTES, true);
    }
  }

  follow(): FollowedWrites {
    const pages = new PageSet(this.#regions.pages);
    this.harvest();
    this.#followers.add(pages);
    return { pages, stop: () => this.#followers.delete(pages) };
  }

  /** Asks the kernel, tells everybody who follows, and answers how many pages. Does nothing where writes are not noted. */
  harvest(): number {
    if (!this.#noted) return 0;
    let found = 0;
    for (const { firstPage, pages, address } of this.#regions.all) {
      if (address === undefined) continue;
      this.#noted.scan.scan(address, address + pages * PAGE_BYTES, WRITTEN_PRIVATELY, (start, end) => {
        const count = (end - start) / PAGE_BYTES;
        this.note({ start: firstPage + (start - address) / PAGE_BYTES, count });
        found += count;
      });
    }
    return found;
  }

  /** These count as written to, whatever the kernel knows. */
  note({ start, count }: PageRun): void {
    for (const follower of this.#followers) follower.addRun(start, count);
  }

  end(): void {
    this.#noted?.scan.close();
    this.#noted?.fault.close();
    this.#noted = undefined;
  }
}
