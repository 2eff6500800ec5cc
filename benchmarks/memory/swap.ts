import { fork } from 'node:child_process';
import path from 'node:path';
import { type Figures, quantile } from './figures.ts';

const MIB = 2 ** 20;

/** CPU time of the same work, by a guest without a budget and by the same guest with one. */
interface PassCost {
  readonly freeMs: number;
  readonly pagedMs: number;
}

interface SwapCost {
  readonly touchedBytes: number;
  readonly budgetBytes: number;
  /** Files in memory read in order, and digested. */
  readonly scanned: readonly PassCost[];
  /** Memory gone through by a program that does nothing else. */
  readonly read: readonly PassCost[];
  readonly fitting: readonly PassCost[];
}

interface LargeGuest {
  readonly memoryMiB: number;
  readonly filledMiB: number;
  readonly budgetBytes: number;
  /** At the end, and at most, of all that was told. */
  readonly heldBytes: number;
  readonly mostHeldBytes: number;
  readonly swappedBytes: number;
}

/** What a budget costs a guest, in CPU time of its whole process beside the same guest without one; and how large a guest a small node can hold. */
export async function measureSwap(figures: Figures, runs: number): Promise<void> {
  console.log('\nA guest with a quarter of its touched RAM resident, and the same guest without a budget');
  const { touchedBytes, budgetBytes, scanned, read, fitting } = await measured<SwapCost>('cost', String(runs));
  const add = (name: string, costs: readonly PassCost[], bar: number, moonshot: number): void => {
    const ratios = costs.map(({ freeMs, pagedMs }) => pagedMs / freeMs);
    const [ours, theirs] = [quantile(costs.map(({ pagedMs }) => pagedMs), 0.5), quantile(costs.map(({ freeMs }) => freeMs), 0.5)];
    const note = `${ours.toFixed(0)} ms against ${theirs.toFixed(0)}; ${(budgetBytes / MIB).toFixed(0)} of ${(touchedBytes / MIB).toFixed(0)} MiB`;
    figures.add({ name, unit: '×', bar, moonshot }, quantile(ratios, 0.5), ratios, note);
  };
  add('CPU of a guest with 25 % of its touched RAM resident, scanning', scanned, 2.5, 1.5);
  add('CPU of a guest with 25 % of its touched RAM resident, working set that fits', fitting, 1.15, 1.05);
  console.log(`  of a program that only adds up what it reads: ${quantile(read.map(({ freeMs, pagedMs }) => pagedMs / freeMs), 0.5).toFixed(2)} ×`);
  const { memoryMiB, filledMiB, heldBytes, mostHeldBytes, swappedBytes, budgetBytes: largeBudgetBytes } = await measured<LargeGuest>('large');
  const budgetMiB = largeBudgetBytes / MIB;
  const row = { name: `${memoryMiB} MiB guest that has filled ${filledMiB} MiB: what its RAM takes of ${budgetMiB} MiB`, unit: 'MiB', bar: budgetMiB * 1.1, moonshot: budgetMiB } as const;
  figures.add(row, heldBytes / MIB, [heldBytes / MIB], `${(mostHeldBytes / MIB).toFixed(0)} MiB at most; ${(swappedBytes / MIB).toFixed(0)} MiB swapped`);
}

/** In a process of its own, as the worker's tests have it. */
function measured<T>(...task: readonly string[]): Promise<T> {
  const program = path.join(import.meta.dirname, '../../apps/worker/test/swap-cost.main.ts');
  const child = fork(program, [...task], { execArgv: ['--conditions=@corral/source', '--disable-warning=ExperimentalWarning'] });
  return new Promise((resolve, reject) => {
    child.once('message', (result) => resolve(result as T));
    child.once('exit', (code) => reject(new Error(`the measurement ended with ${code}`)));
  });
}
