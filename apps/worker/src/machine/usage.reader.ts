import { readFile } from 'node:fs/promises';
import { type Clock } from '@corral/base';
import { type NodeUsage } from '@corral/contracts';
import { type Supervisor } from './supervisor.ts';
import { parseSample, UsageHistory, type ProcessSample } from './usage.ts';

/** Between two samples: as far back as a rate may reach. */
const SAMPLE_INTERVAL_MS = 15_000;
const SELF = 'node-agent';

/** What the processes of this node use, as the host tells. */
export class UsageReader {
  readonly #supervisor: Supervisor;
  readonly #clock: Clock;
  readonly #history = new UsageHistory();
  readonly #sampling: NodeJS.Timeout;

  constructor(supervisor: Supervisor, clock: Clock) {
    this.#supervisor = supervisor;
    this.#clock = clock;
    this.#sampling = setInterval(() => void this.#record(), SAMPLE_INTERVAL_MS);
    void this.#record();
  }

  close(): void {
    clearInterval(this.#sampling);
  }

  async read(): Promise<NodeUsage> {
    const samples = await this.#sample();
    const usageOf = (key: string) => {
      const sample = samples.get(key);
      return sample && this.#history.usageOf(key, sample);
    };
    const machines = this.#supervisor.machines.flatMap((machine) => {
      const usage = usageOf(keyOf(machine));
      return usage ? [{ uid: machine.uid, namespace: machine.key.namespace, name: machine.key.name, usage }] : [];
    });
    const self = usageOf(SELF);
    const all = self && [self, ...machines.map(({ usage }) => usage)];
    const node = all && {
      cpuCores: all.reduce((sum, { cpuCores }) => sum + cpuCores, 0),
      memoryBytes: all.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0),
      windowSeconds: self.windowSeconds,
    };
    return { measuredAt: this.#clock.now().toISOString(), ...(node ? { node } : {}), machines };
  }

  async #record(): Promise<void> {
    this.#history.record(await this.#sample());
  }

  async #sample(): Promise<Map<string, ProcessSample>> {
    const processes = [[SELF, process.pid] as const, ...this.#supervisor.machines.map((machine) => [keyOf(machine), machine.pid] as const)];
    const samples = await Promise.all(processes.map(async ([key, pid]) => [key, pid === undefined ? undefined : await sampleOf(pid)] as const));
    return new Map(samples.flatMap(([key, sample]) => (sample ? [[key, sample] as const] : [])));
  }
}

/** A machine that was started anew is another process. */
const keyOf = ({ uid, pid }: { readonly uid: string; readonly pid: number | undefined }): string => `${uid}/${pid}`;

async function sampleOf(pid: number): Promise<ProcessSample | undefined> {
  const [stat, status] = await Promise.all(['stat', 'status'].map((file) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')));
  return parseSample(stat ?? '', status ?? '', performance.now());
}
