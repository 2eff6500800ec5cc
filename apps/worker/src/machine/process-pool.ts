import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { DEFAULT_VM_CLASS, type MachineConfig, VM_CLASSES, type VmClass } from '@corral/contracts';
import { type MemoryMode } from '@corral/memory';
import { type Logger } from 'pino';
import { ProcessShelf } from './process-shelf.ts';
import { type Rehearsal } from './rehearsal.ts';
import { Slots } from './slots.ts';
import { VmProcessHandle } from './vm-process.handle.ts';

export interface ProcessPoolOptions {
  readonly entryPath: string;
  readonly firmware: MachineConfig['firmware'];
  /** Where the processes' working directories are made. */
  readonly directory: string;
  /** How many of the default class wait at least, started ahead of time. */
  readonly size: number;
  /** How many of a class wait at most, after a burst of starts. */
  readonly maximum?: number;
  /** How many are started at once for machines that found none waiting: more would only slow each other down. */
  readonly concurrency?: number;
  /** The best memory mode they may use; by default the best the host has. */
  readonly memoryMode?: MemoryMode;
  readonly log: Logger;
}

const START_DEADLINE_MS = 30_000;
const REHEARSAL_DEADLINE_MS = 15_000;
/** A process that is made ready takes CPU time, which must not slow the first commands of the machines that took the last ones. */
const QUIET_BEFORE_REFILL_MS = 300;
/** Where machines are started without end, it is made ready all the same. */
const LONGEST_WAIT_FOR_QUIET_MS = 5_000;
const LOOK_FOR_QUIET_EVERY_MS = 100;
/** Before the first machine nobody is in a hurry: others on this host are still coming up. */
const PAUSE_BEFORE_FIRST_TAKE_MS = 1_000;
/** So many are made ready without a pause all the same. */
const AT_ONCE = 2;
/** A program that cannot start must not be started in a tight loop. */
const REFILL_AFTER_FAILURE_MS = 2_000;
/** A burst is forgotten by and by. */
const CLEAR_EVERY_MS = 60_000;
const REHEARSAL_SOCKET = 'rehearsal.sock';

/**
 * VM processes started ahead of time, so that a machine does not wait for Node and the emulator's code to load and to be
 * compiled. Each class has its own, because V8's flags are for a whole process. They are made ready one after the other; a
 * machine that finds none gets one that was started for it.
 */
export class ProcessPool {
  readonly #options: ProcessPoolOptions;
  readonly #shelves: ReadonlyMap<VmClass, ProcessShelf>;
  readonly #all = new Set<VmProcessHandle>();
  readonly #starts: Slots;
  #count = 0;
  #lastTakeMs = -Infinity;
  #refilling = false;
  #closed = false;
  #clearing: NodeJS.Timeout | undefined;

