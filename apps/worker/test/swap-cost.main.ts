import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { MachineConfig, VmMemoryStatus } from '@corral/contracts';
import { startRedis } from '@corral/embedded';
import { ForkedVm } from '../src/vm-process/forked-vm.testing.ts';
import { booted, linuxMachine } from '../src/vm-process/guest-config.testing.ts';
import { walkerProgram, type Walk } from './walker.ts';

/** CPU time of the same passes over memory, by a guest without a budget and by the same guest with one. */
export interface PassCost {
  readonly freeMs: number;
  readonly pagedMs: number;
}

export interface SwapCost {
  readonly touchedBytes: number;
  readonly budgetBytes: number;
  readonly scanned: readonly PassCost[];
  readonly read: readonly PassCost[];
  readonly fitting: readonly PassCost[];
}

export interface LargeGuest {
  readonly memoryMiB: number;
  readonly filledMiB: number;
  readonly budgetBytes: number;
  /** At the end, and at most, of all that was told. */
  readonly heldBytes: number;
  readonly mostHeldBytes: number;
  readonly swappedBytes: number;
}

const MIB = 2 ** 20;
const MEMORY_MIB = 128;
const RESIDENT_SHARE = 0.25;
/** Together, and with what a booted guest has touched, most of its RAM. */
const WALKS: Readonly<Record<string, Walk>> = { scanned: { mib: 20, writes: false }, fitting: { mib: 6, writes: true } };
const FILES = '/tmp/files';
const FILES_MIB = 40;
const DEADLINE_SECONDS = 240;
/** A process tells of what has changed within ten. */
const NEWS_SECONDS = 25;
/** v86 has no more than this, and a node may have a quarter of it to give. */
const LARGE = { memoryMiB: 2047, budgetMiB: 512, filledMiB: 1024 };

/**
 * What a budget costs a guest: CPU time of its whole process, the pager's thread and all, beside the same guest without one, from the same snapshot. The
 * two take turns, and each pass over memory is compared with what was written there.
 */
async function swapCost(home: string, swapRedisUrl: string, runs: number): Promise<SwapCost> {
  const origin = path.join(home, 'origin');
  const walker = await Walker.boot(WALKS, { memoryMiB: MEMORY_MIB });
  await walker.fill();
  await walker.snapshot(origin);
  const touchedBytes = (await walker.memory()).privateBytes;
  await walker.end();
  const budgetBytes = Math.floor(touchedBytes * RESIDENT_SHARE);
  const [free, paged] = [await Walker.from(origin, {}), await Walker.from(origin, { memoryBudgetBytes: budgetBytes, swapRedisUrl })];
  const measured = async (work: (guest: Walker) => Promise<void>): Promise<PassCost[]> => {
    const costs: PassCost[] = [];
    // The first ones bring memory to where it is from then on, and compile what is run.
    for (let run = -3; run < runs; run += 1) {
      const cost = { freeMs: await free.cpuMs(work), pagedMs: await paged.cpuMs(work) };
      if (run >= 0) costs.push(cost);
    }
    return costs;
  };
  const scanned = await measured((guest) => guest.scan());
  const read = await measured((guest) => guest.walk('scanned', 6));
  const fitting = await measured((guest) => guest.walk('fitting', 40));
  const { heldBytes, swapIns, pager } = await paged.memory();
  if (pager !== 'On' || swapIns === 0) throw new Error(`the guest with a budget was not paged: ${pager}, ${swapIns} pages came back`);
  if (heldBytes > budgetBytes * 1.15) throw new Error(`the guest holds ${heldBytes} bytes, and may hold ${budgetBytes}`);
  return { touchedBytes, budgetBytes, scanned, read, fitting };
}

