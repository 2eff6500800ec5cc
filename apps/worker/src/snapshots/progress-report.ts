import { type Clock } from '@corral/base';

const INTERVAL_MS = 1_000;

/** Tells progress at most once a second, one write at a time. */
export class ProgressReport {
  readonly #clock: Clock;
  readonly #write: (uploadedBytes: number) => Promise<void>;
  #toldAt = 0;
  #telling: Promise<void> = Promise.resolve();
  #isTelling = false;

  constructor(clock: Clock, write: (uploadedBytes: number) => Promise<void>) {
    this.#clock = clock;
    this.#write = write;
    this.#toldAt = clock.now().getTime();
  }

  tell(uploadedBytes: number): void {
    const now = this.#clock.now().getTime();
    if (this.#isTelling || now - this.#toldAt < INTERVAL_MS) return;
    this.#toldAt = now;
    this.#isTelling = true;
    this.#telling = this.#write(uploadedBytes).finally(() => (this.#isTelling = false));
  }

  settled(): Promise<void> {
    return this.#telling;
  }
}
