import type { Cause, KeyQueue } from '@corral/reconcile';
import { Queue, Worker, type Job } from 'bullmq';
import type { Redis } from 'ioredis';

/** A process that died holding a key holds it this long; the lock is renewed while work goes on. */
const LOCK_MS = 10_000;
const STALLED_CHECK_MS = 5_000;
/** Work is level-triggered and reports its own failures: a key is never given up. */
const MAX_STALLED = 1_000_000;
const MAX_EVENTS = 100;

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
  readonly #connection: Redis;
  readonly #onFailure: (error: unknown, lost?: string) => void;
  #worker: Worker<Hint, void, Name> | undefined;
  #waking: Promise<void> = Promise.resolve();

  /** `onFailure` hears of every trouble with Redis, and of the key that was not taken where there was one. */
  constructor(name: string, connection: Redis, onFailure: (error: unknown, lost?: string) => void) {
    this.#name = name;
    this.#connection = connection;
    this.#onFailure = onFailure;
    this.#queue = new Queue(name, { connection, streams: { events: { maxLen: MAX_EVENTS } } });
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
        else await work(data.key, data.cause).catch(() => undefined);
      },
      {
        connection: this.#connection,
        concurrency,
        lockDuration: LOCK_MS,
        stalledInterval: STALLED_CHECK_MS,
        maxStalledCount: MAX_STALLED,
        ...{ removeOnComplete: { count: 0 }, removeOnFail: { count: 0 } },
      },
    );
    worker.on('error', (error) => this.#onFailure(error));
    this.#worker = worker;
  }

  async stop(): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.close().catch(this.#onFailure);
  }

  /** Ends for good what `stop` only pauses. */
  async close(): Promise<void> {
    await this.stop();
    await this.#queue.close().catch(this.#onFailure);
  }

  depth(): Promise<number> {
    return this.#queue.getWaitingCount();
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
