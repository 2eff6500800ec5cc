import { findCondition, virtualMachines, virtualMachineSnapshots, type VirtualMachine } from '@corral/contracts';
import { until } from '@corral/testing';
import { IMAGE, type Corral } from './corral.ts';
import { damageDurable } from './durable-damage.ts';
import { MemoryPattern, type MemoryContent } from './memory-pattern.ts';
import { type SwapServer } from './swap-server.ts';

export interface MemorySoakOptions {
  readonly corral: Corral;
  /** Where the worker’s machines swap to. */
  readonly swap: SwapServer;
  readonly seconds: number;
  /** The same choices for the same seed. */
  readonly seed: number;
  readonly files: number;
  readonly onStep: (step: SoakStep) => void;
}

export interface SoakStep {
  readonly number: number;
  readonly name: string;
  readonly tookMs: number;
  readonly elapsedMs: number;
}

export interface SoakResult {
  readonly steps: Readonly<Record<string, number>>;
  readonly comparisons: number;
  /** Files that were not what they were written as, with the step after which. Empty, or the memory engine is wrong. */
  readonly wrong: readonly string[];
  readonly swapIns: number;
  readonly swapOuts: number;
}

const NAME = 'soaked';
const FORK = 'soaked-fork';
const BUDGETS_MIB = [16, 20, 24, 32];
const SNAPSHOTS_KEPT = 3;
const DEADLINE_MS = 120_000;

/** A guest whose memory is known, under a tight budget, to whom everything happens that can happen to memory, in random order. */
export class MemorySoak {
  readonly #options: MemorySoakOptions;
  readonly #corral: Corral;
  readonly #swap: SwapServer;
  readonly #pattern: MemoryPattern;
  readonly #snapshots: { readonly name: string; readonly content: MemoryContent }[] = [];
  readonly #counts: Record<string, number> = {};
  readonly #wrong: string[] = [];
  #content: MemoryContent = new Map();
  #taken = 0;
  #comparisons = 0;
  #seed: number;
  #last = '';
  #swapIns = 0;
  #swapOuts = 0;

  constructor(options: MemorySoakOptions) {
    this.#options = options;
    this.#corral = options.corral;
    this.#seed = options.seed;
    this.#swap = options.swap;
    this.#pattern = new MemoryPattern((command) => this.#corral.execAnywhere(NAME, command));
  }

