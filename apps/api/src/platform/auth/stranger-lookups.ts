import { Injectable } from '@nestjs/common';
import { Problem } from '@corral/contracts';

/** Questions to the database about what nobody here has seen before, at the same time; and how many may wait for their turn. */
const AT_ONCE = 8;
const MAX_WAITING = 2_000;
/** What was not there is not asked about again for this long: nobody knows a secret before it is stored. */
const MISSING_MS = 10_000;
const MAX_MISSING = 10_000;
const RETRY_AFTER_S = 1;

/**
 * Looks up what strangers show. Anybody can make up tokens, so these questions are few at a time, and what they find missing
 * is remembered apart from the credentials in use: a flood of them neither takes the database nor makes anybody be forgotten.
 */
@Injectable()
export class StrangerLookups {
  /** When each may be asked about again; the oldest first. */
  readonly #missing = new Map<string, number>();
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  /** What `lookUp` finds of this digest. Throws `request.too-many` when too many others wait. */
  async find<T>(digest: string, lookUp: () => Promise<T | undefined>): Promise<T | undefined> {
    if ((this.#missing.get(digest) ?? 0) > performance.now()) return undefined;
    await this.#enter();
    try {
      const found = await lookUp();
      if (found === undefined) this.#note(digest);
      return found;
    } finally {
      this.#leave();
    }
  }

  #note(digest: string): void {
    this.#missing.delete(digest);
    const [oldest] = this.#missing.keys();
    if (this.#missing.size >= MAX_MISSING && oldest !== undefined) this.#missing.delete(oldest);
    this.#missing.set(digest, performance.now() + MISSING_MS);
  }

  async #enter(): Promise<void> {
    if (this.#running < AT_ONCE) {
      this.#running += 1;
      return;
    }
    if (this.#waiting.length >= MAX_WAITING) {
      throw new Problem('request.too-many', 'too many credentials that are not known here are being looked up; try again later', { details: { retryAfterSeconds: RETRY_AFTER_S } });
    }
    // Whoever leaves passes its place on.
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #leave(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#running -= 1;
  }
}
