import { jest } from '@jest/globals';
import { existsSync, readFileSync } from 'node:fs';
import { copyFile, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BASE_LOST_EXIT_CODE, PAGER_HEARTBEAT_FILE, type MachineConfig } from '@corral/contracts';
import { decodeManifest, HostMemory } from '@corral/memory';
import { until } from '@corral/testing';
import { pino } from 'pino';
import { BaseImages, type HeldBase } from '../bases/base-images.ts';
import { inSealedMemory } from '../bases/base-memory.ts';
import { baseSourceOf } from '../bases/base-source.ts';
import { ForkedVm } from './forked-vm.testing.ts';
import { booted, type GuestConfig, linuxMachine } from './guest-config.testing.ts';

jest.setTimeout(400_000);
afterAll(() => ForkedVm.disposeAll());

/** What a guest can read of itself that does not change: what it came with, and many bytes that nobody can guess. */
const SUM_ALL = 'find / -xdev -type f ! -path "/etc/*" ! -path "/run/*" ! -path "/var/*" | sort | xargs md5sum; md5sum /dev/shm/*';
const RANDOM_BYTES = 8_000_000;
/** What somebody waits for is read alone, and is smaller than what nobody waits for. */
const MOST_ASKED_BYTES = 300_000;

let config: GuestConfig;
let source: ForkedVm;
let folder: string;
let sums: string;
let bases: BaseImages;
/** Reads of what nobody waits for come when it resolves. */
let rest: PromiseWithResolvers<void>;

beforeAll(async () => {
  config = await linuxMachine({ uid: 'source' });
  source = await booted(config);
  await source.exec(`dd if=/dev/urandom of=/dev/shm/random bs=${RANDOM_BYTES / 80} count=80`, { timeoutSeconds: 120 });
  sums = (await source.exec(SUM_ALL, { timeoutSeconds: 120 })).stdout;
  folder = await source.emptyFolder('snapshot');
  expect(await source.send({ type: 'Snapshot', directory: folder })).toMatchObject({ ok: true });
});
beforeEach(async () => {
  rest = Promise.withResolvers();
  bases = new BaseImages({ directory: await source.emptyFolder(`bases-${Math.random()}`), maxBytes: 0, log: pino({ level: 'silent' }), now: () => performance.now(), kinds: [inSealedMemory] });
});
afterEach(() => bases.close());

/** The base of a snapshot, of which nearly nothing is there yet. */
async function holdPartial(directory = folder): Promise<HeldBase> {
  const manifest = decodeManifest(await readFile(join(directory, 'manifest.json')));
  const near = baseSourceOf({ manifest, packPath: ({ sha256 }) => join(folder, sha256) });
  if (!near) throw new Error('the snapshot has no base');
  const held = await bases.hold(
    {
      ...near,
      async open() {
        const pack = await near.open();
        return {
          ...pack,
          isRemote: true,
          async read(offset, length) {
            if (length > MOST_ASKED_BYTES) await rest.promise;
            return pack.read(offset, length);
          },
        };
      },
    },
    { mayBePartial: true },
  );
  if (held?.base.requestsPath === undefined) throw new Error('the base is whole already');
  return held;
}

/** A machine from a snapshot, that has answered. */
async function started(vm: ForkedVm, { base }: HeldBase, directory = folder, packs = folder): Promise<ForkedVm> {
  await vm.start({ type: 'Snapshot', directory, packs, base });
  await vm.until('AgentAnswered');
  return vm;
}

/** Files that are named by a digest. */
async function copyPacks(from: string, to: string): Promise<void> {
  for (const name of await readdir(from)) if (/^[0-9a-f]{64}$/.test(name)) await copyFile(join(from, name), join(to, name));
}

const readOr = (path: string): string | undefined => (existsSync(path) ? readFileSync(path, 'utf8') : undefined);
const forked = (uid: string, more: Partial<MachineConfig> = {}): Promise<ForkedVm> => ForkedVm.fork({ ...config, ...more, uid });
const sumsOf = async (vm: ForkedVm): Promise<string> => (await vm.exec(SUM_ALL, { timeoutSeconds: 120 })).stdout;
const untilWhole = async (): Promise<void> => {
  rest.resolve();
  await until(() => bases.totals.fetchedBytes > 0, { timeoutMs: 120_000, what: 'the whole base' });
};

