/** RAM pages and disk clusters are this large. */
export const PAGE_BYTES = 4096;
const PAGES_PER_MIB = 256;
/** Screen memory of every machine: 8 MiB of VGA. */
export const SCREEN_PAGES = 8 * PAGES_PER_MIB;

/**
 * How a machine's pages are numbered: RAM first, then screen memory. So the bulk of the screen is saved like RAM, by what
 * changed, and is no part of the device state.
 */
export const ramPages = (memoryMiB: number): number => memoryMiB * PAGES_PER_MIB;

/** Exclusive bound of a machine's page numbers: RAM and screen memory. A base image has so many pages. */
export const machinePages = (memoryMiB: number): number => ramPages(memoryMiB) + SCREEN_PAGES;
