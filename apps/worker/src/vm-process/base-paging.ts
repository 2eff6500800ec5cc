import { BasePager, type GuestRam, MappingFailed, PAGE_BYTES } from '@corral/memory';
import { untilWhole } from './base-wait.ts';
import { type OpenedBase } from './memory.restore.ts';
import { PagerHeartbeat } from './pager-heartbeat.ts';

/** Has a machine run on a base of which not all is there yet, until all is. */
export class BasePaging {
  readonly #ram: GuestRam;
  readonly #heartbeat: PagerHeartbeat;
  #pager: BasePager | undefined;
  #ending: Promise<void> | undefined;

  private constructor(ram: GuestRam, folder: string) {
    this.#ram = ram;
    this.#heartbeat = new PagerHeartbeat(folder);
  }

  /**
   * Maps a base into a machine that never ran, and has it answered for page by page; `folder` is the machine's. Where pages that are missing cannot be told from
   * others on this host, this waits until none is, and answers undefined. Throws SnapshotError where the base cannot be had.
   */
  static async begin(ram: GuestRam, { fd, sizeBytes }: OpenedBase, requestsPath: string, folder: string): Promise<BasePaging | undefined> {
    const pages = sizeBytes / PAGE_BYTES;
    const paging = ram.capability.mode === 'Full' ? new BasePaging(ram, folder) : undefined;
    try {
      if (paging) {
        ram.mapBase(fd, pages);
        ram.track();
        paging.#pager = await BasePager.start({ ram, socketPath: requestsPath, heartbeatFd: paging.#heartbeat.fd });
        void paging.#pager.whole.then(() => paging.end());
        return paging;
      }
    } catch (error) {
      if (paging) paging.#heartbeat.end();
      if (!(error instanceof MappingFailed)) throw error;
    }
    await untilWhole(requestsPath);
    return undefined;
  }

  /** Until its thread is gone: what somebody else takes out would be given back as the base has it. */
  get isActive(): boolean {
    return this.#pager !== undefined;
  }

  /** The machine's folder has another name from now on. */
  set folder(path: string) {
    this.#heartbeat.folder = path;
  }

  /** The machine has every page, or will touch none again. Between two slices of the guest. */
  end(): Promise<void> {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  async #end(): Promise<void> {
    this.#ram.endPaging();
    await this.#pager?.stop();
    this.#heartbeat.end();
    this.#pager = undefined;
  }
}
