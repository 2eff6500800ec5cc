/** The answer after which every page of the base is there. No page has this number. */
export const BASE_IS_WHOLE = 0xffff_ffff;

/** How a process ends whose machine runs on a base that cannot be had. */
export const BASE_LOST_EXIT_CODE = 72;

/** Some of a machine's pages that lie together in the process's memory. */
export interface PageRange {
  readonly firstPage: number;
  readonly pages: number;
  readonly address: number;
}

/** What the pager's thread is started with. Addresses are the process's: both threads use the same memory. */
export interface BasePagerData {
  readonly userFaultFd: number;
  readonly ranges: readonly PageRange[];
  /** Where the node agent answers. */
  readonly socketPath: string;
  /** BasePagerCounter, as Int32. */
  readonly control: SharedArrayBuffer;
}

export const BASE_PAGER_COUNTERS = ['quit', 'waitedPages', 'zeroPages', 'waitedMicroseconds'] as const;
export type BasePagerCounter = (typeof BASE_PAGER_COUNTERS)[number];
export const counterAt = (name: BasePagerCounter): number => BASE_PAGER_COUNTERS.indexOf(name);
