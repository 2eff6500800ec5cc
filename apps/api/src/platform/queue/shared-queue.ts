import type { Cause, KeyQueue } from '@corral/reconcile';

/** Where keys go: to the queue all processes share; while it is away to one inside the leading process, and elsewhere nowhere. */
export type Route = 'Shared' | 'Local' | 'Nowhere';

/**
 * A queue all processes share for as long as it can be reached. While it cannot, one process works by itself: slower in
 * one sense, alone, and in no other. Whoever changes the route enqueues everything anew, for what waited on the other is
 * not carried over; a key may then be looked at by two processes for a moment, which compare-and-set makes harmless.
 */
export class SharedQueue implements KeyQueue {
  readonly #shared: KeyQueue;
  readonly #local: KeyQueue;
  #route: Route = 'Nowhere';
  #started: { readonly work: Parameters<KeyQueue['start']>[0]; readonly concurrency: number } | undefined;
  #switching: Promise<void> = Promise.resolve();

  constructor(shared: KeyQueue, local: KeyQueue) {
    this.#shared = shared;
    this.#local = local;
  }

  /** Resolves when keys take the new route. */
  take(route: Route): Promise<void> {
    this.#switching = this.#switching.then(async () => {
      if (this.#route === 'Local' && route !== 'Local') await this.#local.stop();
      this.#route = route;
      if (this.#started && route === 'Local') this.#local.start(this.#started.work, this.#started.concurrency);
    });
    return this.#switching;
  }

  add(key: string, cause?: Cause): void {
    this.#current?.add(key, cause);
  }

  addAfter(key: string, delayMs: number): void {
    this.#current?.addAfter(key, delayMs);
  }

  start(work: (key: string, cause: Cause) => Promise<void>, concurrency: number): void {
    if (this.#started) return;
    this.#started = { work, concurrency };
    this.#shared.start(work, concurrency);
    if (this.#route === 'Local') this.#local.start(work, concurrency);
  }

  async stop(): Promise<void> {
    this.#started = undefined;
    await this.#switching;
    await Promise.all([this.#shared.stop(), this.#local.stop()]);
  }

  depth(): Promise<number> {
    return this.#current?.depth() ?? Promise.resolve(0);
  }

  get #current(): KeyQueue | undefined {
    return this.#route === 'Shared' ? this.#shared : this.#route === 'Local' ? this.#local : undefined;
  }
}
