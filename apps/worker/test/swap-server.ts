import { type EmbeddedRedis, startRedis } from '@corral/embedded';
import { Redis } from 'ioredis';

/** A Redis that cold pages go to and nothing else, to whom everything happens that can happen to a server. */
export class SwapServer {
  readonly #home: string;
  #server: EmbeddedRedis;

  private constructor(home: string, server: EmbeddedRedis) {
    this.#home = home;
    this.#server = server;
  }

  /** Keeps its port and password in this folder. */
  static async start(home: string): Promise<SwapServer> {
    return new SwapServer(home, await startRedis({ home }));
  }

  get url(): string {
    return this.#server.url;
  }

  /** It forgets all it has. */
  async forget(): Promise<void> {
    await this.ask((redis) => redis.flushall());
  }

  async ask<T>(question: (redis: Redis) => Promise<T>): Promise<T> {
    const redis = new Redis(this.url);
    try {
      return await question(redis);
    } finally {
      redis.disconnect();
    }
  }

  /** It is gone, and comes back empty once the work is done. */
  async gone(work: () => Promise<void>): Promise<void> {
    this.#server.kill();
    await this.#server.ended;
    try {
      await work();
    } finally {
      this.#server = await startRedis({ home: this.#home });
    }
  }

  /** It takes connections and commands, and answers none until the work is done. */
  async hanging(work: () => Promise<void>): Promise<void> {
    process.kill(this.#server.pid, 'SIGSTOP');
    try {
      await work();
    } finally {
      process.kill(this.#server.pid, 'SIGCONT');
    }
  }

  stop(): Promise<void> {
    return this.#server.stop();
  }
}
