/** What a process has used so far. */
export interface ProcessSample {
  /** On the monotonic clock. */
  readonly atMs: number;
  readonly cpuSeconds: number;
  /** Memory that would be free without it: pages of its own, not those it shares with other processes. */
  readonly privateBytes: number;
}

/** Source: sysconf(_SC_CLK_TCK), which is 100 on every Linux of today. */
const TICKS_PER_SECOND = 100;
const KIB = 1024;
/** A rate over less than this says more about the moment than about the machine. */
const MINIMUM_WINDOW_MS = 2_000;

/**
 * Reads `/proc/<pid>/stat` and `/proc/<pid>/status`; undefined when they are not what they should be, as for a process
 * that ends just now. Sources: proc_pid_stat(5), fields 14 and 15; proc_pid_status(5), RssAnon.
 */
export function parseSample(stat: string, status: string, atMs: number): ProcessSample | undefined {
  // The second field is a name in parentheses, which may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  const rssAnonKib = Number(/^RssAnon:\s+(\d+) kB/m.exec(status)?.[1]);
  if (!Number.isFinite(ticks) || !Number.isFinite(rssAnonKib)) return undefined;
  return { atMs, cpuSeconds: ticks / TICKS_PER_SECOND, privateBytes: rssAnonKib * KIB };
}

/** Use between two samples: cores and bytes, and over which time. */
export interface Usage {
  readonly cpuCores: number;
  readonly memoryBytes: number;
  readonly windowSeconds: number;
}

/** The last samples of each process, by a key that a process never shares with another. */
export class UsageHistory {
  readonly #samples = new Map<string, readonly ProcessSample[]>();

  /** Takes the newest samples; processes that are not among them are forgotten. */
  record(samples: ReadonlyMap<string, ProcessSample>): void {
    for (const key of this.#samples.keys()) if (!samples.has(key)) this.#samples.delete(key);
    for (const [key, sample] of samples) this.#samples.set(key, [...(this.#samples.get(key) ?? []).slice(-1), sample]);
  }

  /** Use from the last sample that is old enough until now; undefined for a process not known for long enough. */
  usageOf(key: string, now: ProcessSample): Usage | undefined {
    const base = this.#samples.get(key)?.findLast(({ atMs }) => now.atMs - atMs >= MINIMUM_WINDOW_MS);
    if (!base) return undefined;
    const windowSeconds = (now.atMs - base.atMs) / 1_000;
    return { cpuCores: Math.max(0, now.cpuSeconds - base.cpuSeconds) / windowSeconds, memoryBytes: now.privateBytes, windowSeconds };
  }
}
