import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type MachineConfig } from '@corral/contracts';
import { type MemoryMode } from '@corral/memory';
import { type Logger } from 'pino';
import { VmProcessHandle } from './vm-process.handle.ts';

export interface ProcessPoolOptions {
  readonly entryPath: string;
  readonly firmware: MachineConfig['firmware'];
  /** Where the processes' working directories are made. */
  readonly directory: string;
  /** How many wait, started ahead of time. */
  readonly size: number;
  /** The best memory mode they may use; by default the best the host has. */
  readonly memoryMode?: MemoryMode;
  readonly log: Logger;
}

const START_DEADLINE_MS = 30_000;
/** The next process warms itself up, which must not slow the first commands of the machine that took the last one. */
const REFILL_AFTER_TAKE_MS = 300;
/** A program that cannot start must not be started in a tight loop. */
const REFILL_AFTER_FAILURE_MS = 2_000;

/** VM processes started ahead of time, so that a machine does not wait for Node and the emulator's code to load and to be compiled. */
export class ProcessPool {
  readonly #options: ProcessPoolOptions;
  readonly #waiting: Promise<VmProcessHandle>[] = [];
  readonly #all = new Set<VmProcessHandle>();
  #count = 0;
  #closed = false;

  constructor(options: ProcessPoolOptions) {
    this.#options = options;
  }

  /** Removes what earlier processes left and starts the first ones. */
  async open(): Promise<void> {
    await rm(this.#options.directory, { recursive: true, force: true });
    await mkdir(this.#options.directory, { recursive: true, mode: 0o700 });
    this.#refill();
  }

  /** A process that waits for its Start, from the pool when one is there. The pool refills behind it. */
  async take(): Promise<VmProcessHandle> {
    for (let waiting = this.#waiting.shift(); waiting; waiting = this.#waiting.shift()) {
      const process = await waiting.catch(() => undefined);
      if (process && !process.hasExited) {
        this.#refillLater();
        return process;
      }
    }
    this.#refillLater();
    return this.#start();
  }

  /** Ends every process, waiting or taken. */
  async close(): Promise<void> {
    this.#closed = true;
    const all = [...this.#all];
    for (const process of all) process.kill();
    await Promise.all(all.map((process) => process.exited()));
  }

  #refillLater(): void {
    setTimeout(() => this.#refill(), REFILL_AFTER_TAKE_MS).unref();
  }

  #refill(): void {
    while (!this.#closed && this.#waiting.length < this.#options.size) {
      const starting = this.#start();
      this.#waiting.push(starting);
      void this.#watch(starting);
    }
  }

  /** A process that ends while it waits makes room for another. */
  async #watch(starting: Promise<VmProcessHandle>): Promise<void> {
    try {
      await (await starting).exited();
    } catch (error) {
      this.#options.log.error({ err: error }, 'A VM process could not be started ahead of time');
    }
    this.#drop(starting);
  }

  #drop(starting: Promise<VmProcessHandle>): void {
    const index = this.#waiting.indexOf(starting);
    if (index < 0) return;
    void this.#waiting.splice(index, 1);
    setTimeout(() => this.#refill(), REFILL_AFTER_FAILURE_MS).unref();
  }

  async #start(): Promise<VmProcessHandle> {
    if (this.#closed) throw new Error('The process pool is closed');
    const directory = join(this.#options.directory, String(++this.#count));
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const { entryPath, firmware, memoryMode } = this.#options;
    const process = new VmProcessHandle({ entryPath, directory, firmware, ...(memoryMode ? { memoryMode } : {}) });
    this.#all.add(process);
    void process.exited().then(async () => {
      this.#all.delete(process);
      await rm(directory, { recursive: true, force: true }).catch(() => undefined);
    });
    const timer = setTimeout(() => process.kill(), START_DEADLINE_MS);
    try {
      await process.waiting();
      return process;
    } catch (error) {
      this.#options.log.error({ output: process.log.tail }, 'A VM process ended before it was ready');
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }
}
