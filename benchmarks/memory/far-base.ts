import { fork } from 'node:child_process';
import path from 'node:path';
import { type Figures, quantile } from './figures.ts';

/** One start: to the first right answer, and how often the machine stood still for what was not there. */
interface Sample {
  readonly ms: number;
  readonly askedFrames: number;
}
type Samples = Record<'near' | 'whole' | 'demand', readonly Sample[]>;

/** A machine's start on a node that has nothing of its snapshot's base, 30 ms and 100 Mbit/s from the object store: all of it waited for, or fetched on demand. */
export async function measureFarBase(figures: Figures, count: number): Promise<void> {
  console.log('\nStart on a node that has to fetch the base');
  const { near, whole, demand } = await measured(count);
  const [nearMs, wholeMs, demandMs] = [near, whole, demand].map((samples) => quantile(samples.map(({ ms }) => ms), 0.5));
  if (nearMs === undefined || wholeMs === undefined || demandMs === undefined) throw new Error('nothing was measured');
  const asked = quantile(demand.map(({ askedFrames }) => askedFrames), 0.5);
  figures.add(
    { name: 'start on a node without the base, added by fetching it: all of it waited for, against on demand', unit: '×', bar: 2, moonshot: 5, isGain: true },
    (wholeMs - nearMs) / (demandMs - nearMs),
    demand.map(({ ms }) => (wholeMs - nearMs) / (ms - nearMs)),
    `first answer after ${demandMs.toFixed(0)} ms, with ${asked} frames waited for; ${wholeMs.toFixed(0)} ms where all is waited for, ${nearMs.toFixed(0)} ms where it is there`,
  );
}

/** In a process of its own, as the worker's tests have it. */
function measured(count: number): Promise<Samples> {
  const program = path.join(import.meta.dirname, '../../apps/worker/test/far-base.main.ts');
  const child = fork(program, [String(count)], { execArgv: ['--conditions=@corral/source', '--disable-warning=ExperimentalWarning'] });
  return new Promise((resolve, reject) => {
    child.once('message', (samples) => resolve(samples as Samples));
    child.once('exit', (code) => reject(new Error(`the measurement ended with ${code}`)));
  });
}
