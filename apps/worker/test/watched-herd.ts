import { virtualMachines, type VirtualMachine } from '@corral/contracts';
import type { Corral } from './corral.ts';
import { startHerd, type Herd, type HerdOptions, type HerdWorker } from './herd.ts';
import { livingProcesses, Witness } from './witness.ts';

/** A herd for all tests of a file. After each of them, whatever it did to workers, what is promised of lives, snapshots and watches holds. */
export class WatchedHerd {
  #herd: Herd | undefined;
  #witness: Witness | undefined;

  /** Starts it before the tests of the file or the group that calls this, and stops it after them. */
  static around(names: readonly string[], options: HerdOptions = {}): WatchedHerd {
    const watched = new WatchedHerd();
    beforeAll(async () => {
      watched.#herd = await startHerd(names, options);
      watched.#witness = await Witness.start(watched.corral);
    });
    afterEach(() => watched.#holds());
    afterAll(async () => {
      await watched.#witness?.stop();
      await watched.#herd?.stop();
    });
    return watched;
  }

  get corral(): Corral {
    return this.#started.corral;
  }

  get workers(): readonly HerdWorker[] {
    return this.#started.workers;
  }

  /** The worker a machine runs on. */
  workerOf({ metadata, status }: VirtualMachine): HerdWorker {
    const worker = this.workers.find(({ name }) => name === status?.nodeName);
    if (!worker) throw new Error(`${metadata.name} runs on no worker of ours: ${status?.nodeName}`);
    return worker;
  }

  get #started(): Herd {
    if (!this.#herd) throw new Error('the herd is not up yet');
    return this.#herd;
  }

  async #holds(): Promise<void> {
    // Where it never came up, that is what failed.
    if (!this.#witness) return;
    expect(await this.#witness.problems()).toEqual([]);
    const { items } = await this.corral.client.list(virtualMachines, { namespace: 'default' });
    for (const vm of items) expect(livingProcesses(this.workers, vm).length).toBeLessThanOrEqual(1);
  }
}
