import { jest } from '@jest/globals';
import { chmodSync, truncateSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { SnapshotBase } from '@corral/contracts';
import { decodeManifest } from '@corral/memory';
import { until } from '@corral/testing';
import { pino } from 'pino';
import { BaseImages, type HeldBase } from '../bases/base-images.ts';
import { type BaseMemoryKind, inFiles, inSealedMemory } from '../bases/base-memory.ts';
import { baseSourceOf } from '../bases/base-source.ts';
import { ForkedVm } from './forked-vm.testing.ts';
import { booted, type GuestConfig, linuxMachine } from './guest-config.testing.ts';

jest.setTimeout(240_000);
afterAll(() => ForkedVm.disposeAll());

let config: GuestConfig;
let source: ForkedVm;
let folder: string;

beforeAll(async () => {
  config = await linuxMachine();
  source = await booted(config);
  await source.exec('echo kept > /tmp/kept');
  await idle(source.pid);
  folder = await source.emptyFolder('snapshot');
  expect(await source.send({ type: 'Snapshot', directory: folder })).toMatchObject({ ok: true });
});

/** Waits until the guest has done what start-up left for later: every machine from its snapshot would do it again, in memory of its own. */
async function idle(pid: number): Promise<void> {
  const clockTicks = async (): Promise<number> => {
    const [, fields = ''] = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ');
    const [user, system] = fields.split(' ').slice(11, 13).map(Number);
    return (user ?? 0) + (system ?? 0);
  };
  let [last, quietSinceMs] = [await clockTicks(), performance.now()];
  await until(
    async () => {
      const now = await clockTicks();
      // A tenth of a core.
      if (now - last > 10) quietSinceMs = performance.now();
      last = now;
      return performance.now() - quietSinceMs > 5_000;
    },
    { timeoutMs: 120_000, everyMs: 1_000, what: 'an idle guest' },
  );
}

async function started(uid: string, base: SnapshotBase | undefined, directory = folder): Promise<ForkedVm> {
  const vm = await ForkedVm.fork({ ...config, uid });
  await vm.start({ type: 'Snapshot', directory, packs: folder, ...(base ? { base } : {}) });
  await vm.until('AgentAnswered');
  return vm;
}

async function basesOf(name: string, kinds: (directory: string) => BaseMemoryKind[]): Promise<{ readonly bases: BaseImages; hold(): Promise<HeldBase> }> {
  const directory = await source.emptyFolder(`bases-${name}`);
  const bases = new BaseImages({ directory, maxBytes: 0, log: pino({ level: 'silent' }), now: () => performance.now(), kinds: kinds(directory) });
  return {
    bases,
    async hold() {
      const manifest = decodeManifest(await readFile(join(folder, 'manifest.json')));
      const source = baseSourceOf({ manifest, packPath: ({ sha256 }) => join(folder, sha256) });
      const held = source && (await bases.hold(source));
      if (!held) throw new Error('there is no base');
      return held;
    },
  };
}

/** What a process has of its own of the memory it maps, and what it sees of it altogether. Source: proc_pid_smaps(5). */
async function mappedKib(pid: number): Promise<{ readonly own: number; readonly seen: number }> {
  const all = (await readFile(`/proc/${pid}/smaps`, 'utf8')).split(/\n(?=[0-9a-f]+-[0-9a-f]+ )/);
  const mappings = all.filter((text) => /corral-base-|\/bases-/.test(text.split('\n', 1)[0] ?? ''));
  const sum = (field: string): number =>
    mappings.reduce((total, text) => total + Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0), 0);
  return { own: sum('Anonymous'), seen: sum('Rss') };
}

describe.each([
  ['sealed memory', (): BaseMemoryKind[] => [inSealedMemory]],
  ['a file, where the host has no such memory', (directory: string): BaseMemoryKind[] => [inFiles(directory)]],
])('machines from a base in %s', (where, kinds) => {
  it('share what they only read, and never what they write', async () => {
    const { bases, hold } = await basesOf(where.replaceAll(/\W/g, '-'), kinds);
    const held = await hold();
    const [left, right] = await Promise.all([started('left', held.base), started('right', held.base)]);
    await left.exec('echo left > /tmp/kept');
    const { own, seen } = await mappedKib(left.pid);
    expect(seen).toBeGreaterThan(own);
    // After its first command. The figure to reach is 1 MiB, and is met on a machine that does nothing else.
    expect(own).toBeLessThan(1536);
    expect((await left.exec('cat /tmp/kept')).stdout).toBe('left\n');
    expect((await right.exec('cat /tmp/kept')).stdout).toBe('kept\n');
    // A snapshot holds what a machine reads as well as what it wrote.
    const again = await right.emptyFolder('of-mapped');
    expect(await right.send({ type: 'Snapshot', directory: again })).toMatchObject({ ok: true });
    expect((await (await started('again', undefined, again)).exec('cat /tmp/kept')).stdout).toBe('kept\n');
    await Promise.all([left.dispose(), right.dispose()]);
    held.release();
    expect(bases.totals).toMatchObject({ bases: 0, storedBytes: 0, users: 0 });
  });

  it('run on when it is gone: its holder, its name, and all', async () => {
    const { bases, hold } = await basesOf(`gone-${where.length}`, kinds);
    const vm = await started('survivor', (await hold()).base);
    bases.close();
    expect((await vm.exec('cat /tmp/kept; find /bin /usr -type f -exec cat {} + | wc -c')).stdout).toMatch(/^kept\n\d+\n$/);
    await vm.dispose();
  });
});

it('a machine whose base is cut short under it ends at once, and reads nothing else instead', async () => {
  const { bases, hold } = await basesOf('cut-in-use', (directory) => [inFiles(directory)]);
  const { base } = await hold();
  const vm = await started('cut-in-use', base);
  chmodSync((base.ram as { path: string }).path, 0o600);
  truncateSync((base.ram as { path: string }).path, 4096);
  vm.exec('find /bin /usr -type f -exec cat {} + | wc -c').catch(() => undefined);
  expect(await vm.until('Exited')).toMatchObject({ signal: 'SIGBUS' });
  bases.close();
});

describe('a machine whose base cannot be mapped is copied, and says so:', () => {
  const comesUp = async (base: SnapshotBase): Promise<void> => {
    const vm = await started('copied', base);
    expect((await vm.exec('cat /tmp/kept')).stdout).toBe('kept\n');
    expect((await mappedKib(vm.pid)).seen).toBe(0);
    await vm.dispose();
  };

  it('it is of another snapshot', async () => {
    const { bases, hold } = await basesOf('another', () => [inSealedMemory]);
    await comesUp({ ...(await hold()).base, sha256: '0'.repeat(64) });
    bases.close();
  });

  it('whoever held it is gone', async () => {
    const { bases, hold } = await basesOf('dead', () => [inSealedMemory]);
    const { base } = await hold();
    bases.close();
    await comesUp(base);
  });

  it('the file was cut short', async () => {
    const { bases, hold } = await basesOf('cut', (directory) => [inFiles(directory)]);
    const { base } = await hold();
    chmodSync((base.ram as { path: string }).path, 0o600);
    truncateSync((base.ram as { path: string }).path, 4096);
    await comesUp(base);
    bases.close();
  });

  it('the file was removed', async () => {
    const { bases, hold } = await basesOf('removed', (directory) => [inFiles(directory)]);
    const { base } = await hold();
    await rm((base.ram as { path: string }).path);
    await comesUp(base);
    bases.close();
  });
});
