import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { MachineConfig, VmMemoryStatus } from '@corral/contracts';
import { startRedis } from '@corral/embedded';
import { ForkedVm } from '../../apps/worker/src/vm-process/forked-vm.testing.ts';
import { booted, linuxMachine } from '../../apps/worker/src/vm-process/guest-config.testing.ts';
import { type Figures, quantile } from './figures.ts';
import { cpuMsOf, memoryOf } from './vm-processes.ts';
import { walkerProgram, type Walk } from './walker.ts';

const MIB = 2 ** 20;
/** v86 has no more than this, and a node may have a quarter of it to give. */
const LARGE = { memoryMiB: 2047, budgetMiB: 512, filledMiB: 1024 };
const MEMORY_MIB = 128;
const RESIDENT_SHARE = 0.25;
/** Together, and with what a booted guest has touched, most of its RAM. */
const WALKS = { scanned: { mib: 48, writes: false }, fitting: { mib: 6, writes: true } } as const satisfies Record<string, Walk>;
/** As many as take some tenths of a second. */
const PASSES = { scanned: 3, fitting: 40 };
const ROWS = [
  ['scanned', 'with 25 % of its touched RAM resident, scanning', 2.5, 1.5],
  ['fitting', 'with a working set that fits into 25 % of its touched RAM', 1.15, 1.05],
] as const;
const DEADLINE_SECONDS = 240;

/**
 * What a budget costs a guest: CPU time of its whole process, the pager's thread and all, beside the same guest without one, from the same
 * snapshot. The two take turns, and each pass over memory is compared with what was written there.
 */
export async function measureSwap(figures: Figures, runs: number): Promise<void> {
  console.log('\nA guest with a quarter of its touched RAM resident, and the same guest without a budget');
  const home = await mkdtemp(path.join(tmpdir(), 'corral-bench-swap-'));
  const redis = await startRedis({ home });
  try {
    const origin = path.join(home, 'origin');
    const touchedBytes = await bootedInto(origin);
    const budgetBytes = Math.floor(touchedBytes * RESIDENT_SHARE);
    const [free, paged] = [await Walker.from(origin, {}), await Walker.from(origin, { memoryBudgetBytes: budgetBytes, swapRedisUrl: redis.url })];
    for (const [walk, name, bar, moonshot] of ROWS) {
      const [ours, theirs]: [number[], number[]] = [[], []];
      // The first ones bring memory to where it is from then on.
      for (let run = -2; run < runs; run += 1) {
        const [one, other] = [await free.cpuMs(walk), await paged.cpuMs(walk)];
        if (run < 0) continue;
        theirs.push(one);
        ours.push(other);
      }
      const ratios = ours.map((cpuMs, run) => cpuMs / (theirs[run] ?? NaN));
      const perPass = (samples: readonly number[]): string => quantile(samples.map((cpuMs) => cpuMs / PASSES[walk]), 0.5).toFixed(1);
      const note = `${perPass(ours)} ms a pass against ${perPass(theirs)}; ${(budgetBytes / MIB).toFixed(0)} of ${(touchedBytes / MIB).toFixed(0)} MiB`;
      figures.add({ name: `CPU of a guest ${name}`, unit: '×', bar, moonshot }, quantile(ratios, 0.5), ratios, note);
    }
    const { heldBytes, swapIns, pager } = await paged.memory();
    if (pager !== 'On' || swapIns === 0) throw new Error(`the guest with a budget was not paged: ${pager}, ${swapIns} pages came back`);
    if (heldBytes > budgetBytes * 1.15) throw new Error(`the guest holds ${heldBytes} bytes, and may hold ${budgetBytes}`);
  } finally {
    await ForkedVm.disposeAll();
    await redis.stop();
    await rm(home, { recursive: true, force: true });
  }
}

