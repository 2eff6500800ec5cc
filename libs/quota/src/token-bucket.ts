/** What a bucket says to one request more. */
export interface Allowance {
  /** When the request may go on: 0 for at once. */
  readonly delayMs: number;
  /** Tokens left for what comes after. */
  readonly remaining: number;
  /** Until the bucket is full again. */
  readonly fullInMs: number;
}

/**
 * A rate with a burst: tokens come at a steady pace up to a full bucket, each request takes one. A bucket may be overdrawn:
 * whoever does waits until the token is there.
 */
export class TokenBucket {
  readonly #perMs: number;
  readonly #burst: number;
  #tokens: number;
  #at: number;

  constructor(options: { readonly perSecond: number; readonly burst: number }, nowMs: number) {
    this.#perMs = options.perSecond / 1000;
    this.#burst = options.burst;
    this.#tokens = options.burst;
    this.#at = nowMs;
  }

  /** Takes a token; none when the wait for it would be longer than `maxDelayMs`, which `delayMs` then says. */
  take(nowMs: number, maxDelayMs: number): Allowance & { readonly isTaken: boolean } {
    this.#fill(nowMs);
    const delayMs = this.#tokens >= 1 ? 0 : (1 - this.#tokens) / this.#perMs;
    const isTaken = delayMs <= maxDelayMs;
    if (isTaken) this.#tokens -= 1;
    return { isTaken, delayMs, remaining: Math.max(0, Math.floor(this.#tokens)), fullInMs: (this.#burst - this.#tokens) / this.#perMs };
  }

  /** Whether it says nothing that a new one would not say. */
  isFull(nowMs: number): boolean {
    this.#fill(nowMs);
    return this.#tokens >= this.#burst;
  }

  #fill(nowMs: number): void {
    // Clocks may go back; time then stands still here.
    this.#tokens = Math.min(this.#burst, this.#tokens + Math.max(0, nowMs - this.#at) * this.#perMs);
    this.#at = Math.max(this.#at, nowMs);
  }
}
