/**
 * `npm run bench:users`: what a user waits for, measured on a whole stack of its own, started as a newcomer starts it.
 * Prints a table and writes benchmarks/results/<date>.json with the machine it ran on. Times are wall clock on shared
 * machines: trust medians, and compare ratios of one run.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { count, programOptions, text } from '@corral/testing';
import getPort from 'get-port';
import { call, createVm, deleteVm, eventually, exec, snapshotOf, SNAPSHOTS, VMS, waitFor } from '../e2e/api.ts';
import { forget, launch, remember, shutDown, stack as runningStack, TEST_HOME } from '../e2e/stack.ts';
import { kernelFlavor, kernelOption, prepareKernel } from './own-kernel.ts';

const options = programOptions('npm run bench:users', {
  golden: count(20, 'creates from the golden snapshot'),
  cold: count(5, 'cold boots'),
  machines: count(5, 'machines held at once for the memory figure'),
  idleSeconds: count(20, 'how long an idle machine is watched'),
  kernel: kernelOption,
  output: text('FILE', 'where the JSON goes (benchmarks/results/<date>.json)'),
});

interface Figure {
  readonly name: string;
  readonly unit: 'ms' | 'MiB' | '%';
  readonly samples: readonly number[];
  /** The bar this project sets itself for the median, where it has one. */
  readonly bar?: number;
}
const figures: Figure[] = [];
const record = (name: string, unit: Figure['unit'], samples: readonly number[], bar?: number): void => {
  figures.push({ name, unit, samples, ...(bar === undefined ? {} : { bar }) });
  console.log(`  ${name}: p50 ${quantile(samples, 0.5).toFixed(1)} ${unit}`);
};

function quantile(samples: readonly number[], q: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? NaN;
}

async function timed<T>(action: () => Promise<T>): Promise<{ ms: number; value: T }> {
  const start = performance.now();
  const value = await action();
  return { ms: performance.now() - start, value };
}

/** Create → Ready → the first command's right answer: what "how fast is a machine" means to its user. */
async function createToAnswer(spec: object): Promise<{ vm: string; readyMs: number; answerMs: number }> {
  const start = performance.now();
  const vm = await createVm(spec);
  await waitFor(`${VMS}/${vm}`, 'Ready', 120);
  const readyMs = performance.now() - start;
  const { stdout } = await exec(vm, 'echo $((6*7))');
  if (stdout !== '42\n') throw new Error(`the guest answered ${JSON.stringify(stdout)}`);
  return { vm, readyMs, answerMs: performance.now() - start };
}

const launcherPid = (): number => runningStack().launcherPid;