/** A guest with the most RAM there can be, on a node that has a quarter of it to give, finds in twice that much what it wrote there. */
async function largeGuest(swapRedisUrl: string): Promise<LargeGuest> {
  const { memoryMiB, budgetMiB, filledMiB } = LARGE;
  const walker = await Walker.boot({ filled: { mib: filledMiB, writes: false } }, { memoryMiB, memoryBudgetBytes: budgetMiB * MIB, swapRedisUrl });
  const { heldBytes, swappedBytes } = await walker.memory();
  const mostHeldBytes = Math.max(...walker.told.map((memory) => memory.heldBytes));
  await walker.end();
  return { memoryMiB, filledMiB, budgetBytes: budgetMiB * MIB, heldBytes, mostHeldBytes, swappedBytes };
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
      await walker.walk(name, 1);
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

  /** CPU time of the process, all its threads together, while the guest does this. */
  async cpuMs(work: (guest: Walker) => Promise<void>): Promise<number> {
    const before = cpuMsOf(this.#vm.pid);
    await work(this);
    return cpuMsOf(this.#vm.pid) - before;
  }

  /** Files in memory, which pack to about half. */
  async fill(): Promise<void> {
    await this.#exec(`mkdir ${FILES}; for file in $(seq ${FILES_MIB}); do (dd if=/dev/urandom bs=64k count=8; head -c 524288 /bin/busybox) > ${FILES}/$file; done 2> /dev/null; cat ${FILES}/* | md5sum > /tmp/sum`);
  }

  /** Reads all files in order, twice. */
  async scan(): Promise<void> {
    await this.#exec(`for pass in 1 2; do cat ${FILES}/* | md5sum | cmp - /tmp/sum; done`);
  }

  end(): Promise<void> {
    return this.#vm.dispose();
  }

  /** What the process has told of its memory. */
  get told(): readonly VmMemoryStatus[] {
    return this.#vm.told.flatMap((one) => (one.type === 'Memory' ? [one.memory] : []));
  }

  /** As the process tells it next; as it told last where that has hardly changed since. */
  async memory(): Promise<VmMemoryStatus> {
    const from = this.told.length;
    const untilMs = performance.now() + NEWS_SECONDS * 1000;
    for (;;) {
      await this.#exec('true');
      const told = this.told.slice(from).at(-1);
      if (told) return told;
      if (performance.now() <= untilMs) continue;
      const last = this.told.at(-1);
      if (last) return last;
      throw new Error('the process does not tell of its memory');
    }
  }

  /** Sends a program through its memory. */
  async walk(name: string, passes: number): Promise<void> {
    const { stdout } = await this.#exec(`printf ${'x'.repeat(passes)} > /tmp/${name}.in; head -c ${passes} /tmp/${name}.out`);
    if (stdout !== '.'.repeat(passes)) throw new Error(`the guest did not find in its memory what it wrote: ${JSON.stringify(stdout)}`);
  }

  async #exec(command: string): Promise<{ readonly stdout: string }> {
    const { stdout, stderr, exitCode } = await this.#vm.exec(command, { timeoutSeconds: DEADLINE_SECONDS });
    if (exitCode !== 0) throw new Error(`the guest could not: ${command.slice(0, 100)}: ${exitCode} ${stderr}`);
    return { stdout };
  }
}

/** Of all its threads, in nanoseconds where the host counts them. Source: Documentation/scheduler/sched-stats.rst. */
function cpuMsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/task`)
    .map((task) => Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]) / 1e6)
    .reduce((sum, each) => sum + each, 0);
}

const [part, runs] = process.argv.slice(2);
const home = await mkdtemp(path.join(tmpdir(), 'corral-bench-swap-'));
const redis = await startRedis({ home });
try {
  const result = part === 'large' ? await largeGuest(redis.url) : await swapCost(home, redis.url, Number(runs));
  await new Promise((resolve) => process.send?.(result, resolve));
} finally {
  await ForkedVm.disposeAll();
  await redis.stop();
  await rm(home, { recursive: true, force: true });
}
process.exit(0);
