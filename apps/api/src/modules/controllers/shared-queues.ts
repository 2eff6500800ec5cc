import { Inject, Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { LocalQueue, type KeyQueue } from '@corral/reconcile';
import { API_CONFIG, type ApiConfig } from '../../platform/config/api-config.ts';
import { Leadership } from '../../platform/leadership/leadership.ts';
import { BullQueue } from '../../platform/queue/bull-queue.ts';
import { RedisLink } from '../../platform/queue/redis-link.ts';
import { SharedQueue, type Route } from '../../platform/queue/shared-queue.ts';

const LOG_EVERY_MS = 60_000;
const REFILL_MS = 3_000;

/**
 * Queues of keys that all processes share, in Redis. While Redis is away the process that leads works alone; whenever
 * keys may have been lost, everything is enqueued anew.
 */
@Injectable()
export class SharedQueues implements OnApplicationShutdown {
  readonly #logger = new Logger(SharedQueues.name);
  readonly #link: RedisLink;
  readonly #queues: { readonly shared: SharedQueue; readonly bull: BullQueue; enqueueAll(): void }[] = [];
  readonly #refills = new Map<() => void, NodeJS.Timeout>();
  #isStandIn = false;
  #lastLogAt = -Infinity;

  constructor(@Inject(API_CONFIG) config: ApiConfig, @Inject(Leadership) leadership: Leadership) {
    this.#link = new RedisLink({
      url: config.redisUrl,
      onChange: (isUp) => {
        if (isUp) this.#logger.log('Keys wait in Redis');
        else this.#complain('Redis is away; one process works alone until it is back');
        void this.#route();
      },
      onForgotten: () => this.#enqueueAll(),
      onWarning: (message) => this.#logger.warn(message),
    });
    leadership.whileLeading('without-redis', async (signal) => {
      this.#isStandIn = true;
      await this.#route();
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      this.#isStandIn = false;
      await this.#route();
    });
  }

  get isUp(): boolean {
    return this.#link.isUp;
  }

  /** `enqueueAll` is called whenever what waited may have been lost. */
  open(name: string, enqueueAll: () => void): KeyQueue {
    const bull = new BullQueue(`corral.reconcile.${name}`, this.#link, (error, lost) => {
      if (this.#link.isUp) this.#complain('Redis did not take or give a key; it is looked at again at the latest at the next resync', error);
      if (lost !== undefined) this.#refill(enqueueAll);
    });
    const shared = new SharedQueue(bull, new LocalQueue());
    this.#queues.push({ shared, bull, enqueueAll });
    void shared.take(this.#routeNow());
    return shared;
  }

  async onApplicationShutdown(): Promise<void> {
    for (const timer of this.#refills.values()) clearTimeout(timer);
    await Promise.all(this.#queues.map(({ bull }) => bull.close()));
    this.#link.close();
  }

  #routeNow(): Route {
    return this.#link.isUp ? 'Shared' : this.#isStandIn ? 'Local' : 'Nowhere';
  }

  async #route(): Promise<void> {
    const route = this.#routeNow();
    await Promise.all(this.#queues.map(({ shared }) => shared.take(route)));
    if (route !== 'Nowhere') this.#enqueueAll();
  }

  #enqueueAll(): void {
    for (const { enqueueAll } of this.#queues) enqueueAll();
  }

  /** A key was not taken: soon everything of its queue is enqueued anew, unless Redis turns out to be away. */
  #refill(enqueueAll: () => void): void {
    if (this.#refills.has(enqueueAll)) return;
    const timer = setTimeout(() => {
      this.#refills.delete(enqueueAll);
      if (this.#link.isUp) enqueueAll();
    }, REFILL_MS);
    this.#refills.set(enqueueAll, timer);
  }

  /** Redis may be away for hours; one line a minute says so. */
  #complain(message: string, error?: unknown): void {
    const now = performance.now();
    if (now - this.#lastLogAt < LOG_EVERY_MS) return;
    this.#lastLogAt = now;
    this.#logger.warn({ err: error }, message);
  }
}
