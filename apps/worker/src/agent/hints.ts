import { nodeQueueName } from '@corral/contracts';
import { Worker } from 'bullmq';
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
  #worker: Worker | undefined;
  #isAway = false;

  constructor(options: HintsOptions) {
    this.#options = options;
  }

  start(): void {
    const { redisUrl, nodeName, log, onHint } = this.#options;
    this.#worker = new Worker(
      nodeQueueName(nodeName),
      async ({ data }) => {
        const hint = Hint.safeParse(data);
        if (hint.success) onHint(hint.data);
      },
      {
        connection: { url: redisUrl, maxRetriesPerRequest: null, enableOfflineQueue: false, retryStrategy: (attempts: number) => Math.min(10_000, 200 * attempts) },
        concurrency: 16,
        removeOnComplete: { count: 0 },
        removeOnFail: { count: 0 },
      },
    );
    this.#worker.on('error', (error) => {
      if (this.#isAway) return;
      this.#isAway = true;
      log.warn({ err: error }, 'Redis is away: hints stop, watches and resync carry on');
    });
    this.#worker.on('ready', () => {
      if (this.#isAway) log.info('Redis is back');
      this.#isAway = false;
    });
  }

  async stop(): Promise<void> {
    // Without waiting for Redis: a hint in flight is only a hint.
    await this.#worker?.close(true);
  }
}
