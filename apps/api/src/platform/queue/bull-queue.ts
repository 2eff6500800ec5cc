import { setTimeout as delay } from 'node:timers/promises';
import type { Cause, KeyQueue } from '@corral/reconcile';
import { Queue, Worker, type Job } from 'bullmq';
import type { Redis } from 'ioredis';

/** A process that died holding a key holds it this long; the lock is renewed while work goes on. */
const LOCK_MS = 10_000;
const STALLED_CHECK_MS = 5_000;
/** Work is level-triggered and reports its own failures: a key is never given up. */
const MAX_STALLED = 1_000_000;
const MAX_EVENTS = 100;
/** Redis may vanish while a worker says good-bye. */
const CLOSE_MS = 3_000;

export interface BullConnections {
  /** Fails at once where there is no Redis. */
  readonly commands: Redis;
  /** Waits for Redis as long as it takes, as BullMQ asks of workers. */
  readonly patient: Redis;
}

/** A job is a hint to look at a key; `Wake` is one that waits for its time, and then asks for a look. */
interface Hint {
  readonly key: string;
  readonly cause: Cause;
}
type Name = 'Look' | 'Wake';

const FORGET = { removeOnComplete: true, removeOnFail: true } as const;

/**
 * The KeyQueue that all processes on one Redis share: each key is worked on by one of them at a time. One job waits per
 * key, and one more while it is worked on (BullMQ's deduplication with keepLastIfActive); waits are jobs of their own,
 * one per key, so that they never stand in the way of a look. Jobs vanish when they are done, so the queue holds at most
 * three per object.
 */
export class BullQueue implements KeyQueue {
  readonly #queue: Queue<Hint, void, Name>;
  readonly #name: string;
  readonly #connections: BullConnections;
  readonly #atWork = new Set<Promise<void>>();
  readonly #onFailure: (error: unknown, lost?: string) => void;
  #worker: Worker<Hint, void, Name> | undefined;
  #waking: Promise<void> = Promise.resolve();

  /** `onFailure` hears of every trouble with Redis, and of the key that was not taken where there was one. */
  constructor(name: string, connections: BullConnections, onFailure: (error: unknown, lost?: string) => void) {
    this.#name = name;
    this.#connections = connections;
    this.#onFailure = onFailure;
    this.#queue = new Queue(name, { connection: connections.commands, streams: { events: { maxLen: MAX_EVENTS } } });
    this.#queue.on('error', (error) => onFailure(error));
  }

  add(key: string, cause: Cause = 'Change'): void {
    this.#look(key, cause).catch((error: unknown) => this.#onFailure(error, key));
  }

  addAfter(key: string, delayMs: number): void {
    if (delayMs <= 0) return this.add(key, 'Again');
    // One after another: each looks at what waits before it replaces it.
    this.#waking = this.#waking.then(() => this.#wake(key, Math.ceil(delayMs))).catch((error: unknown) => this.#onFailure(error, key));
  }

  start(work: (key: string, cause: Cause) => Promise<void>, concurrency: number): void {
    if (this.#worker) return;
    const worker = new Worker<Hint, void, Name>(
      this.#name,
      async ({ name, data }) => {
        if (name === 'Wake') await this.#look(data.key, 'Again');
        else await this.#do(work(data.key, data.cause));
      },
      {
        connection: this.#connections.patient,
        concurrency,
        lockDuration: LOCK_MS,
        stalledInterval: STALLED_CHECK_MS,
        maxStalledCount: MAX_STALLED,
        removeOnComplete: { count: 0 },
        removeOnFail: { count: 0 },
      },
    );
    worker.on('error', (error) => this.#onFailure(error));
    this.#worker = worker;
  }

  async stop(): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    if (!worker) return;
    // What cannot be told to Redis now, its lock's end tells: others take the key up again.
    const isAway = this.#connections.patient.status !== 'ready';
    const closing = worker.close(isAway).catch((error: unknown) => this.#onFailure(error));
    await Promise.all(this.#atWork);
    await Promise.race([closing, delay(CLOSE_MS, undefined, { ref: false })]);
  }

  /** Ends for good what `stop` only pauses. */
  async close(): Promise<void> {
    await this.stop();
    await this.#queue.close().catch((error: unknown) => this.#onFailure(error));
  }

  depth(): Promise<number> {
    return this.#queue.getWaitingCount();
  }

  async #do(work: Promise<void>): Promise<void> {
    const done = work.catch(() => undefined);
    this.#atWork.add(done);
    await done;
    this.#atWork.delete(done);
  }

  async #look(key: string, cause: Cause): Promise<void> {
    await this.#queue.add('Look', { key, cause }, { ...FORGET, deduplication: { id: key, keepLastIfActive: true } });
  }

  async #wake(key: string, delayMs: number): Promise<void> {
    const id = `later:${key}`;
    const waiting = await this.#find(id);
    if (waiting && waiting.timestamp + waiting.delay <= Date.now() + delayMs) return;
    await this.#queue.add('Wake', { key, cause: 'Again' }, { ...FORGET, delay: delayMs, deduplication: { id, replace: true } });
  }

  async #find(deduplicationId: string): Promise<Job<Hint, void, Name> | undefined> {
    const jobId = await this.#queue.getDeduplicationJobId(deduplicationId);
    return jobId === null ? undefined : await this.#queue.getJob(jobId);
  }
}
