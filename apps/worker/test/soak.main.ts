import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Corral } from './corral.ts';
import { MemorySoak } from './memory-soak.ts';
import { SwapServer } from './swap-server.ts';

/** `npm run soak`: the memory engine, for as long as one likes, with a real guest on a whole Corral of its own. */
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '20' },
    files: { type: 'string', default: '80' },
    seed: { type: 'string', default: String(process.pid) },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (values.help) {
  console.log(`Usage: npm run soak -- [options]

Fills a guest's memory with bytes that are known, and compares them again and again while its memory is swapped, snapshotted, forked (from
snapshots, and as it runs), rolled back, paused, hibernated and squeezed at random, and while what it swaps to forgets, hangs, dies or loses pages. Ends with exit code 1 at the first wrong byte.

Options:
  --minutes N   how long (20)
  --files N     files of 300 KiB in the guest (80)
  --seed N      the same steps for the same seed; any other by default
  --help        this text`);
  process.exit(0);
}
const [minutes, files, seed] = [values.minutes, values.files, values.seed].map(Number);
if (minutes === undefined || files === undefined || seed === undefined || !(minutes > 0) || !(files >= 1 && files <= 120) || !Number.isSafeInteger(seed)) {
  console.error('soak: --minutes must be above 0, --files from 1 to 120, --seed a whole number');
  process.exit(1);
}

console.log(`Starting; seed ${seed}`);
const home = await mkdtemp(join(tmpdir(), 'corral-soak-'));
const swap = await SwapServer.start(home);
const corral = await Corral.start({ CORRAL_SWAP_REDIS_URL: swap.url });
let isRight = false;
try {
  const seconds = minutes * 60;
  const result = await new MemorySoak({
    corral, swap, seconds, seed, files,
    onStep: ({ number, name, tookMs, elapsedMs }) => {
      const percent = Math.min(100, Math.floor((elapsedMs / 1_000 / seconds) * 100));
      console.log(`${String(percent).padStart(3)}%  ${String(Math.round(elapsedMs / 1_000)).padStart(5)} s  step ${number}: ${name} (${(tookMs / 1_000).toFixed(1)} s)`);
    },
  }).run();
  console.log(JSON.stringify(result, undefined, 2));
  isRight = result.wrong.length === 0;
} finally {
  await corral.stop();
  await swap.stop();
  await rm(home, { recursive: true, force: true });
}
console.log(isRight ? 'No wrong byte' : 'WRONG BYTES');
process.exit(isRight ? 0 : 1);