  /** Until the time is over; the step under way is finished. Ends early at the first wrong byte. */
  async run(): Promise<SoakResult> {
    const startedMs = performance.now();
    const elapsedMs = (): number => performance.now() - startedMs;
    const step = async (name: string, work: () => Promise<void>): Promise<void> => {
      const before = performance.now();
      this.#last = name;
      await work();
      this.#counts[name] = (this.#counts[name] ?? 0) + 1;
      const number = Object.values(this.#counts).reduce((sum, count) => sum + count, 0);
      this.#options.onStep({ number, name, tookMs: performance.now() - before, elapsedMs: elapsedMs() });
    };
    await step('start', () => this.#start());
    while (elapsedMs() < this.#options.seconds * 1_000 && this.#wrong.length === 0) {
      const [name, work] = this.#choose();
      await step(name, work);
      await step('compare', () => this.#compare(NAME, this.#content));
    }
    await this.#note();
    return { steps: this.#counts, comparisons: this.#comparisons, wrong: this.#wrong, swapIns: this.#swapIns, swapOuts: this.#swapOuts };
  }

  #choose(): readonly [string, () => Promise<void>] {
    const steps: readonly (readonly [number, string, () => Promise<void>])[] = [
      [5, 'write', () => this.#write()],
      [3, 'snapshot', () => this.#snapshot()],
      [3, 'budget', () => this.#budget()],
      [1, 'Redis forgets', () => this.#swap.forget()],
      [1, 'Redis is gone', () => this.#swap.gone(() => this.#use())],
      [1, 'Redis hangs', () => this.#swap.hanging(() => this.#use())],
      [1, 'a page is lost', () => this.#lose()],
      [2, 'live fork', () => this.#forkLive()],
      [1, 'pause', () => this.#pause()],
      ...(this.#snapshots.length === 0 ? [] : ([[1, 'fork of a snapshot', () => this.#fork()], [1, 'roll back', () => this.#rollBack()]] as const)),
      [2, 'hibernate', () => this.#hibernate()],
    ];
    let at = this.#random(steps.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, name, work] of steps) if ((at -= weight) < 0) return [name, work];
    throw new Error('there is always a step');
  }

  async #start(): Promise<void> {
    await this.#corral.run(NAME, { source: { image: IMAGE }, residentMemory: `${BUDGETS_MIB[0]}Mi` });
    this.#content = await this.#pattern.write(await this.#pattern.begin(), Array.from({ length: this.#options.files }, (_, file) => file));
  }

  async #write(): Promise<void> {
    const files = Array.from({ length: 1 + this.#random(8) }, () => this.#random(this.#options.files));
    this.#content = await this.#pattern.write(this.#content, [...new Set(files)]);
  }

  async #snapshot(): Promise<void> {
    this.#taken += 1;
    const name = `${NAME}-${this.#taken}`;
    await this.#corral.takeSnapshot(name, NAME);
    await this.#corral.snapshotWhen(name, 'Ready', ({ status }) => findCondition(status?.conditions, 'Ready')?.status === 'True', DEADLINE_MS);
    this.#snapshots.push({ name, content: this.#content });
    if (this.#snapshots.length <= SNAPSHOTS_KEPT) return;
    const [gone] = this.#snapshots.splice(this.#random(SNAPSHOTS_KEPT), 1);
    if (gone) await this.#corral.client.delete(virtualMachineSnapshots, 'default', gone.name);
  }

  async #budget(): Promise<void> {
    await this.#corral.want(NAME, { residentMemory: `${BUDGETS_MIB[this.#random(BUDGETS_MIB.length)]}Mi` });
  }

  async #pause(): Promise<void> {
    await this.#corral.want(NAME, { powerState: 'Paused' });
    await this.#corral.when(NAME, 'Paused', ({ status }) => status?.phase === 'Paused', DEADLINE_MS);
    await this.#corral.want(NAME, { powerState: 'Running' });
    await this.#corral.ready(NAME);
  }

  /** With a swap server that is not as it should be: slower, and otherwise as ever. */
  async #use(): Promise<void> {
    await this.#write();
    await this.#compare(NAME, this.#content);
  }

  /**
   * Neither the swap server nor the node’s disk has pages as they were: the guest must not go on with others, and is again what its last snapshot
   * is.
   */
  async #lose(): Promise<void> {
    await this.#snapshot();
    const kept = this.#content;
    await this.#corral.want(NAME, { residentMemory: `${BUDGETS_MIB[0]}Mi` });
    await this.#write();
    await this.#note();
    const vm = await this.#corral.get(NAME);
    const { incarnation = 0 } = vm.status ?? {};
    const pid = this.#corral.vmProcessOf(vm);
    // Pages that leave later are written anew, as they should be: so again and again, until one is missed.
    await until(
      async () => {
        await this.#swap.forget();
        damageDurable(pid);
        await this.#corral.execAnywhere(NAME, 'cat /tmp/pattern/* > /dev/null').catch(() => undefined);
        const { status } = await this.#corral.get(NAME);
        return status?.lastTermination?.reason === 'SwapLost' && status.lastTermination.incarnation >= incarnation;
      },
      { timeoutMs: DEADLINE_MS, what: 'the loss is noticed' },
    );
    await this.#readyAfter(incarnation);
    this.#content = kept;
  }

  /** A fork of the running machine has what it had at that moment, and what either does next is its own. */
  async #forkLive(): Promise<void> {
    const content = this.#content;
    const forked = (await this.#post('fork', { names: [FORK], spec: { residentMemory: '16Mi' } })) as { readonly created: number };
    if (forked.created !== 1) throw new Error(`no fork: ${JSON.stringify(forked)}`);
    await this.#corral.ready(FORK);
    await this.#write();
    await this.#compare(FORK, content);
    await this.#end(FORK);
  }

  /** Another machine from a snapshot has what was there then, under a budget of its own. */
  async #fork(): Promise<void> {
    const { name, content } = this.#someSnapshot();
    await this.#corral.run(FORK, { source: { snapshot: name }, residentMemory: '16Mi' });
    await this.#compare(FORK, content);
    await this.#end(FORK);
  }

  async #end(machine: string): Promise<void> {
    await this.#corral.client.delete(virtualMachines, 'default', machine);
    await until(async () => (await this.#corral.client.get(virtualMachines, 'default', machine)) === undefined, { timeoutMs: DEADLINE_MS, what: `${machine} is gone` });
  }

  async #rollBack(): Promise<void> {
    await this.#note();
    const { name, content } = this.#someSnapshot();
    const { incarnation = 0 } = (await this.#corral.get(NAME)).status ?? {};
    await this.#corral.want(NAME, { source: { snapshot: name } });
    await this.#readyAfter(incarnation);
    this.#content = content;
  }

  async #hibernate(): Promise<void> {
    await this.#note();
    const { incarnation = 0 } = (await this.#corral.get(NAME)).status ?? {};
    await this.#post('hibernate');
    await this.#corral.when(NAME, 'Hibernated', ({ status }) => status?.phase === 'Hibernated', DEADLINE_MS);
    await this.#post('wake');
    await this.#readyAfter(incarnation);
  }

  /** What the life that ends now has swapped. */
  async #note(): Promise<void> {
    const { memory } = (await this.#corral.get(NAME)).status ?? {};
    this.#swapIns += memory?.swapIns ?? 0;
    this.#swapOuts += memory?.swapOuts ?? 0;
  }

  #readyAfter(incarnation: number): Promise<VirtualMachine> {
    return this.#corral.when(NAME, 'Ready again', (vm) => (vm.status?.incarnation ?? 0) > incarnation && findCondition(vm.status?.conditions, 'Ready')?.status === 'True', DEADLINE_MS);
  }

  async #post(verb: 'hibernate' | 'wake' | 'fork', body?: object): Promise<unknown> {
    const answer = await fetch(`${this.#corral.url}/apis/corral.dev/v1/namespaces/default/virtualmachines/${NAME}/${verb}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${this.#corral.adminToken}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw new Error(`${verb}: ${answer.status} ${await answer.text()}`);
    const text = await answer.text();
    return text === '' ? undefined : (JSON.parse(text) as unknown);
  }

  async #compare(machine: string, content: MemoryContent): Promise<void> {
    const pattern = machine === NAME ? this.#pattern : new MemoryPattern((command) => this.#corral.execAnywhere(machine, command));
    this.#wrong.push(...(await pattern.wrong(content)).map((file) => `${machine}: file ${file}, after "${this.#last}"`));
    this.#comparisons += content.size;
  }

  #someSnapshot(): { readonly name: string; readonly content: MemoryContent } {
    const chosen = this.#snapshots[this.#random(this.#snapshots.length)];
    if (!chosen) throw new Error('there is no snapshot yet');
    return chosen;
  }

  /** Source: Numerical Recipes, "An Even Quicker Generator". */
  #random(below: number): number {
    this.#seed = (Math.imul(this.#seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#seed / 2 ** 32) * below);
  }
}
