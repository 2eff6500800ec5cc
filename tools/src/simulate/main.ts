/**
 * `npm run simulate`: a control plane under a thousand fake node agents that speak the real protocol. Prints what it sees and
 * writes benchmarks/results/<date>-simulation.json with the machine it ran on, and its chart to docs/.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { chartOf } from './chart.ts';
import { simulate, type SimulationResult } from './simulation.ts';

const ROOT = resolve(import.meta.dirname, '../../..');
const USAGE = `npm run simulate -- [options]
  --nodes N[,N…]     fake nodes; several numbers are several runs (125,250,500,1000)
  --machines N       machines for every node (20)
  --bulk N           so many of them are created at once, and bound when all are there (5000)
  --ramp N           of the others, at most so many are on their way to Running (400)
  --steadySeconds N  how long rest is measured (60)
  --samples N        machines created one after another for latencies (50)
  --output FILE      where the JSON goes (benchmarks/results/<date>-simulation.json)
  --chart FILE       where the chart goes (docs/scale.svg)
  --nodeArguments F  flags of Node for the control plane, e.g. --cpu-prof`;

const { values: options } = parseArgs({
  options: {
    help: { type: 'boolean', short: 'h', default: false },
    nodes: { type: 'string', default: '125,250,500,1000' },
    machines: { type: 'string', default: '20' },
    bulk: { type: 'string', default: '5000' },
    ramp: { type: 'string', default: '400' },
    steadySeconds: { type: 'string', default: '60' },
    samples: { type: 'string', default: '50' },
    output: { type: 'string' },
    chart: { type: 'string' },
    nodeArguments: { type: 'string', default: '' },
  },
});
if (options.help) {
  console.log(USAGE);
  process.exit(0);
}

const runs: (SimulationResult & { readonly loadAverage: { readonly before: number[]; readonly after: number[] } })[] = [];
const date = new Date().toISOString().slice(0, 10);
const machine = { cpu: os.cpus()[0]?.model ?? 'unknown', cores: os.cpus().length, memoryGiB: Math.round(os.totalmem() / 1024 ** 3), node: process.version };
for (const text of options.nodes.split(',')) {
  const nodes = Number(text);
  const say = (line: string): void => console.log(`  ${new Date().toISOString().slice(11, 19)} ${line}`);
  console.log(`${nodes} nodes, ${nodes * Number(options.machines)} machines`);
  const loadBefore = os.loadavg();
  const result = await simulate({
    root: ROOT,
    environment: process.env,
    nodes,
    machines: nodes * Number(options.machines),
    agentsPerProcess: 500,
    bulk: Number(options.bulk),
    ramp: Number(options.ramp),
    steadySeconds: Number(options.steadySeconds),
    samples: Number(options.samples),
    nodeArguments: options.nodeArguments.split(' ').filter((flag) => flag !== ''),
    say,
  });
  console.log(JSON.stringify(result, undefined, 1));
  runs.push({ ...result, loadAverage: { before: loadBefore, after: os.loadavg() } });
  runs.sort((a, b) => a.nodes - b.nodes);
  // After each run: whoever has no more time keeps what there is.
  write(options.output ?? `benchmarks/results/${date}-simulation.json`, `${JSON.stringify({ date, machine, runs }, undefined, 2)}\n`);
  if (runs.length > 1 || options.chart !== undefined) write(options.chart ?? 'docs/scale.svg', chartOf(runs));
}
process.exit(0);

function write(file: string, text: string): void {
  const path = resolve(ROOT, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  console.log(`written: ${file}`);
}
