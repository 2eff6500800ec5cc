/** What a process has used, when it was looked at. */
export interface Look {
  readonly atMs: number;
  readonly cpuMs: number;
}

/** How often to look: seldom enough to cost an idle machine nothing. */
export const LOOK_EVERY_MS = 5_000;
/** A machine that uses less of a core than this is waiting for somebody. */
const IDLE_SHARE = 0.1;
/** Idle for so long that a moment's work is not in the way of anything. */
const IDLE_LOOKS = 2;
/** What so little work can have left behind is not worth clearing up. */
const WORTHWHILE_CPU_MS = 200;

/**
 * Decides when a machine gives back what its last work left in the process: once after each stretch of work, when it has
 * been idle for a while, and never while it works. Pure.
 */
export class IdleTrim {
  #last: Look | undefined;
  /** CPU time since the last trim, of stretches in which the machine was not idle: a guest that only ticks leaves nothing. */
  #workedMs = 0;
  #idleLooks = 0;

  /** Whether to trim now. */
  look(now: Look): boolean {
    const last = this.#last;
    this.#last = now;
    if (!last) this.#workedMs += now.cpuMs;
    if (!last || now.atMs <= last.atMs) return false;
    const usedMs = now.cpuMs - last.cpuMs;
    const isIdle = usedMs / (now.atMs - last.atMs) < IDLE_SHARE;
    this.#idleLooks = isIdle ? this.#idleLooks + 1 : 0;
    if (!isIdle) this.#workedMs += usedMs;
    return this.#idleLooks >= IDLE_LOOKS && this.#workedMs >= WORTHWHILE_CPU_MS;
  }

  /** The trim is over; what it cost itself is no work to clear up after. */
  trimmed(now: Look): void {
    this.#last = now;
    this.#workedMs = 0;
    this.#idleLooks = 0;
  }
}
