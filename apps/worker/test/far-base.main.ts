import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { decodeManifest } from '@corral/memory';
import { until } from '@corral/testing';
import { pino } from 'pino';
import { BaseImages, type BaseSource } from '../src/bases/base-images.ts';
import { baseMemoryKinds } from '../src/bases/base-memory.ts';
import { baseSourceOf } from '../src/bases/base-source.ts';
import { ForkedVm } from '../src/vm-process/forked-vm.testing.ts';
import { booted, type GuestConfig, linuxMachine } from '../src/vm-process/guest-config.testing.ts';

/** An object store some way off: each request waits for its answer, and all share one line. */
const LATENCY_MS = 30;
const LINE_BYTES_PER_MS = 12_500;
const CHUNK_BYTES = 64 * 1024;
/** What start-up has not done by then every machine would do again. */
const SETTLE_MS = 12_000;

/** The base is in memory already; all of it is waited for; it is fetched as it is touched. */
const WAYS = ['near', 'whole', 'demand'] as const;
type Way = (typeof WAYS)[number];

interface Sample {
  readonly ms: number;
  readonly askedFrames: number;
}

/**
 * Starts on a node that has nothing of a snapshot's base: when all of it is waited for, and when it is fetched as the machine touches it. A VM
 * process that waits, as the node agent uses it; without the API. Told how many of each to make, and sends the samples to its parent.
 */
async function measure(count: number): Promise<Record<Way, readonly Sample[]>> {
  const config = await linuxMachine();
  const source = await booted(config);
  await delay(SETTLE_MS);
  const folder = await source.emptyFolder('snapshot');
  const reply = await source.send({ type: 'Snapshot', directory: folder });
  if (!reply.ok) throw new Error(reply.message);
  const far = new FarBase(config, folder);
  // The first one shows what machines touch.
  await far.start('demand');
  const samples: Record<Way, Sample[]> = { near: [], whole: [], demand: [] };
  for (let run = 0; run < count; run += 1) for (const way of WAYS) samples[way].push(await far.start(way));
  return samples;
}

class FarBase {
  readonly #config: GuestConfig;
  readonly #folder: string;
  #workingSet: readonly number[] = [];

  constructor(config: GuestConfig, folder: string) {
    this.#config = config;
    this.#folder = folder;
  }

  /** On a node of its own. */
  async start(way: Way): Promise<Sample> {
    const directory = mkdtempSync(path.join(tmpdir(), 'corral-far-'));
    const bases = new BaseImages({ directory, maxBytes: 0, log: pino({ level: 'silent' }), now: () => performance.now(), kinds: baseMemoryKinds(directory), observeAfterMs: 3_000 });
    const vm = await ForkedVm.fork({ ...this.#config, uid: 'far' });
    try {
      const source = await this.#source();
      if (way === 'near') await bases.prepare(source);
      const begunMs = performance.now();
      const held = await bases.hold(source, { mayBePartial: way === 'demand' });
      if (!held) throw new Error('there is no room for the base');
      await vm.start({ type: 'Snapshot', directory: this.#folder, packs: this.#folder, base: held.base });
      await vm.until('AgentAnswered');
      const { stdout } = await vm.exec('echo $((6*7))');
      if (stdout !== '42\n') throw new Error(`the guest answered ${JSON.stringify(stdout)}`);
      const sample = { ms: performance.now() - begunMs, askedFrames: bases.totals.askedFrames };
      held.begins(vm.pid);
      if (this.#workingSet.length === 0) await until(() => this.#workingSet.length > 0, { timeoutMs: 60_000, what: 'what it touches' });
      return sample;
    } finally {
      await vm.dispose();
      bases.close();
      rmSync(directory, { recursive: true, force: true });
    }
  }

  async #source(): Promise<BaseSource> {
    const manifest = decodeManifest(await readFile(path.join(this.#folder, 'manifest.json')));
    const near = baseSourceOf({ manifest, packPath: ({ sha256 }) => path.join(this.#folder, sha256) });
    if (!near) throw new Error('the snapshot has no base');
    const line = new Line();
    return {
      ...near,
      workingSet: { read: async () => this.#workingSet, write: async (frames) => void (this.#workingSet = frames) },
      open: async () => {
        const pack = await near.open();
        return {
          ...pack,
          isRemote: true,
          async read(offset, length) {
            await delay(LATENCY_MS);
            for (let at = 0; at < length; at += CHUNK_BYTES) await line.carry(Math.min(CHUNK_BYTES, length - at));
            return pack.read(offset, length);
          },
        };
      },
    };
  }
}

/** What many carry over it comes piece by piece, in turns. */
class Line {
  #freeAtMs = 0;

  async carry(bytes: number): Promise<void> {
    const nowMs = performance.now();
    this.#freeAtMs = Math.max(this.#freeAtMs, nowMs) + bytes / LINE_BYTES_PER_MS;
    await delay(this.#freeAtMs - nowMs);
  }
}

try {
  process.send?.(await measure(Number(process.argv[2])));
} finally {
  await ForkedVm.disposeAll();
}
process.disconnect();
