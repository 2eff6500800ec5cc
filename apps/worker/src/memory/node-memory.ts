import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MIB, type NodeMemoryStatus, PAGER_HEARTBEAT_FILE, parseBytes, type VirtualMachine, type VmMemoryStatus } from '@corral/contracts';
import { ramPages } from '@corral/memory';
import { isLive } from '@corral/vm-lifecycle';
import { type Logger } from 'pino';
import { type Machine } from '../machine/machine.ts';
import { divideMemory } from './memory-division.ts';
import { memoryPressure, parseAvailableShare, parseStall, PRESSED_SHARE, type MemoryPressure } from './memory-pressure.ts';
import { countsOf, MEMORY_COUNTS, MemoryTotals, WAIT_COUNTS, waitCountsOf, type Counts, type MemoryCounts, type WaitCount } from './memory-totals.ts';
import { PagerWatch, type PagerSign } from './pager-watch.ts';
import { type SwapKeys, type SwappingRun } from './swap-keys.ts';

export interface NodeMemoryOptions {
  machines(): readonly Machine[];
  vmOf(uid: string): VirtualMachine | undefined;
  /** What all machines' RAM may take together. */
  readonly budgetBytes: number;
  /** Undefined where pages go to the nodes' disks alone. */
  readonly keys: SwapKeys | undefined;
  readonly log: Logger;
}

/** A change of a budget smaller than this share is not worth telling. */
const BUDGET_CHANGE = 0.05;

/**
 * Divides the node's memory among its machines, says when there is too little of it, ends processes whose pager has died, and removes
 * what ended machines left in Redis. `look` is called every few seconds.
 */
export class NodeMemory {
  readonly #options: NodeMemoryOptions;
  readonly #watch = new PagerWatch();
  readonly #totals = new MemoryTotals(MEMORY_COUNTS);
  readonly #waits = new MemoryTotals(WAIT_COUNTS);
  readonly #swapping = new Map<string, SwappingRun>();
  #isOvercommitted = false;
  #pressure: MemoryPressure = { isPressing: false, reason: 'SufficientMemory', message: 'The node has enough memory' };

  constructor(options: NodeMemoryOptions) {
    this.#options = options;
  }

  get pressure(): MemoryPressure {
    return this.#pressure;
  }

  get budgetBytes(): number {
    return this.#options.budgetBytes;
  }

  /** What machines' RAM takes together, as far as they have told. */
  get heldBytes(): number {
    return this.told.reduce((sum, { heldBytes }) => sum + heldBytes, 0);
  }

  /** What the machines that run have told of their RAM. */
  get told(): readonly VmMemoryStatus[] {
    return [...this.machines.values()];
  }

  /** The same, by the machines' uids. */
  get machines(): ReadonlyMap<string, VmMemoryStatus> {
    return new Map(this.#live().flatMap(({ uid, memory }) => (memory ? [[uid, memory]] : [])));
  }

  /** What is told of all of it together. */
  get use(): NodeMemoryStatus {
    const { heldBytes, told, totals } = this;
    const sum = (of: (memory: VmMemoryStatus) => number): number => told.reduce((bytes, memory) => bytes + of(memory), 0);
    return {
      budgetBytes: Math.floor(this.budgetBytes), heldBytes, sharedBytes: sum((memory) => memory.sharedBytes), compressedBytes: sum((memory) => memory.compressedBytes), swappedBytes: sum((memory) => memory.swappedBytes),
      faults: totals.faults, swapIns: totals.stagedIns + totals.compressedIns + totals.redisIns + totals.durableIns, swapOuts: totals.swapOuts,
    };
  }

  get totals(): MemoryCounts {
    return this.#totals.sums;
  }

  /** How often guests waited for pages, and how long. */
  get waits(): Counts<WaitCount> {
    return this.#waits.sums;
  }

  async look(): Promise<void> {
    await this.#endStuck();
    this.#pressure = memoryPressure({ ...(await readHost()), heldBytes: this.heldBytes, budgetBytes: this.budgetBytes, isOvercommitted: this.#isOvercommitted }, this.#pressure.isPressing);
    this.#divide();
    const runs = this.#live().flatMap(({ swapName, memory, pageWaits }) => (swapName && memory ? [{ name: nameOf(swapName), memory, pageWaits }] : []));
    this.#totals.take(new Map(runs.map(({ name, memory }) => [name, countsOf(memory)])));
    this.#waits.take(new Map(runs.map(({ name, pageWaits }) => [name, waitCountsOf(pageWaits ?? {})])));
    await this.#tidy();
  }

  #live(): readonly Machine[] {
    return this.#options.machines().filter(({ state }) => isLive(state));
  }

