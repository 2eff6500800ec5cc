/**
 * `npm run bench:memory`: every figure the memory engine is to reach, beside its bar and its moonshot. What users see is
 * measured on a whole stack of its own; what is a ratio to stock v86, in one process that does both. Times are wall clock on
 * shared machines: trust medians, and look at the load that is told with them.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import getPort from 'get-port';
import { forget, launch, remember, shutDown, TEST_HOME } from '../e2e/stack.ts';
import { measureFarBase } from './memory/far-base.ts';
import { Figures } from './memory/figures.ts';
import { measureStack, STACK_ROWS, type StackRows } from './memory/stack.ts';
import { measureStock } from './memory/stock.ts';
import { measureSwap } from './memory/swap.ts';
import { KERNEL_OPTION, kernelFlavor, prepareKernel } from './own-kernel.ts';

const { values: options } = parseArgs({
  options: {
    help: { type: 'boolean', short: 'h', default: false },
    creates: { type: 'string', default: '20' },
    burst: { type: 'string', default: '20' },
    machines: { type: 'string', default: '5' },
    snapshots: { type: 'string', default: '7' },
    idleSeconds: { type: 'string', default: '20' },
    class: { type: 'string' },
    kernel: { type: 'string', default: 'own' },
    only: { type: 'string' },
    rows: { type: 'string' },
    output: { type: 'string' },
  },
});
if (options.help) {
  console.log(`npm run bench:memory -- [options]
  --creates N       machines created one after the other (20)
  --burst N         machines created at once (20)
  --machines N      idle machines held for memory and CPU (5)
  --snapshots N     snapshots of a 512 MiB machine, and wake-ups from hibernation (7)
  --idleSeconds N   how long idle machines are watched (20)
  --class CLASS     small or compute; else as machines are by default
${KERNEL_OPTION}
  --only PART       stack; stock: the comparison with stock v86 alone; far: starts on a node that has to fetch the base; or swap: what a memory budget costs a guest
  --rows A,B        only these of the stack's: ${STACK_ROWS.join(', ')}; of a short run they are not written to a file
  --output FILE     where the JSON goes (benchmarks/results/<date>-memory.json)`);
  process.exit(0);
}

const rows = options.rows?.split(',').map(rowsNamed);
const figures = new Figures();
const startedAt = new Date();
const loadBefore = os.loadavg();

function rowsNamed(name: string): StackRows {
  const found = STACK_ROWS.find((candidate) => candidate === name);
  if (found === undefined) throw new Error(`--rows: there is no ${name}; there are ${STACK_ROWS.join(', ')}`);
  return found;
}

async function measureOwnStack(): Promise<void> {
  console.log('Starting a Corral of its own …');
  const stack = remember(await launch(TEST_HOME, await getPort()));
  try {
    await measureStack(figures, {
      creates: Number(options.creates),
      burst: Number(options.burst),
      machines: Number(options.machines),
      idleSeconds: Number(options.idleSeconds),
      snapshots: Number(options.snapshots),
      launcherPid: stack.launcherPid,
      ...(options.class === undefined ? {} : { vmClass: options.class }),
      ...(rows === undefined ? {} : { rows }),
    });
  } finally {
    await shutDown(stack.launcherPid);
    forget();
  }
}

await prepareKernel(TEST_HOME, options.kernel);
const isAsked = (part: string): boolean => options.only === undefined || options.only === part;
if (isAsked('stack')) await measureOwnStack();
if (isAsked('far') && rows === undefined) await measureFarBase(figures, 5).catch((error: unknown) => figures.skip('far', error));
if (isAsked('swap') && rows === undefined) await measureSwap(figures, 7).catch((error: unknown) => figures.skip('swap', error));
if (isAsked('stock') && rows === undefined) await measureStock(figures, 512, 7).catch((error: unknown) => figures.skip('stock', error));

figures.table();
const machine = {
  cpu: os.cpus()[0]?.model, cores: os.cpus().length, memoryGiB: Math.round(os.totalmem() / 2 ** 30), kernel: os.release(), node: process.version, guestKernel: await kernelFlavor(TEST_HOME),
  loadAverageBefore: loadBefore.map((load) => +load.toFixed(2)), loadAverageAfter: os.loadavg().map((load) => +load.toFixed(2)),
};
console.log(`\nLoad ${machine.loadAverageBefore.join(' ')} before, ${machine.loadAverageAfter.join(' ')} after.`);
const file = options.output ?? (rows === undefined ? path.join(import.meta.dirname, 'results', `${startedAt.toISOString().slice(0, 16).replace(':', '')}-memory.json`) : undefined);
if (file !== undefined) {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify({ startedAt: startedAt.toISOString(), machine, figures: figures.all, notMeasured: figures.skipped }, undefined, 1)}\n`);
  console.log(`Written to ${path.relative(process.cwd(), file)}`);
}
