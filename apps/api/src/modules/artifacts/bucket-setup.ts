import { Inject, Injectable, Logger, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { ObjectStore } from '@corral/object-store';
import { Backoff, pause, systemTimers } from '@corral/reconcile';

const PATIENCE_MS = 3_000;

/** Makes the bucket as soon as the object store answers, and lets its connections go at the end. */
@Injectable()
export class BucketSetup implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #logger = new Logger('ObjectStore');
  readonly #abort = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(@Inject(ObjectStore) private readonly store: ObjectStore) {}

  /** Waits a moment, so that the first upload finds a bucket; without the object store the API still serves all that needs no bytes. */
  async onApplicationBootstrap(): Promise<void> {
    this.#running = this.#ensure(this.#abort.signal);
    const patience = new AbortController();
    await Promise.race([this.#running, pause(systemTimers, PATIENCE_MS, patience.signal)]);
    patience.abort();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.#abort.abort();
    await this.#running;
    this.store.close();
  }

  async #ensure(signal: AbortSignal): Promise<void> {
    const backoff = new Backoff({ baseMs: 200, maxMs: 15_000, random: Math.random });
    while (!signal.aborted) {
      try {
        return await this.store.ensureBucket(signal);
      } catch (error) {
        if (isAborted(signal)) return;
        this.#logger.warn({ err: error }, `Bucket ${this.store.bucket} is not there yet; trying again`);
        await pause(systemTimers, backoff.next(''), signal);
      }
    }
  }
}

/** A call, so that the compiler does not remember the answer across an await. */
const isAborted = (signal: AbortSignal): boolean => signal.aborted;
