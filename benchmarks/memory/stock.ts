import { fork } from 'node:child_process';
import path from 'node:path';
import { guestImages } from '@corral/testing';
import { type Figures, quantile } from './figures.ts';

/** One restore of each kind, in one process. */
export interface StockSample {
  readonly oursMs: number;
  readonly stockMs: number;
  readonly oursMiB: number;
  readonly stockMiB: number;
}

/** Our restore against upstream's `restore_state`, of the same guest: in one process, which is thrown away. */
export async function measureStock(figures: Figures, memoryMiB: number, count: number): Promise<void> {
  console.log(`\nRestore of ${memoryMiB} MiB, ours and stock restore_state`);
  const samples = await compare(memoryMiB, count);
  const ours = quantile(samples.map(({ oursMs }) => oursMs), 0.5);
  const stock = quantile(samples.map(({ stockMs }) => stockMs), 0.5);
  const ratios = samples.map(({ oursMs, stockMs }) => stockMs / oursMs);
  figures.add({ name: `restore ${memoryMiB} MiB vs stock restore_state: time`, unit: '×', bar: 5, moonshot: 15, isGain: true }, stock / ours, ratios, `${ours.toFixed(1)} ms against ${stock.toFixed(0)} ms`);
  const oursMiB = quantile(samples.map((sample) => sample.oursMiB), 0.5);
  const stockMiB = quantile(samples.map((sample) => sample.stockMiB), 0.5);
  const gains = samples.map((sample) => sample.stockMiB / sample.oursMiB);
  figures.add({ name: `restore ${memoryMiB} MiB vs stock restore_state: private guest RAM`, unit: '×', bar: 100, moonshot: 500, isGain: true }, stockMiB / oursMiB, gains, `${oursMiB.toFixed(2)} MiB against ${stockMiB.toFixed(0)} MiB`);
}

async function compare(memoryMiB: number, count: number): Promise<readonly StockSample[]> {
  const images = await guestImages();
  const image = await images.image('linux-minimal');
  const child = fork(path.join(import.meta.dirname, 'stock.main.ts'), [JSON.stringify({ image, firmwareDirectory: images.firmwareDirectory, memoryMiB, count })], {
    execArgv: ['--conditions=@corral/source', '--disable-warning=ExperimentalWarning', '--expose-gc'],
  });
  return new Promise((resolve, reject) => {
    child.once('message', (samples) => resolve(samples as StockSample[]));
    child.once('exit', (code) => reject(new Error(`the comparison ended with ${code}`)));
  });
}
