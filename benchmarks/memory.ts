/**
 * `npm run bench:memory`: every figure the memory engine is to reach, beside its bar and its moonshot. What users see is
 * measured on a whole stack of its own; what is a ratio to stock v86, in one process that does both. Times are wall clock on
 * shared machines: trust medians, and look at the load that is told with them.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { count, oneOf, programOptions, someOf, text } from '@corral/testing';
import getPort from 'get-port';
import { forget, launch, remember, shutDown, TEST_HOME } from '../e2e/stack.ts';
import { measureFarBase } from './memory/far-base.ts';
import { Figures } from './memory/figures.ts';
import { measureStack, STACK_ROWS } from './memory/stack.ts';
import { measureStock } from './memory/stock.ts';
import { measureSwap } from './memory/swap.ts';
import { kernelFlavor, kernelOption, prepareKernel } from './own-kernel.ts';

const options = programOptions('npm run bench:memory', {
  creates: count(20, 'machines created one after the other'),
  burst: count(20, 'machines created at once'),
  machines: count(5, 'idle machines held for memory and CPU'),
  snapshots: count(7, 'snapshots of a 512 MiB machine, and wake-ups from hibernation'),
  idleSeconds: count(20, 'how long idle machines are watched'),
  class: oneOf(['small', 'compute'], undefined, 'of machines; else as they are by default'),
  kernel: kernelOption,
  only: oneOf(
    ['stack', 'stock', 'far', 'swap'],
    undefined,
    'stock: the comparison with stock v86 alone; far: starts on a node that has to fetch the base; swap: what a memory budget costs a guest',
  ),
  rows: someOf(STACK_ROWS, 'only these of the stack’s; of a short run they are not written to a file'),
  output: text('FILE', 'where the JSON goes (benchmarks/results/<date>-memory.json)'),
});

/** Not for trials of some rows. */
const isWhole = options.rows.length === STACK_ROWS.length;
const figures = new Figures();
const startedAt = new Date();
const loadBefore = os.loadavg();

async function measureOwnStack(): Promise<void> {
  console.log('Starting a Corral of its own …');
  const stack = remember(await launch(TEST_HOME, await getPort()));
  try {
    await measureStack(figures, {
      creates: options.creates,
      burst: options.burst,
      machines: options.machines,
      idleSeconds: options.idleSeconds,
      snapshots: options.snapshots,
      launcherPid: stack.launcherPid,
      ...(options.class === undefined ? {} : { vmClass: options.class }),
      rows: options.rows,
    });
  } finally {
    await shutDown(stack.launcherPid);
    forget();
  }
}

await prepareKernel(TEST_HOME, options.kernel);
const isAsked = (part: string): boolean => options.only === undefined || options.only === part;
if (isAsked('stack')) await measureOwnStack();
if (isAsked('far') && isWhole) await measureFarBase(figures, 5).catch((error: unknown) => figures.skip('far', error));
if (isAsked('swap') && isWhole) await measureSwap(figures, 7).catch((error: unknown) => figures.skip('swap', error));
if (isAsked('stock') && isWhole) await measureStock(figures, 512, 7).catch((error: unknown) => figures.skip('stock', error));

figures.table();
const machine = {
  cpu: os.cpus()[0]?.model, cores: os.cpus().length, memoryGiB: Math.round(os.totalmem() / 2 ** 30), kernel: os.release(), node: process.version, guestKernel: await kernelFlavor(TEST_HOME),
  loadAverageBefore: loadBefore.map((load) => +load.toFixed(2)), loadAverageAfter: os.loadavg().map((load) => +load.toFixed(2)),
};
console.log(`\nLoad ${machine.loadAverageBefore.join(' ')} before, ${machine.loadAverageAfter.join(' ')} after.`);
const file = options.output ?? (isWhole ? path.join(import.meta.dirname, 'results', `${startedAt.toISOString().slice(0, 16).replace(':', '')}-memory.json`) : undefined);
if (file !== undefined) {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify({ startedAt: startedAt.toISOString(), machine, figures: figures.all, notMeasured: figures.skipped }, undefined, 1)}\n`);
  console.log(`Written to ${path.relative(process.cwd(), file)}`);
}
