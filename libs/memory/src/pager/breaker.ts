/** How long nobody asks again after a failure. */
export const BREAKER_OPEN_MS = 500;

/** Keeps a machine from waiting again and again for a server that does not answer. Times are of a clock that never goes back. Pure. */
export class Breaker {
  #openUntilMs = -Infinity;
  #failedSinceMs: number | undefined;

  allows(nowMs: number): boolean {
    return nowMs >= this.#openUntilMs;
  }

  failed(nowMs: number): void {
    this.#openUntilMs = nowMs + BREAKER_OPEN_MS;
    this.#failedSinceMs ??= nowMs;
  }

  succeeded(): void {
    this.#failedSinceMs = undefined;
  }

  /** How long nothing has succeeded; 0 while all is well. */
  failingForMs(nowMs: number): number {
    return this.#failedSinceMs === undefined ? 0 : nowMs - this.#failedSinceMs;
  }
}
