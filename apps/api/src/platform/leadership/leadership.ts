import { pause, systemTimers, type Timers } from '@corral/reconcile';
import pg from 'pg';
import { z } from 'zod';

/** First half of the advisory locks' keys, so that they are nobody else's; the second is the name's hash. */
const LOCK_CLASS = 4_853_242;
const RETRY_MS = 1_000;
/** What is led passes its signal on to all it waits for. */
const SETTLE_TIMEOUT_MS = 15_000;
/** A server that does not answer is not waited for. */
const END_MS = 2_000;

export interface LeadershipOptions {
  readonly databaseUrl: string;
  readonly timers?: Timers;
  /** How often it says that it lives, and asks for what it does not lead. */
  readonly heartbeatMs?: number;
  /** PostgreSQL ends the session of a process that says nothing for this long, so that another may lead. */
  readonly sessionTimeoutMs?: number;
  /** Work that has not ended this long after its signal is not waited for. */
  readonly settleTimeoutMs?: number;
  onFailure?(error: unknown): void;
  onChange?(name: string, isLeading: boolean): void;
}

type Run = (signal: AbortSignal) => Promise<void>;

interface Office {
  readonly run: Run;
  readonly abort: AbortController | undefined;
  readonly ended: Promise<void>;
}

const Granted = z.array(z.object({ name: z.string(), granted: z.boolean() }));

/**
 * Work that one process of all does at a time. The leader holds an advisory lock in a session of its own, so its death
 * or the loss of its connection hands over at once, and no clock is compared with another's. One that is paused is cut off by
 * `idle_session_timeout`, and stops by its own monotonic clock before that: what it had under way may still write once,
 * which is why every write is a compare-and-set.
 * Source: PostgreSQL manual, 9.28.10 Advisory Lock Functions; 19.11.1 idle_session_timeout.
 */
export class Leadership {
  readonly #options: LeadershipOptions;
  readonly #timers: Timers;
  readonly #heartbeatMs: number;
  readonly #sessionTimeoutMs: number;
  readonly #offices = new Map<string, Office>();
  readonly #stopping = new AbortController();
  #client: pg.Client | undefined;
  /** When PostgreSQL last answered, on the monotonic clock. */
  #confirmedAt = -Infinity;
  #running: Promise<void> | undefined;

  constructor(options: LeadershipOptions) {
    this.#options = options;
    this.#timers = options.timers ?? systemTimers;
    this.#heartbeatMs = options.heartbeatMs ?? 1_000;
    this.#sessionTimeoutMs = options.sessionTimeoutMs ?? 8_000;
  }

  /**
   * Runs this whenever, and as long as, this process leads under `name`. The signal aborts when it no longer does; the work
   * must then end. Work that ends or fails by itself is begun again while it leads.
   */
  whileLeading(name: string, run: Run): void {
    this.#offices.set(name, { run, abort: undefined, ended: Promise.resolve() });
  }

  /** Whether this process may act under `name` now. */
  isLeading(name: string): boolean {
    return this.#isConfirmed() && this.#offices.get(name)?.abort?.signal.aborted === false;
  }

  start(): void {
    this.#running ??= this.#keep();
  }

  /** Ends what it leads, waits for it, and hands over. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#resign();
    await this.#running;
  }

  async #keep(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        await this.#hold(signal);
      } catch (error) {
        if (!signal.aborted) this.#options.onFailure?.(error);
      }
      this.#resign();
      await this.#settled();
      // Only now: whoever is next must not meet what was still ending.
      await Promise.race([this.#client?.end().catch(() => undefined), pause(this.#timers, END_MS, signal)]);
      this.#client = undefined;
      await pause(this.#timers, RETRY_MS, signal);
    }
  }

  /** One session, for as long as it lasts. */
  async #hold(signal: AbortSignal): Promise<void> {
    const client = new pg.Client({
      connectionString: this.#options.databaseUrl,
      application_name: 'corral-leadership',
      connectionTimeoutMillis: 5_000,
      query_timeout: this.#answerMs,
      keepAlive: true,
    });
    this.#client = client;
    const lost = (): void => {
      if (this.#client === client) this.#resign();
    };
    client.on('error', lost);
    client.on('end', lost);
    await client.connect();
    await client.query(`SELECT set_config('idle_session_timeout', $1, false)`, [String(this.#sessionTimeoutMs)]);
    this.#confirmedAt = this.#timers.now();
    while (!signal.aborted) {
      // A process that was paused learns it here, before the network tells.
      if (!this.#isConfirmed()) throw new Error(`nothing was heard of PostgreSQL for ${this.#answerMs} ms`);
      const wanted = [...this.#offices].filter(([, { abort }]) => !abort).map(([name]) => name);
      const { rows } = await client.query(`SELECT n AS name, pg_try_advisory_lock(${LOCK_CLASS}, hashtext(n)) AS granted FROM unnest($1::text[]) n`, [wanted]);
      this.#confirmedAt = this.#timers.now();
      for (const { name, granted } of Granted.parse(rows)) if (granted) this.#take(name, signal);
      await pause(this.#timers, this.#heartbeatMs, signal);
    }
  }

  #take(name: string, stopping: AbortSignal): void {
    const office = this.#offices.get(name);
    if (!office || stopping.aborted) return;
    const abort = new AbortController();
    this.#offices.set(name, { ...office, abort, ended: this.#lead(name, office.run, abort.signal) });
  }

  async #lead(name: string, run: Run, signal: AbortSignal): Promise<void> {
    this.#options.onChange?.(name, true);
    while (!signal.aborted) {
      try {
        await run(signal);
      } catch (error) {
        if (!isAborted(signal)) this.#options.onFailure?.(error);
      }
      await pause(this.#timers, RETRY_MS, signal);
    }
    this.#options.onChange?.(name, false);
  }

  #resign(): void {
    for (const { abort } of this.#offices.values()) abort?.abort();
  }

  /**
   * What was led has ended, and may be led anew. Work that ignores its signal keeps nothing else from being led: it is
   * left to other processes, and to this one once it has ended after all, so that it never runs twice here.
   */
  async #settled(): Promise<void> {
    const ending = new Map([...this.#offices].filter(([, { abort }]) => abort));
    const ends = [...ending].map(async ([name, office]) => {
      await office.ended;
      ending.delete(name);
      if (this.#offices.get(name) === office) this.#offices.set(name, { ...office, abort: undefined });
    });
    const timeoutMs = this.#options.settleTimeoutMs ?? SETTLE_TIMEOUT_MS;
    const waiting = new AbortController();
    await Promise.race([Promise.all(ends), pause(this.#timers, timeoutMs, waiting.signal)]);
    waiting.abort();
    if (ending.size === 0) return;
    this.#options.onFailure?.(new Error(`${[...ending.keys()].join(', ')} did not end within ${timeoutMs} ms; not led here again before that`));
  }

  /** No answer for this long counts as a lost session: well before PostgreSQL gives it to another. */
  get #answerMs(): number {
    return this.#sessionTimeoutMs / 2;
  }

  #isConfirmed(): boolean {
    return this.#timers.now() - this.#confirmedAt < this.#answerMs;
  }
}

/** A call, so that the compiler does not remember the answer across an await. */
const isAborted = (signal: AbortSignal): boolean => signal.aborted;