/** Whether `pid` is a child of `ancestor`, or a child's child. Other Corrals on this machine are none of ours. */
function descendsFrom(pid: number, ancestor: number): boolean {
  for (let current = pid; current > 1; ) {
    if (current === ancestor) return true;
    current = Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${current}/status`, 'utf8'))?.[1] ?? 0);
  }
  return false;
}

/** Processes in which a machine is emulated, and those that wait for one. */
function vmProcesses(): { pid: number; pssBytes: number; cpuMs: number }[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry) => {
      try {
        if (!readFileSync(`/proc/${entry}/cmdline`, 'utf8').includes('vm-process/main.js') || !descendsFrom(Number(entry), launcherPid())) return [];
        const pssKib = Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${entry}/smaps_rollup`, 'utf8'))?.[1] ?? 0);
        const fields = readFileSync(`/proc/${entry}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
        return [{ pid: Number(entry), pssBytes: pssKib * 1024, cpuMs: (Number(fields[11]) + Number(fields[12])) * 10 }];
      } catch {
        return [];
      }
    });
}
const totalPssMiB = (): number => vmProcesses().reduce((sum, { pssBytes }) => sum + pssBytes, 0) / 2 ** 20;

async function measure(): Promise<void> {
  const image = { source: { image: 'linux-minimal' } };

  console.log('Create → first command’s answer');
  const golden = [];
  for (let i = 0; i < options.golden; i++) {
    const run = await createToAnswer(image);
    golden.push(run);
    await deleteVm(run.vm);
  }
  record('golden snapshot: create → Ready', 'ms', golden.map(({ readyMs }) => readyMs));
  record('golden snapshot: create → first command’s answer', 'ms', golden.map(({ answerMs }) => answerMs), 700);
  const cold = [];
  for (let i = 0; i < options.cold; i++) {
    const run = await createToAnswer({ ...image, bootPolicy: 'Cold' });
    cold.push(run);
    await deleteVm(run.vm);
  }
  record('cold boot: create → Ready', 'ms', cold.map(({ readyMs }) => readyMs), 8000);
  record('cold boot: create → first command’s answer', 'ms', cold.map(({ answerMs }) => answerMs));

  console.log('Commands and snapshots of a running machine (128 MiB)');
  const { vm } = await createToAnswer(image);
  const execs = [];
  for (let i = 0; i < 30; i++) execs.push((await timed(() => exec(vm, ['true']))).ms);
  record('exec of a small command, through the API', 'ms', execs);
  const snapshots = [];
  for (let i = 0; i < 5; i++) {
    const { ms, value } = await timed(() => snapshotOf(vm));
    const { body } = await call('GET', `${SNAPSHOTS}/${value}`);
    snapshots.push({ ms, sizeMiB: body.status.sizeBytes / 2 ** 20, pauseMs: body.status.pauseMilliseconds });
    await call('DELETE', `${SNAPSHOTS}/${value}`);
  }
  record('snapshot: asked → verified in S3', 'ms', snapshots.map(({ ms }) => ms));
  record('snapshot: pause of the machine', 'ms', snapshots.map(({ pauseMs }) => pauseMs));
  record('snapshot: size', 'MiB', snapshots.map(({ sizeMiB }) => sizeMiB));
  await deleteVm(vm);

  console.log('API (objects that run nothing)');
  const creates = [];
  const gets = [];
  const lists = [];
  const names: string[] = [];
  for (let i = 0; i < 100; i++) {
    const { ms, value } = await timed(() => createVm({ ...image, powerState: 'Stopped' }));
    creates.push(ms);
    names.push(value);
    gets.push((await timed(() => call('GET', `${VMS}/${value}`))).ms);
  }
  for (let i = 0; i < 20; i++) lists.push((await timed(() => call('GET', VMS))).ms);
  record('API create', 'ms', creates);
  record('API get', 'ms', gets);
  record('API list of 100', 'ms', lists);
  await Promise.all(names.map(deleteVm));

  console.log('Memory and idle CPU');
  await eventually('deleted machines are gone', () => call('GET', VMS), ({ body }) => body.items.length === 0);
  const before = totalPssMiB();
  const held = [];
  for (let i = 0; i < options.machines; i++) held.push((await createToAnswer(image)).vm);
  record('memory per running machine (PSS of its process)', 'MiB', [(totalPssMiB() - before) / held.length]);
  await delay(5_000); // The figure is of a machine at rest, after it has started.
  const cpuBefore = new Map(vmProcesses().map(({ pid, cpuMs }) => [pid, cpuMs]));
  const start = performance.now();
  await delay(options.idleSeconds * 1000);
  const elapsedMs = performance.now() - start;
  const shares = vmProcesses().map(({ pid, cpuMs }) => (100 * (cpuMs - (cpuBefore.get(pid) ?? cpuMs))) / elapsedMs);
  const busy = shares.sort((a, b) => b - a).slice(0, held.length);
  const flavor = await kernelFlavor(TEST_HOME);
  record(`idle machine, ${flavor} kernel: share of a core`, '%', busy, flavor === 'tickless' ? 0.5 : 6);
  await Promise.all(held.map(deleteVm));
}

function report(startedAt: Date, readyMs: number): void {
  const rows = figures.map(({ name, unit, samples, bar }) => ({
    figure: name,
    p50: +quantile(samples, 0.5).toFixed(2),
    p95: +quantile(samples, 0.95).toFixed(2),
    min: +Math.min(...samples).toFixed(2),
    unit,
    n: samples.length,
    bar: bar === undefined ? '' : `${quantile(samples, 0.5) < bar ? 'met' : 'MISSED'} (< ${bar})`,
  }));
  console.log('');
  console.table(rows);
  const file = options.output ?? path.join(import.meta.dirname, 'results', `${startedAt.toISOString().slice(0, 16).replace(':', '')}.json`);
  mkdirSync(path.dirname(file), { recursive: true });
  const machine = {
    cpu: os.cpus()[0]?.model, cores: os.cpus().length, memoryGiB: Math.round(os.totalmem() / 2 ** 30), kernel: os.release(),
    node: process.version, loadAverage: os.loadavg().map((load) => +load.toFixed(2)),
  };
  writeFileSync(file, `${JSON.stringify({ startedAt: startedAt.toISOString(), machine, stackReadyMs: readyMs, figures: rows, samples: figures }, undefined, 1)}\n`);
  console.log(`Written to ${path.relative(process.cwd(), file)}`);
}

await prepareKernel(TEST_HOME, options.kernel);
const startedAt = new Date();
console.log('Starting a Corral of its own …');
const stack = remember(await launch(TEST_HOME, await getPort()));
try {
  await measure();
  report(startedAt, stack.readyMs);
} finally {
  await shutDown(stack.launcherPid);
  forget();
}
