import { nodeQueueName } from '@corral/contracts';
import { Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { type Logger } from 'pino';
import { z } from 'zod';

const Hint = z.object({ resource: z.string(), namespace: z.string(), name: z.string() });
type Hint = z.output<typeof Hint>;

export interface HintsOptions {
  readonly redisUrl: string;
  readonly nodeName: string;
  readonly log: Logger;
  onHint(hint: Hint): void;
}

/**
 * Takes hints from the node's queue. They only make things faster: while Redis is away the watch and the resync do the
 * same, and that it is away is said once.
 */
export class Hints {
  readonly #options: HintsOptions;
  #connection: Redis | undefined;
  #worker: Worker | undefined;
  #isAway = false;

  constructor(options: HintsOptions) {
    this.#options = options;
  }

  start(): void {
    const { redisUrl, nodeName, onHint } = this.#options;
    this.#connection = new Redis(redisUrl, {
      // Both are what BullMQ asks of a worker: wait for Redis as long as it takes.
      maxRetriesPerRequest: null,
      enableReadyCheck: false,
      retryStrategy: (attempts) => Math.min(5_000, 200 * attempts),
    });
    this.#connection.on('error', (error) => this.#away(error));
    this.#connection.on('ready', () => this.#back());
    this.#worker = new Worker(
      nodeQueueName(nodeName),
      async ({ data }) => {
        const hint = Hint.safeParse(data);
        if (hint.success) onHint(hint.data);
      },
      { connection: this.#connection, concurrency: 16, removeOnComplete: { count: 0 }, removeOnFail: { count: 0 } },
    );
    this.#worker.on('error', (error) => this.#away(error));
  }

  async stop(): Promise<void> {
    // Without waiting for Redis: a hint in flight is only a hint.
    await this.#worker?.close(true);
    this.#connection?.disconnect();
  }

  #away(error: Error): void {
    if (!this.#isAway) this.#options.log.warn({ err: error }, 'Redis is away: hints stop, watches and resync carry on');
    this.#isAway = true;
  }

  #back(): void {
    if (this.#isAway) this.#options.log.info('Redis is back');
    this.#isAway = false;
  }
}
