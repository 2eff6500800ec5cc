import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { count, programOptions } from '@corral/testing';
import { Corral } from './corral.ts';
import { MemorySoak } from './memory-soak.ts';
import { SwapServer } from './swap-server.ts';

/**
 * `npm run soak`: fills a guest's memory with bytes that are known, and compares them again and again while its memory is swapped, snapshotted, forked
 * (from snapshots, and as it runs), rolled back, paused, hibernated and squeezed at random, and while what it swaps to forgets, hangs, dies or loses
 * pages: for as long as one likes, on a whole Corral of its own. Ends with exit code 1 at the first wrong byte.
 */
const { minutes, files, seed } = programOptions('npm run soak', {
  minutes: count(20, 'how long'),
  files: count(80, 'files of 300 KiB in the guest'),
  seed: { ...count(process.pid, ''), help: 'the same steps for the same seed; any other unless told' },
});
if (!(minutes > 0) || !(files >= 1 && files <= 120) || !Number.isSafeInteger(seed)) {
  console.error('npm run soak: --minutes must be above 0, --files from 1 to 120, --seed a whole number');
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