  #divide(): void {
    const machines = this.#live();
    const demands = machines.map((machine) => ({ uid: machine.uid, wantedBytes: wantedBytes(machine, this.#options.vmOf(machine.uid)), heldBytes: machine.memory?.heldBytes }));
    const isHostPressed = this.#pressure.isPressing && this.#pressure.reason !== 'BudgetExhausted';
    const budgets = divideMemory(this.budgetBytes * (isHostPressed ? PRESSED_SHARE : 1), demands);
    this.#isOvercommitted = demands.some(({ uid, wantedBytes }) => (budgets.get(uid) ?? 0) < wantedBytes);
    for (const machine of machines) {
      const bytes = budgets.get(machine.uid) ?? 0;
      const budget = bytes >= ramBytesOf(machine) ? undefined : bytes;
      if (isNews(machine.memoryBudgetBytes, budget)) machine.setMemoryBudget(budget);
    }
  }

  async #endStuck(): Promise<void> {
    const signs = await Promise.all(this.#live().map(async (machine) => [machine.uid, await signOf(machine)] as const));
    for (const uid of this.#watch.look(new Map(signs.flatMap(([uid, sign]) => (sign ? [[uid, sign] as const] : []))))) {
      const machine = this.#options.machines().find((one) => one.uid === uid);
      this.#options.log.error({ vm: uid, pid: machine?.pid }, 'Its pager has died; its process is ended');
      machine?.killStuck();
    }
  }

  async #tidy(): Promise<void> {
    const { keys } = this.#options;
    if (!keys) return;
    const live = this.#live().flatMap((machine) => (machine.swapName && isLive(machine.state) ? [{ machine, run: { ...machine.swapName, pages: ramPages(machine.state.run.memoryMiB) } }] : []));
    for (const { machine, run } of live) {
      if (!maySwap(machine) || this.#swapping.has(nameOf(run))) continue;
      this.#swapping.set(nameOf(run), run);
      await keys.add(run);
    }
    const names = new Set(live.map(({ run }) => nameOf(run)));
    for (const [name, run] of this.#swapping) {
      if (names.has(name)) continue;
      this.#swapping.delete(name);
      await keys.remove(run);
    }
  }
}

/** Whether there may be something of it in Redis: before it has told so, it and this agent may end together. */
const maySwap = ({ memory, memoryBudgetBytes }: Machine): boolean => memory?.pager === 'On' || memoryBudgetBytes !== undefined;
/** Of one life, whoever the machine has become since. */
const nameOf = ({ uid, incarnation }: Pick<SwappingRun, 'uid' | 'incarnation'>): string => `${uid} ${incarnation}`;
const ramBytesOf = ({ state }: Machine): number => (isLive(state) ? state.run.memoryMiB * MIB : 0);

function wantedBytes(machine: Machine, vm: VirtualMachine | undefined): number {
  const ram = ramBytesOf(machine);
  return Math.min(ram, parseBytes(vm?.spec?.residentMemory ?? '') ?? ram);
}

function isNews(told: number | undefined, next: number | undefined): boolean {
  if (told === undefined || next === undefined) return told !== next;
  return Math.abs(next - told) > told * BUDGET_CHANGE;
}

async function signOf({ pid, folder }: Machine): Promise<PagerSign | undefined> {
  if (pid === undefined) return undefined;
  const [beat, stat] = await Promise.all([readFile(join(folder.path, PAGER_HEARTBEAT_FILE), 'utf8').catch(() => ''), readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')]);
  // The state comes after the name in parentheses, which may hold anything. Source: proc_pid_stat(5).
  const state = stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3);
  // What an earlier process left says nothing about this one.
  return { pid, beat: beat.startsWith(`${pid} `) ? beat : undefined, isStopped: state === 'T' || state === 't' };
}

async function readHost(): Promise<{ readonly stall: ReturnType<typeof parseStall>; readonly availableShare: number | undefined }> {
  const [stall, meminfo] = await Promise.all(['/proc/pressure/memory', '/proc/meminfo'].map((path) => readFile(path, 'utf8').catch(() => '')));
  return { stall: parseStall(stall ?? ''), availableShare: parseAvailableShare(meminfo ?? '') };
}
