import { emptyNode } from './emptying.ts';

const ask = async (): Promise<void> => undefined;
const took = async (work: Promise<void>): Promise<number> => {
  const begun = performance.now();
  await work;
  return performance.now() - begun;
};

describe('A node agent that has its machines moved before it stops', () => {
  it('waits for as long as they are on their way, and not a moment after the last has left', async () => {
    let live = 2;
    setTimeout(() => (live = 1), 150);
    setTimeout(() => (live = 0), 300);
    const ms = await took(emptyNode({ ask, liveCount: () => live, movingCount: () => live }, 5_000, 100));
    expect(ms).toBeGreaterThanOrEqual(290);
    expect(ms).toBeLessThan(2_500);
  });

  it('gives up on machines that nobody takes', async () => {
    expect(await took(emptyNode({ ask, liveCount: () => 1, movingCount: () => 0 }, 60_000, 100))).toBeLessThan(2_500);
  });

  it('gives up at its deadline, and at once where there is nothing to move or no API', async () => {
    expect(await took(emptyNode({ ask, liveCount: () => 1, movingCount: () => 1 }, 200, 100))).toBeLessThan(2_500);
    expect(await took(emptyNode({ ask, liveCount: () => 0, movingCount: () => 0 }, 60_000))).toBeLessThan(1_000);
    expect(await took(emptyNode({ ask: () => Promise.reject(new Error('no API')), liveCount: () => 1, movingCount: () => 0 }, 60_000))).toBeLessThan(1_000);
  });
});
