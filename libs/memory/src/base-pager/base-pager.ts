import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { MappingFailed } from '../host/mapping-failed.ts';
import { UserFaultMode, type UserFault } from '../host/userfault.ts';
import { PAGE_BYTES } from '../machine-pages.ts';
import { BASE_PAGER_COUNTERS, counterAt, type BasePagerCounter, type BasePagerData, type PageRange } from './base-pager.protocol.ts';

export interface BasePagerOptions {
  /** The one the machine's RAM is tracked with. */
  readonly userFault: UserFault;
  readonly ranges: readonly PageRange[];
  /** Where the node agent answers for the base. */
  readonly socketPath: string;
  /** Every page is there: the pager can be stopped once nothing is registered for Missing any more. */
  readonly onWhole: () => void;
}

const THREAD_LIMITS = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 16, stackSizeMb: 1 };

/**
 * Lets a machine run on a base that is still being filled: a page that is not there yet is asked of the node agent, and the machine
 * stands still until it came, verified. What the base never has is zero. Where the base cannot be had, the process ends: a machine never runs on wrong bytes.
 *
 * The same rules as for any memory that is registered for Missing: only the machine's thread touches it, and no system call does (EFAULT).
 */
export class BasePager {
  readonly #worker: Worker;
  readonly #control: Int32Array;
  readonly #exited: Promise<void>;
  #isStopped = false;

  private constructor({ userFault, ranges, socketPath, onWhole }: BasePagerOptions) {
    const control = new SharedArrayBuffer(BASE_PAGER_COUNTERS.length * 4);
    this.#control = new Int32Array(control);
    const data: BasePagerData = { userFaultFd: userFault.fd, ranges, socketPath, control };
    this.#worker = new Worker(new URL(`./base-pager.worker${extname(import.meta.filename)}`, import.meta.url), { workerData: data, resourceLimits: THREAD_LIMITS });
    this.#worker.unref();
    this.#worker.on('error', () => process.kill(process.pid, 'SIGKILL'));
    this.#worker.on('message', (message) => {
      if (message === 'whole') onWhole();
    });
    this.#exited = new Promise((resolve) => this.#worker.once('exit', () => resolve()));
    process.once('exit', this.#quit);
  }

  /**
   * Starts the thread and has it answer for pages that are not there. The base has to be mapped, and nobody may have looked at it yet. Throws
   * MappingFailed where the host cannot do that; then nothing is registered.
   */
  static async start(options: BasePagerOptions): Promise<BasePager> {
    const pager = new BasePager(options);
    try {
      await pager.#ready();
      for (const { address, pages } of options.ranges) options.userFault.register(address, pages * PAGE_BYTES, UserFaultMode.Missing | UserFaultMode.WriteProtect);
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

  /** Ends the thread. Only when nothing is registered for Missing any more, or nobody will touch it again. */
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

  async #ready(): Promise<void> {
    const failed = this.#exited.then(() => Promise.reject(new MappingFailed('the node agent does not answer for the base')));
    await Promise.race([new Promise<void>((resolve) => this.#worker.once('message', () => resolve())), failed]);
  }
}
