/** A guest that executes fewer waits for something. */
export const RESTING_INSTRUCTIONS_PER_SECOND = 2_000_000;
/** Rest shorter than this is a pause for breath. */
export const IDLE_AFTER_MS = 10_000;

/** What the node agent is told. */
export type ActivityEvent = { readonly type: 'Idle'; readonly forMs: number } | { readonly type: 'Active' };

/**
 * Knows whether anybody uses the guest: a command, a file transfer or typing, or the guest's own work. Looking at its screen
 * or at its serial line is no use. Instructions are counted, not CPU time: pictures for those who look cost the process time,
 * and the guest none.
 */
export class GuestActivity {
  readonly #tell: (event: ActivityEvent) => void;
  readonly #nowMs: () => number;
  #restsSinceMs: number;
  #usesUnderWay = 0;
  #isToldIdle = false;
  #last: { readonly atMs: number; readonly instructions: number } | undefined;

  constructor(tell: (event: ActivityEvent) => void, nowMs: () => number) {
    this.#tell = tell;
    this.#nowMs = nowMs;
    this.#restsSinceMs = nowMs();
  }

  /** Told to be idle, and not used since. */
  get isIdle(): boolean {
    return this.#isToldIdle;
  }

  /** Somebody uses the guest until the function returned is called. */
  begin(): () => void {
    this.touch();
    this.#usesUnderWay += 1;
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      this.#usesUnderWay -= 1;
      this.touch();
    };
  }

  /** Somebody uses the guest now. */
  touch(): void {
    this.#restsSinceMs = this.#nowMs();
    if (!this.#isToldIdle) return;
    this.#isToldIdle = false;
    this.#tell({ type: 'Active' });
  }

  /** Takes in how many instructions the guest has executed so far, a counter of 32 bits. Call every few seconds. */
  look(instructions: number): void {
    const atMs = this.#nowMs();
    const last = this.#last;
    this.#last = { atMs, instructions };
    if (!last || atMs <= last.atMs) return;
    const perSecond = (((instructions - last.instructions) >>> 0) * 1000) / (atMs - last.atMs);
    if (this.#usesUnderWay > 0 || perSecond > RESTING_INSTRUCTIONS_PER_SECOND) return this.touch();
    const forMs = atMs - this.#restsSinceMs;
    if (this.#isToldIdle || forMs < IDLE_AFTER_MS) return;
    this.#isToldIdle = true;
    this.#tell({ type: 'Idle', forMs });
  }
}
