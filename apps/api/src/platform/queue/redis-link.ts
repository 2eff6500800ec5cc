import { Redis } from 'ioredis';

/** Absent: Redis was started anew, wiped, or never used, and whatever waited in it is gone. */
const MARK = 'corral.queues';
const LOOK_MS = 1_000;
const COMMAND_TIMEOUT_MS = 2_000;

export interface RedisLinkOptions {
  readonly url: string;
  /** Redis can be reached, or no longer. */
  onChange(isUp: boolean): void;
  /** It can be reached, and does not remember what it was given. */
  onForgotten(): void;
  onWarning(message: string, error?: unknown): void;
}

/** Whether Redis can be reached and still holds what it was given: asked every second. */
export class RedisLink {
  /** Fails at once, or after two seconds, where there is no Redis. */
  readonly commands: Redis;
  /** Waits for Redis as long as it takes, as BullMQ asks of workers. */
  readonly patient: Redis;
  readonly #options: RedisLinkOptions;
  #timer: NodeJS.Timeout | undefined;
  #isUp = false;
  #isLooking = false;

  constructor(options: RedisLinkOptions) {
    this.#options = options;
    const retryStrategy = (attempt: number): number => Math.min(2_000, 100 * 2 ** Math.min(attempt, 6));
    this.commands = new Redis(options.url, { enableOfflineQueue: false, maxRetriesPerRequest: 0, commandTimeout: COMMAND_TIMEOUT_MS, retryStrategy });
    this.patient = new Redis(options.url, { maxRetriesPerRequest: null, retryStrategy });
    // What went wrong is told by the looks.
    for (const connection of [this.commands, this.patient]) connection.on('error', () => undefined);
    this.commands.on('ready', () => void this.#look());
    this.commands.on('close', () => this.#set(false));
    this.#timer = setInterval(() => void this.#look(), LOOK_MS);
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.commands.disconnect();
    this.patient.disconnect();
  }

  async #look(): Promise<void> {
    if (this.#isLooking || !this.#timer || this.commands.status !== 'ready') return;
    this.#isLooking = true;
    try {
      const marked = await this.commands.set(MARK, '1', 'NX');
      if (!this.#isUp) await this.#checkEviction();
      this.#set(true);
      if (marked === 'OK') this.#options.onForgotten();
    } catch {
      this.#set(false);
    } finally {
      this.#isLooking = false;
    }
  }

  async #checkEviction(): Promise<void> {
    const policy = /maxmemory_policy:(\S+)/.exec(await this.commands.info('memory'))?.[1];
    if (policy !== undefined && policy !== 'noeviction') {
      this.#options.onWarning(`REDIS_URL: maxmemory-policy is ${policy}; it must be noeviction, or keys that wait are lost until the next resync`);
    }
  }

  #set(isUp: boolean): void {
    if (!this.#timer || this.#isUp === isUp) return;
    this.#isUp = isUp;
    this.#options.onChange(isUp);
  }
}
