import { RecentDemand } from './recent-demand.ts';

const MINUTE_MS = 60_000;

describe('how many processes wait', () => {
  it('is the minimum while nobody asks, and never more than the maximum', () => {
    const demand = new RecentDemand({ minimum: 2, maximum: 8 });
    expect(demand.target(0)).toBe(2);
    for (let start = 0; start < 50; start += 1) demand.took(start);
    expect(demand.target(100)).toBe(8);
  });

  it('is as many as the largest burst took', () => {
    const demand = new RecentDemand({ minimum: 2, maximum: 30 });
    for (let start = 0; start < 20; start += 1) demand.took(start * 100);
    for (let start = 0; start < 3; start += 1) demand.took(MINUTE_MS + start);
    expect(demand.target(2 * MINUTE_MS)).toBe(20);
  });

  it('does not add up starts that come one after the other', () => {
    const demand = new RecentDemand({ minimum: 1, maximum: 30 });
    for (let start = 0; start < 20; start += 1) demand.took(start * 6_000);
    expect(demand.target(20 * 6_000)).toBe(1);
  });

  it('forgets a burst after a quarter of an hour', () => {
    const demand = new RecentDemand({ minimum: 2, maximum: 30 });
    for (let start = 0; start < 10; start += 1) demand.took(start);
    expect(demand.target(14 * MINUTE_MS)).toBe(10);
    expect(demand.target(16 * MINUTE_MS)).toBe(2);
  });
});
