import { clusterKeys, swapKeyPrefix } from '@corral/memory';
import { Redis } from 'ioredis';
import { type Logger } from 'pino';

/** One life of a machine that swaps. */
export interface SwappingRun {
  readonly uid: string;
  readonly incarnation: number;
  readonly pages: number;
}

export interface SwapKeysOptions {
  readonly url: string;
  readonly nodeName: string;
  readonly log: Logger;
}

const KEYS_AT_ONCE = 1_000;
const DEADLINE_MS = 5_000;

/**
 * Removes from the swap Redis what machines left there. Which of this node's machines may swap is written down in Redis itself, so that
 * what a crash left is found. While Redis is away nothing is removed, and what is left removes itself after a day.
 */
export class SwapKeys {
  readonly #options: SwapKeysOptions;
  readonly #redis: Redis;
  readonly #list: string;

  constructor(options: SwapKeysOptions) {
    this.#options = options;
    this.#list = `corral:swap:node:${options.nodeName}`;
    this.#redis = new Redis(options.url, { lazyConnect: true, maxRetriesPerRequest: 1, commandTimeout: DEADLINE_MS, retryStrategy: (attempts) => Math.min(10_000, 500 * attempts) });
    this.#redis.on('error', (error) => options.log.debug({ err: error }, 'The swap Redis does not answer'));
  }

  /** Removes what runs of an earlier node agent left: none of them lives any more. */
  async sweep(): Promise<void> {
    await this.#try(async () => {
      for (const member of await this.#redis.smembers(this.#list)) {
        const [uid, incarnation, pages] = member.split(' ');
        if (uid !== undefined) await this.#remove({ uid, incarnation: Number(incarnation), pages: Number(pages) });
      }
    });
  }

  async add(run: SwappingRun): Promise<void> {
    await this.#try(() => this.#redis.sadd(this.#list, memberOf(run)));
  }

  /** Removes all that a run left that has ended. */
  async remove(run: SwappingRun): Promise<void> {
    await this.#try(() => this.#remove(run));
  }

  close(): void {
    this.#redis.disconnect();
  }

  async #remove(run: SwappingRun): Promise<void> {
    let keys: string[] = [];
    for (const key of clusterKeys(swapKeyPrefix(run.uid, run.incarnation), run.pages)) {
      if (keys.push(key) === KEYS_AT_ONCE) await this.#redis.unlink(...keys.splice(0));
    }
    if (keys.length > 0) await this.#redis.unlink(...keys);
    keys = [];
    await this.#redis.srem(this.#list, memberOf(run));
  }

  async #try(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#options.log.debug({ err: error }, 'The swap Redis could not be tidied up');
    }
  }
}

const memberOf = ({ uid, incarnation, pages }: SwappingRun): string => `${uid} ${incarnation} ${pages}`;