/** A guest with the most RAM there can be, on a node that has a quarter of it to give, finds in twice that much what it wrote there. */
export async function measureLargeGuest(figures: Figures): Promise<void> {
  const { memoryMiB, budgetMiB, filledMiB } = LARGE;
  console.log(`\nA guest of ${memoryMiB} MiB in ${budgetMiB} MiB`);
  const home = await mkdtemp(path.join(tmpdir(), 'corral-bench-swap-'));
  const redis = await startRedis({ home });
  try {
    const walker = await Walker.boot({ filled: { mib: filledMiB, writes: false } }, { memoryMiB, memoryBudgetBytes: budgetMiB * MIB, swapRedisUrl: redis.url });
    const { heldBytes, swappedBytes } = await walker.memory();
    const row = { name: `node memory of a ${memoryMiB} MiB guest that has filled ${filledMiB} MiB, of ${budgetMiB} MiB it may take`, unit: 'MiB', bar: budgetMiB * 1.1, moonshot: budgetMiB } as const;
    figures.add(row, heldBytes / MIB, [heldBytes / MIB], `${(swappedBytes / MIB).toFixed(0)} MiB swapped, ${(walker.privateMiB - heldBytes / MIB).toFixed(0)} MiB more for the process`);
  } finally {
    await ForkedVm.disposeAll();
    await redis.stop();
    await rm(home, { recursive: true, force: true });
  }
}

/** A guest with its programs running, as a snapshot; answers how much RAM it has touched. */
async function bootedInto(directory: string): Promise<number> {
  const walker = await Walker.boot(WALKS, { memoryMiB: MEMORY_MIB });
  await walker.snapshot(directory);
  return (await walker.memory()).privateBytes;
}

/** A guest in a process of its own, in which programs go through memory when they are told to. */
class Walker {
  readonly #vm: ForkedVm;

  private constructor(vm: ForkedVm) {
    this.#vm = vm;
  }

  /** With these programs running, each of which has been through its memory once. */
  static async boot(walks: Readonly<Record<string, Walk>>, config: Partial<MachineConfig>): Promise<Walker> {
    const walker = new Walker(await booted(await linuxMachine(config)));
    for (const [name, walk] of Object.entries(walks)) {
      await walker.#exec(`echo ${walkerProgram(walk).toString('base64')} | base64 -d > /tmp/${name}; chmod +x /tmp/${name}; mkfifo /tmp/${name}.in /tmp/${name}.out`);
      // Opened for both, so that neither end is ever closed.
      await walker.#exec(`(/tmp/${name} <> /tmp/${name}.in 1<> /tmp/${name}.out) > /dev/null 2>&1 &`);
      await walker.#walk(name, 1);
    }
    return walker;
  }

  static async from(directory: string, budget: Pick<MachineConfig, 'memoryBudgetBytes' | 'swapRedisUrl'>): Promise<Walker> {
    const vm = await ForkedVm.fork(await linuxMachine({ memoryMiB: MEMORY_MIB, ...budget }));
    await vm.start({ type: 'Snapshot', directory });
    await vm.until('AgentAnswered');
    return new Walker(vm);
  }

  async snapshot(directory: string): Promise<void> {
    await mkdir(directory);
    const reply = await this.#vm.send({ type: 'Snapshot', directory });
    if (!reply.ok) throw new Error(`no snapshot: ${reply.message}`);
  }

  /** CPU time of the process, all its threads together, while the guest goes through this memory so many times. */
  async cpuMs(walk: keyof typeof WALKS): Promise<number> {
    const before = cpuMsOf(this.#vm.pid);
    await this.#walk(walk, PASSES[walk]);
    return cpuMsOf(this.#vm.pid) - before;
  }

  /** Of the whole process, as the host counts it. */
  get privateMiB(): number {
    return memoryOf(this.#vm.pid).privateMiB;
  }

  /** As the process tells it next. */
  async memory(): Promise<VmMemoryStatus> {
    const from = this.#vm.told.length;
    const untilMs = performance.now() + DEADLINE_SECONDS * 1000;
    for (;;) {
      await this.#exec('true');
      const told = this.#vm.told.slice(from).findLast((one) => one.type === 'Memory');
      if (told) return told.memory;
      if (performance.now() > untilMs) throw new Error('the process does not tell of its memory');
    }
  }

  async #walk(name: string, passes: number): Promise<void> {
    const { stdout } = await this.#exec(`printf ${'x'.repeat(passes)} > /tmp/${name}.in; head -c ${passes} /tmp/${name}.out`);
    if (stdout !== '.'.repeat(passes)) throw new Error(`the guest did not find in its memory what it wrote: ${JSON.stringify(stdout)}`);
  }

  async #exec(command: string): Promise<{ readonly stdout: string }> {
    const { stdout, stderr, exitCode } = await this.#vm.exec(command, { timeoutSeconds: DEADLINE_SECONDS });
    if (exitCode !== 0) throw new Error(`the guest could not: ${command.slice(0, 100)}: ${exitCode} ${stderr}`);
    return { stdout };
  }
}
