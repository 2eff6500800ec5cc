import { findCondition, virtualMachines, type ObjectClient, type VirtualMachine } from '@corral/contracts';

const POLL_MS = 50;
const DEADLINE_MS = 900_000;

export interface Quantiles {
  readonly p50: number;
  readonly p99: number;
}
interface Entry {
  createdAt?: number;
  seenAt?: number;
  boundAt?: number;
  readyAt?: number;
}
type Milestone = 'seen' | 'bound' | 'ready';

/** When each machine was created, seen by a watch, bound and said to run, on one clock. */
export class Ledger {
  readonly #entries = new Map<string, Entry>();
  readonly #counts = { seen: 0, bound: 0, ready: 0 };
  firstBoundAt: number | undefined;
  lastBoundAt = 0;

  created(name: string): void {
    this.#entryOf(name).createdAt = performance.now();
  }

  count(milestone: Milestone): number {
    return this.#counts[milestone];
  }

  async follow(client: ObjectClient, namespace: string, resourceVersion: string, signal: AbortSignal): Promise<void> {
    for (let from = resourceVersion; !signal.aborted; ) {
      try {
        for await (const { object } of client.watch(virtualMachines, { namespace, resourceVersion: from, signal })) {
          from = object.metadata.resourceVersion;
          this.#take(object);
        }
      } catch {
        // The API is restarted in the middle of a run; the watch resumes.
      }
      await pause(POLL_MS);
    }
  }

  /** Resolves when so many have got there; says why not when they never do. */
  async reached(milestone: Milestone, count: number): Promise<void> {
    const deadline = performance.now() + DEADLINE_MS;
    while (this.#counts[milestone] < count) {
      if (performance.now() > deadline) throw new Error(`only ${this.#counts[milestone]} of ${count} machines are ${milestone}`);
      await pause(POLL_MS / 10);
    }
  }

  /** Creation → milestone of the machines created last. */
  quantiles(milestone: 'bound' | 'ready', last: number): Quantiles {
    const times = [...this.#entries.values()]
      .slice(-last)
      .map((entry) => (entry[`${milestone}At`] ?? Infinity) - (entry.createdAt ?? 0))
      .sort((a, b) => a - b);
    const at = (q: number): number => Math.round((times[Math.min(times.length - 1, Math.floor(q * times.length))] ?? NaN) * 10) / 10;
    return { p50: at(0.5), p99: at(0.99) };
  }

  #take(vm: VirtualMachine): void {
    const now = performance.now();
    const entry = this.#entryOf(vm.metadata.name);
    if (entry.seenAt === undefined) {
      entry.seenAt = now;
      this.#counts.seen += 1;
    }
    if (entry.boundAt === undefined && vm.spec?.nodeName !== undefined) {
      entry.boundAt = now;
      this.#counts.bound += 1;
      this.firstBoundAt ??= now;
      this.lastBoundAt = now;
    }
    if (entry.readyAt === undefined && findCondition(vm.status?.conditions, 'Ready')?.status === 'True') {
      entry.readyAt = now;
      this.#counts.ready += 1;
    }
  }

  #entryOf(name: string): Entry {
    const known = this.#entries.get(name);
    if (known) return known;
    const entry: Entry = {};
    this.#entries.set(name, entry);
    return entry;
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
