import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HostMemory } from '@corral/memory';
import { jest } from '@jest/globals';
import { Corral } from '../test/corral.ts';
import { MemorySoak } from '../test/memory-soak.ts';
import { SwapServer } from '../test/swap-server.ts';

const SECONDS = 90;
jest.setTimeout(420_000);

let home: string;
let swap: SwapServer;
let corral: Corral;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'corral-soak-'));
  swap = await SwapServer.start(home);
  corral = await Corral.start({ CORRAL_SWAP_REDIS_URL: swap.url });
});
afterAll(async () => {
  await corral?.stop();
  await swap?.stop();
  await rm(home, { recursive: true, force: true });
});

// The long one is `npm run soak`.
(HostMemory.probe().capability.mode === 'Full' ? it : it.skip)('a guest finds every byte it wrote, whatever happens to its memory', async () => {
  const result = await new MemorySoak({ corral, swap, seconds: SECONDS, seed: 20_261_120, files: 60, onStep: () => undefined }).run();
  expect(result.wrong).toEqual([]);
  expect(result.comparisons).toBeGreaterThan(200);
});
