import fc from 'fast-check';
import { parseSample, UsageHistory, type ProcessSample } from './usage.ts';

const sample = (atMs: number, cpuSeconds: number): ProcessSample => ({ atMs, cpuSeconds, privateBytes: 1 });

describe('a sample of a process', () => {
  const STAT = '4711 (node) (x) 1) S 1 4711 4711 0 -1 4194304 1 0 0 0 250 50 0 0 20 0 11 0 100 1 1 18446744073709551615';

  it('counts user and system time, whatever the process calls itself', () => {
    expect(parseSample(STAT, 'Name:\tnode\nRssAnon:\t    2048 kB\n', 7)).toEqual({ atMs: 7, cpuSeconds: 3, privateBytes: 2 * 1024 * 1024 });
  });

  it.each([['', ''], [STAT, ''], ['nonsense', 'RssAnon: 1 kB']])('of a process that has gone is none', (stat, status) => {
    expect(parseSample(stat, status, 0)).toBeUndefined();
  });
});

describe('use over time', () => {
  it('is what was used between two samples, by the time between them', () => {
    const history = new UsageHistory();
    history.record(new Map([['a', sample(0, 1)]]));
    expect(history.usageOf('a', sample(10_000, 6))).toEqual({ cpuCores: 0.5, memoryBytes: 1, windowSeconds: 10 });
  });

  it('is unknown until the process was seen for a while', () => {
    const history = new UsageHistory();
    history.record(new Map([['a', sample(0, 1)]]));
    expect(history.usageOf('a', sample(500, 1))).toBeUndefined();
    expect(history.usageOf('b', sample(90_000, 1))).toBeUndefined();
  });

  it('goes back to the sample before when the last one was taken just now', () => {
    const history = new UsageHistory();
    history.record(new Map([['a', sample(0, 0)]]));
    history.record(new Map([['a', sample(15_000, 3)]]));
    expect(history.usageOf('a', sample(15_100, 3.02))?.windowSeconds).toBe(15.1);
  });

  it('forgets processes that have gone', () => {
    const history = new UsageHistory();
    history.record(new Map([['a', sample(0, 0)]]));
    history.record(new Map());
    expect(history.usageOf('a', sample(60_000, 1))).toBeUndefined();
  });

  it('is never negative and never of a time that is none', () => {
    const times = fc.array(fc.tuple(fc.integer({ min: 0, max: 30_000 }), fc.float({ min: 0, max: 30, noNaN: true })), { minLength: 2, maxLength: 12 });
    fc.assert(
      fc.property(times, (steps) => {
        const history = new UsageHistory();
        let now = sample(0, 0);
        for (const [ms, cpu] of steps) {
          now = sample(now.atMs + ms, now.cpuSeconds + cpu);
          const usage = history.usageOf('a', now);
          if (usage) expect(usage.cpuCores >= 0 && usage.windowSeconds > 0).toBe(true);
          history.record(new Map([['a', now]]));
        }
      }),
    );
  });
});
