import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { MappingFailed } from '../host/mapping-failed.ts';
import type { GuestRam } from '../guest-ram.ts';
import { PageSet } from '../page-set.ts';
import { BASE_PAGER_COUNTERS, counterAt, SILENCE_DEADLINE_MS, type BasePagerCounter, type BasePagerData, type BasePagerMessage } from './base-pager.protocol.ts';

export interface BasePagerOptions {
  /** Its base is mapped, its writes are tracked, and nobody has looked at it yet. */
  readonly ram: GuestRam;
  /** Where the node agent answers for the base. */
  readonly socketPath: string;
  /** Written to once a second while the pager lives: its death is seen only from outside. */
  readonly heartbeatFd?: number;
  /** How long the agent may say nothing while somebody waits for a page. */
  readonly silenceDeadlineMs?: number;
}

const THREAD_LIMITS = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 16, stackSizeMb: 1 };

/**
 * Lets a machine run on a base that is still being filled: a page that is not there yet is asked of the node agent, and the machine
 * stands still until it came, verified. What the base never has is zero. Where the base cannot be had, the process ends with BASE_LOST_EXIT_CODE: a
 * machine never runs on wrong bytes, and never waits for ever.
 *
 * The same rules as for any memory that is registered for Missing: no system call touches it (EFAULT).
 */
export class BasePager {
  /** Resolves when every page is there: then `GuestRam.endPaging` is due, and `stop`. */
  readonly whole: Promise<undefined>;
  readonly #worker: Worker;
  readonly #control: Int32Array;
  readonly #exited: Promise<void>;
  readonly #held = Promise.withResolvers<Uint32Array>();
  #isStopped = false;

  private constructor({ ram, socketPath, heartbeatFd, silenceDeadlineMs = SILENCE_DEADLINE_MS }: BasePagerOptions, userFaultFd: number) {
    const control = new SharedArrayBuffer(BASE_PAGER_COUNTERS.length * 4);
    this.#control = new Int32Array(control);
    const data: BasePagerData = { userFaultFd, ranges: ram.ranges, socketPath, control, heartbeatFd, silenceDeadlineMs };
    // Its descriptors are not opened by Node, and closed all the same.
    const options = { workerData: data, resourceLimits: THREAD_LIMITS, trackUnmanagedFds: false };
    this.#worker = new Worker(new URL(`./base-pager.worker${extname(import.meta.filename)}`, import.meta.url), options);
    this.#worker.unref();
    this.#worker.on('error', () => process.kill(process.pid, 'SIGKILL'));
    const whole = Promise.withResolvers<undefined>();
    this.whole = whole.promise;
    this.#worker.on('message', (message: BasePagerMessage) => {
      if (message.type === 'Ready') this.#held.resolve(message.held);
      else whole.resolve(undefined);
    });
    this.#exited = new Promise((resolve) => this.#worker.once('exit', () => resolve()));
    process.once('exit', this.#quit);
  }

  /**
   * Starts the thread and has it answer for pages that are not there. Throws MappingFailed where the host cannot do that, or nobody answers for the base; then
   * nothing is registered.
   */
  static async start(options: BasePagerOptions): Promise<BasePager> {
    const { ram } = options;
    if (!ram.userFault) throw new MappingFailed(ram.capability.reason);
    const pager = new BasePager(options, ram.userFault.fd);
    try {
      ram.beginPaging(PageSet.ofWords(ram.pages, await pager.#ready()));
      return pager;
    } catch (error) {
      await pager.stop();
      throw error;
    }
  }

  /** Since it was started. */
  count(name: Exclude<BasePagerCounter, 'quit'>): number {
    return Atomics.load(this.#control, counterAt(name));
  }

  /** Ends the thread. Only after `GuestRam.endPaging`, or when nobody will touch the machine's RAM again. */
  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    process.off('exit', this.#quit);
    this.#quit();
    await this.#exited;
  }

  /** Node waits for its threads when it ends. */
  readonly #quit = (): void => {
    Atomics.store(this.#control, counterAt('quit'), 1);
  };

  async #ready(): Promise<Uint32Array> {
    const failed = this.#exited.then(() => Promise.reject(new MappingFailed('the node agent does not answer for the base')));
    return Promise.race([this.#held.promise, failed]);
  }
}
