import { type Lease, type ObjectClient, Problem } from '@corral/contracts';
import { NodeLease } from './lease.ts';
import { type Moment } from './steady-clock.ts';

let now: { monotonicMs: number; uptimeMs: number };
let stored: Lease | undefined;
let answers: () => void;
let reclaimed: number;
let mayReclaim: boolean;
let lease: NodeLease;
beforeEach(() => {
  [now, stored, reclaimed, mayReclaim, answers] = [{ monotonicMs: 0, uptimeMs: 0 }, undefined, 0, true, () => undefined];
  const keep = async (_kind: unknown, object: Lease): Promise<Lease> => {
    answers();
    return (stored = object);
  };
  lease = new NodeLease({
    client: { get: async () => stored, create: keep, replace: keep } as unknown as ObjectClient,
    nodeName: 'worker-1',
    termSeconds: 40,
    clock: { now: () => new Date('2026-01-01T00:00:00Z') },
    steadyClock: { now: (): Moment => ({ ...now }) },
    async reclaim() {
      if (!mayReclaim) throw new Error('the API does not say what is still ours');
      reclaimed += 1;
    },
  });
});
const pass = (ms: number): void => {
  now.monotonicMs += ms;
  now.uptimeMs += ms;
};

describe('A node’s Lease', () => {
  it('is not held before the first renewal, and for one term after each', async () => {
    expect(lease.isHeld).toBe(false);
    await lease.renew();
    expect([lease.isHeld, stored?.spec?.leaseDurationSeconds]).toEqual([true, 40]);
    pass(39_999);
    expect(lease.isHeld).toBe(true);
    pass(1);
    expect(lease.isHeld).toBe(false);
  });

  it('counts from before the API was asked: it may have taken the renewal long before it answers', async () => {
    answers = () => pass(30_000);
    await lease.renew();
    expect(lease.remainingMs).toBe(10_000);
  });

  it('ends by whichever clock went on: the process was stopped, or its host slept', async () => {
    await lease.renew();
    now.uptimeMs += 40_000;
    expect(lease.isHeld).toBe(false);
    await lease.renew();
    now.monotonicMs += 40_000;
    expect(lease.isHeld).toBe(false);
  });

  it('is held again only after what was given away has ended, and needs no such look while it was held', async () => {
    await lease.renew();
    pass(10_000);
    await lease.renew();
    expect(reclaimed).toBe(1);
    pass(40_000);
    mayReclaim = false;
    await expect(lease.renew()).rejects.toThrow();
    expect(lease.isHeld).toBe(false);
    mayReclaim = true;
    await lease.renew();
    expect([lease.isHeld, reclaimed]).toEqual([true, 2]);
  });

  it('is not extended by a renewal that failed', async () => {
    await lease.renew();
    pass(30_000);
    answers = () => {
      throw new Problem('dependency.unavailable', 'no');
    };
    await expect(lease.renew()).rejects.toThrow();
    pass(10_000);
    expect(lease.isHeld).toBe(false);
  });
});
