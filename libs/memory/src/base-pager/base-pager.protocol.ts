/**
 * Between a machine's pager and the node agent, on a unix socket, all numbers u32, little-endian. The agent says first how many words follow; then, one
 * bit per page, that many words of which pages the base has, now or later, and as many of which are there. From then on it names
 * every page that comes to be there, and last BASE_IS_WHOLE. The pager names pages that somebody waits for: they come first. A base that
 * cannot be had ends the connection.
 *
 * A page is there when the agent has said so, and not before: until then its place may be empty, or half written, or hold the zeros the kernel puts where
 * somebody looked at nothing.
 */
export const BASE_IS_WHOLE = 0xffff_ffff;

/** How long the agent may say nothing while somebody waits for a page. It gives up reading sooner, and ends the connection; this is for an agent that does nothing any more. */
export const SILENCE_DEADLINE_MS = 60_000;

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
  /** Written to once a second while the pager lives. */
  readonly heartbeatFd: number | undefined;
  readonly silenceDeadlineMs: number;
}

/** What the thread tells. Of `Ready`, one bit per page: which pages the base has. */
export type BasePagerMessage = { readonly type: 'Ready'; readonly held: Uint32Array } | { readonly type: 'Whole' };

export const BASE_PAGER_COUNTERS = ['quit', 'basePages', 'waitedPages', 'zeroPages', 'waitedMicroseconds'] as const;
export type BasePagerCounter = (typeof BASE_PAGER_COUNTERS)[number];
export const counterAt = (name: BasePagerCounter): number => BASE_PAGER_COUNTERS.indexOf(name);