  constructor(options: ProcessPoolOptions) {
    this.#options = options;
    this.#starts = new Slots(options.concurrency ?? 2);
    this.#shelves = new Map(
      VM_CLASSES.map((vmClass) => {
        const minimum = vmClass === DEFAULT_VM_CLASS ? options.size : 0;
        return [vmClass, new ProcessShelf({ minimum, maximum: options.maximum ?? options.size })];
      }),
    );
  }

  /** Removes what earlier processes left and starts the first ones. */
  async open(): Promise<void> {
    await rm(this.#options.directory, { recursive: true, force: true });
    await mkdir(this.#options.directory, { recursive: true, mode: 0o700 });
    this.#clearing = setInterval(() => this.#clear(), CLEAR_EVERY_MS).unref();
    this.#refill();
  }

  /** How many wait, ready to be taken. */
  get waiting(): number {
    return [...this.#shelves.values()].reduce((sum, shelf) => sum + shelf.waiting, 0);
  }

  /** A process that waits for its Start: one that rehearsed this very start, any other, or a new one. The pool refills behind it. */
  async take(vmClass: VmClass, rehearsal?: Rehearsal): Promise<VmProcessHandle> {
    this.#lastTakeMs = performance.now();
    const waiting = this.#shelves.get(vmClass)?.take(rehearsal, this.#lastTakeMs);
    this.#refill();
    return waiting ?? this.#starts.run(() => this.#start(vmClass, { warm: false }));
  }

  /** Processes that wait rehearse this start until machines of other kinds come. */
  expect(vmClass: VmClass, rehearsal: Rehearsal): void {
    this.#shelves.get(vmClass)?.expect(rehearsal);
    this.#refill();
  }

  /** Ends every process, waiting or taken. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#clearing);
    const all = [...this.#all];
    for (const process of all) process.kill();
    await Promise.all(all.map((process) => process.exited()));
  }

  #refill(): void {
    if (this.#refilling || this.#closed) return;
    this.#refilling = true;
    void this.#refillAll().finally(() => (this.#refilling = false));
  }

  async #refillAll(): Promise<void> {
    for (;;) {
      if (this.waiting >= AT_ONCE && this.#lastTakeMs === -Infinity) await delay(PAUSE_BEFORE_FIRST_TAKE_MS, undefined, { ref: false });
      await this.#untilQuiet();
      const next = this.#next();
      if (!next || this.#closed) return;
      await this.#makeReady(next.vmClass, next.shelf, next.rehearsal).catch(async (error: unknown) => {
        if (this.#closed) return;
        this.#options.log.error({ err: error }, 'A VM process could not be started ahead of time');
        await delay(REFILL_AFTER_FAILURE_MS, undefined, { ref: false });
      });
    }
  }

  #next(): { readonly vmClass: VmClass; readonly shelf: ProcessShelf; readonly rehearsal: Rehearsal | undefined } | undefined {
    for (const [vmClass, shelf] of this.#shelves) {
      const missing = shelf.missing(performance.now());
      if (missing) return { vmClass, shelf, rehearsal: missing.rehearsal };
    }
    return undefined;
  }

  async #makeReady(vmClass: VmClass, shelf: ProcessShelf, rehearsal: Rehearsal | undefined): Promise<void> {
    const process = await this.#start(vmClass, { warm: rehearsal === undefined });
    const rehearsed = rehearsal && (await this.#rehearse(process, rehearsal));
    if (rehearsal && !rehearsed) {
      // What a rehearsal that failed left behind nobody knows.
      process.kill();
      return shelf.forget(rehearsal);
    }
    // One that ends while it waits makes room for another.
    void process.exited().then(() => {
      if (shelf.drop(process)) setTimeout(() => this.#refill(), REFILL_AFTER_FAILURE_MS).unref();
    });
    for (const surplus of shelf.put(process, rehearsal, performance.now())) surplus.kill();
  }

  #clear(): void {
    for (const shelf of this.#shelves.values()) for (const surplus of shelf.clear(performance.now())) surplus.kill();
  }

  /** Whether the process went through it and can be used. */
  async #rehearse(process: VmProcessHandle, { start }: Rehearsal): Promise<boolean> {
    if (!start) return false;
    const directory = join(process.directory, 'rehearsal');
    try {
      await mkdir(directory, { mode: 0o700 });
      // Relative to the process's own directory: whole paths may be too long for a socket.
      const config = { ...start.config, directory, socketPath: REHEARSAL_SOCKET };
      await process.request({ type: 'Rehearse', config, from: start.from }, REHEARSAL_DEADLINE_MS);
      await rm(directory, { recursive: true, force: true });
      return true;
    } catch (error) {
      if (!this.#closed) this.#options.log.warn({ err: error, output: process.log.tail }, 'A start could not be rehearsed; processes wait without');
      return false;
    }
  }

  /** Until the last machine has had a moment, and none waits for a process that is being started for it. */
  async #untilQuiet(): Promise<void> {
    const untilMs = performance.now() + LONGEST_WAIT_FOR_QUIET_MS;
    const isBusy = (nowMs: number): boolean => nowMs - this.#lastTakeMs < QUIET_BEFORE_REFILL_MS || this.#starts.taken > 0;
    for (let nowMs = performance.now(); !this.#closed && nowMs < untilMs && isBusy(nowMs); nowMs = performance.now()) {
      await delay(LOOK_FOR_QUIET_EVERY_MS, undefined, { ref: false });
    }
  }

  async #start(vmClass: VmClass, { warm }: { readonly warm: boolean }): Promise<VmProcessHandle> {
    if (this.#closed) throw new Error('The process pool is closed');
    const directory = join(this.#options.directory, String(++this.#count));
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const { entryPath, firmware, memoryMode } = this.#options;
    const options = { ...(memoryMode ? { memoryMode } : {}), ...(warm ? { firmware } : {}) };
    const process = new VmProcessHandle({ entryPath, directory, vmClass, ...options });
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
