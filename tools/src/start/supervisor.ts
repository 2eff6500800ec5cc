import { setTimeout as sleep } from 'node:timers/promises';
import type { Terminal } from '../terminal/terminal.ts';
import type { Running } from './child.ts';

const FIRST_BACKOFF_MS = 500;
const MAX_BACKOFF_MS = 30_000;
/** Whoever ran this long did not fail at starting. */
const STEADY_AFTER_MS = 60_000;

interface Member {
  readonly name: string;
  running: Running;
}

/** Keeps what was started running, and stops it in the opposite order. */
export class Supervisor {
  readonly #terminal: Terminal;
  readonly #stopping = new AbortController();
  readonly #members: Member[] = [];

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** Aborted when the end has begun. */
  get stopping(): AbortSignal {
    return this.#stopping.signal;
  }

  /** Starts something for the first time, which may fail; from then on it is started again, with a back-off, when it ends by itself. */
  async start<T extends Running>(name: string, start: () => Promise<T>): Promise<T> {
    const running = await start();
    const member: Member = { name, running };
    // Stopping may have begun while it started.
    if (this.stopping.aborted) {
      await running.stop();
      throw this.stopping.reason;
    }
    this.#members.push(member);
    void this.#keep(member, start);
    return running;
  }

  async #keep(member: Member, start: () => Promise<Running>): Promise<void> {
    let backoffMs = FIRST_BACKOFF_MS;
    for (;;) {
      const startedAt = performance.now();
      const how = await member.running.ended;
      if (this.stopping.aborted) return;
      if (performance.now() - startedAt > STEADY_AFTER_MS) backoffMs = FIRST_BACKOFF_MS;
      this.#terminal.warn(`${member.name} ended (${how}); it is started again`);
      while (!(await this.#restart(member, start, backoffMs))) {
        if (this.stopping.aborted) return;
        backoffMs = Math.min(backoffMs * 2, MAX_BACKOFF_MS);
      }
      backoffMs = Math.min(backoffMs * 2, MAX_BACKOFF_MS);
    }
  }

  async #restart(member: Member, start: () => Promise<Running>, backoffMs: number): Promise<boolean> {
    await sleep(backoffMs, undefined, { signal: this.stopping }).catch(() => undefined);
    if (this.stopping.aborted) return false;
    try {
      const running = await start();
      member.running = running;
      if (this.stopping.aborted) await running.stop();
      return true;
    } catch (error) {
      this.#terminal.warn(`${member.name} did not start: ${error instanceof Error ? error.message : String(error)}`);
      return false;
    }
  }

  /** Stops everything, last started first; a failure to stop one does not keep the others. */
  async stopAll(say: 'EachStep' | 'Nothing'): Promise<void> {
    this.#stopping.abort(new Error('Corral is stopping'));
    for (const { name, running } of this.#members.toReversed()) {
      if (say === 'EachStep') this.#terminal.doing(name, 'stopping');
      await running.stop();
      if (say === 'EachStep') this.#terminal.done(name, 'stopped');
    }
  }

  killAll(): void {
    this.#stopping.abort(new Error('Corral is stopping'));
    for (const { running } of this.#members) running.kill();
  }
}
