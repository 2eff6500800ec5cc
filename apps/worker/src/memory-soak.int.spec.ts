import { HostMemory } from '@corral/memory';
import { jest } from '@jest/globals';
import { Corral } from '../test/corral.ts';
import { MemorySoak } from '../test/memory-soak.ts';

const SECONDS = 90;
jest.setTimeout(420_000);

let corral: Corral;
beforeAll(async () => {
  corral = await Corral.start();
});
afterAll(() => corral?.stop());

// The long one is `npm run soak`.
(HostMemory.probe().capability.mode === 'Full' ? it : it.skip)('a guest finds every byte it wrote, whatever happens to its memory', async () => {
  const result = await new MemorySoak({ corral, seconds: SECONDS, seed: 20_261_120, files: 60, onStep: () => undefined }).run();
  expect(result.wrong).toEqual([]);
  expect(result.comparisons).toBeGreaterThan(200);
});