// Machines run on parts of a base only where the host tells of pages that are missing.
(HostMemory.probe().capability.mode === 'Full' ? describe : describe.skip)('a machine on a base that is not whole', () => {
  it('answers before it is, reads what one on a whole base reads, and so does what is made of it', async () => {
    const vms = await Promise.all([forked('one'), forked('other')]);
    const held = await holdPartial();
    const [one, other] = await Promise.all(vms.map((vm) => started(vm, held)));
    if (!one || !other) throw new Error('they did not start');
    expect(bases.totals.fetchedBytes).toBe(0);
    // Whose thread dies while the machine waits for it can only be seen from outside.
    const heartbeat = (vm: ForkedVm): string | undefined => readOr(join(vm.config.directory, PAGER_HEARTBEAT_FILE));
    const beat = heartbeat(one);
    expect(beat).toMatch(new RegExp(`^${one.pid} \\d+\\n$`));
    await until(() => heartbeat(one) !== beat, { timeoutMs: 10_000, what: 'the next beat' });
    // Written over what is missing, and what is left of it is zero.
    await other.exec('echo written > /dev/shm/written; truncate -s 100 /dev/shm/random; truncate -s 4096 /dev/shm/random');
    const [early, frozen] = await Promise.all([other.emptyFolder('early'), other.emptyFolder('frozen')]);
    expect(await other.send({ type: 'Snapshot', directory: early })).toMatchObject({ ok: true });
    expect(await other.send({ type: 'Freeze', directory: frozen })).toMatchObject({ ok: true });
    const fork = await forked('fork');
    await fork.start({ type: 'Frozen', directory: frozen, base: held.base });
    await fork.until('AgentAnswered');
    expect(bases.totals.fetchedBytes).toBe(0);
    expect(bases.totals.askedFrames).toBeGreaterThan(0);
    const [read, changed, ofFork] = await Promise.all([one, other, fork].map(sumsOf));
    expect(read).toBe(sums);
    expect(changed).not.toBe(sums);
    expect(ofFork).toBe(changed);
    // With the layer over the base, and nothing of the base there again.
    await untilWhole();
    await until(() => [one, other, fork].every((vm) => heartbeat(vm) === undefined), { timeoutMs: 20_000, what: 'the end of paging' });
    for (const vm of [one, fork]) expect(await sumsOf(vm)).toBe(vm === one ? sums : changed);
    await Promise.all([one, fork].map((vm) => vm.dispose()));
    held.release();
    expect(bases.totals.bases).toBe(0);
    const below = await forked('layered');
    const packs = await below.emptyFolder('packs');
    for (const from of [folder, early]) await copyPacks(from, packs);
    expect(await sumsOf(await started(below, await holdPartial(early), early, packs))).toBe(changed);
    await below.dispose();
  });

  it('is paged by nobody else until the base is whole, and then keeps to its budget', async () => {
    const vm = await forked('tight', { memoryBudgetBytes: 12 * 2 ** 20 });
    await started(vm, await holdPartial());
    await vm.exec('dd if=/dev/urandom of=/dev/shm/more bs=100k count=100');
    const paged = (): boolean => vm.told.some((told) => told.type === 'Memory' && told.memory.pager === 'On');
    expect(bases.totals.fetchedBytes).toBe(0);
    expect(paged()).toBe(false);
    await untilWhole();
    const timer = setInterval(() => void vm.exec('cat /dev/shm/* > /dev/null'), 2_000);
    await until(paged, { timeoutMs: 60_000, what: 'the pager' }).finally(() => clearInterval(timer));
    expect(await sumsOf(vm)).toContain(sums.trimEnd().split('\n').at(-1));
    await vm.dispose();
  });

  it('is watched in its new folder when it is handed over meanwhile, until the base is whole', async () => {
    const vm = await forked('handed');
    await started(vm, await holdPartial());
    const directory = `${vm.config.directory}-claimed`;
    const heartbeat = (): string | undefined => readOr(join(directory, PAGER_HEARTBEAT_FILE));
    await rename(vm.config.directory, directory);
    try {
      expect(await vm.send({ type: 'Identify', identity: { uid: 'claimed', hostname: 'claimed', macAddress: config.macAddress, directory } })).toMatchObject({ ok: true });
      const beat = heartbeat();
      expect(beat).toMatch(new RegExp(`^${vm.pid} \\d+\\n$`));
      await until(() => heartbeat() !== beat, { timeoutMs: 10_000, what: 'the next beat' });
      expect(bases.totals.fetchedBytes).toBe(0);
      await untilWhole();
      await until(() => heartbeat() === undefined, { timeoutMs: 20_000, what: 'the end of paging' });
    } finally {
      await vm.dispose();
      await rm(directory, { recursive: true, force: true });
    }
  });

  it('ends where the base cannot be had any more', async () => {
    const vm = await forked('orphan');
    await started(vm, await holdPartial());
    bases.close();
    expect(await vm.until('Exited')).toMatchObject({ code: BASE_LOST_EXIT_CODE });
  });
});
