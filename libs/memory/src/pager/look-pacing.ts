/** Between two looks at a machine that presses on its budget. */
const SOONEST_MS = 10;
/** Between two looks at a machine that works. */
const LATEST_MS = 250;
/** Between two looks at a machine that does nothing: it can have changed nothing. */
const IDLE_MS = 1_000;
/** Looking takes at most this share of a core; while pages have to leave, as much as the guest: a budget that is exceeded harms others. */
const LOOKING_SHARE = 0.05;
const PRESSED_SHARE = 0.5;

/** When to look at a machine's memory again: soon while pages had to leave, less and less often while none had to. Pure. */
export class LookPacing {
  #delayMs = LATEST_MS;

  /** After a look that took so long and took out so many pages. */
  next({ tookMs, evicted, worked }: { readonly tookMs: number; readonly evicted: number; readonly worked: boolean }): number {
    if (!worked && evicted === 0) return IDLE_MS;
    this.#delayMs = evicted > 0 ? SOONEST_MS : Math.min(LATEST_MS, this.#delayMs * 2);
    const share = evicted > 0 ? PRESSED_SHARE : LOOKING_SHARE;
    return Math.min(IDLE_MS, Math.max(this.#delayMs, tookMs / share - tookMs));
  }
}
