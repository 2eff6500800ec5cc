import { pause, systemTimers, type Timers } from '@corral/reconcile';
import { type Logger } from 'pino';

export interface RepetitionOptions {
  readonly name: string;
  readonly everyMs: number;
  readonly log: Logger;
  readonly timers?: Timers;
  work(): Promise<void>;
}

/** Does something now and then at a fixed pace. A failure is told once, until it works again. */
export class Repetition {
  readonly #options: RepetitionOptions;
  readonly #timers: Timers;
  readonly #abort = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #isFailing = false;

  constructor(options: RepetitionOptions) {
    this.#options = options;
    this.#timers = options.timers ?? systemTimers;
  }

  start(): void {
    this.#running = this.#repeat();
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  async #repeat(): Promise<void> {
    const { everyMs } = this.#options;
    while (!this.#abort.signal.aborted) {
      await this.#once();
      await pause(this.#timers, everyMs, this.#abort.signal);
    }
  }

  async #once(): Promise<void> {
    const { name, work, log } = this.#options;
    try {
      await work();
      if (this.#isFailing) log.info(`${name} works again`);
      this.#isFailing = false;
    } catch (error) {
      if (!this.#isFailing)
        log.warn({ err: error }, `${name} failed; it is tried again every ${everyMsText(this.#options.everyMs)}`);
      this.#isFailing = true;
    }
  }
}

const everyMsText = (ms: number): string => `${ms / 1000} s`;
