import { jest } from '@jest/globals';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MachineConfig, SnapshotTaken } from '@corral/contracts';
import { decodeManifest, HostMemory, layersOf, machinePages, openSnapshot, PackReader, PAGE_BYTES, packKey } from '@corral/memory';
import type { ObjectStore } from '@corral/object-store';
import { pino } from 'pino';
import { BaseImages, type HeldBase } from '../bases/base-images.ts';
import { baseSourceOf } from '../bases/base-source.ts';
import { PackCache } from '../machine/pack-cache.ts';
import { BuiltAhead } from '../vm-process/built-ahead.ts';
import { ForkedVm } from '../vm-process/forked-vm.testing.ts';
import { booted, type GuestConfig, linuxMachine } from '../vm-process/guest-config.testing.ts';
import { MachineStart } from '../vm-process/machine-start.ts';
import { FrozenMoment } from './frozen-moment.ts';

jest.setTimeout(300_000);

let root: string;
let config: GuestConfig;
let packs: PackCache;
let bases: BaseImages;
let base: HeldBase;
let baseSnapshot: string;
/** What the source was when it was frozen, as its own snapshot of that moment has it. */
let witness: Uint8Array;
let moment: FrozenMoment;

/** The source has ended by the time anybody asks: what is held does not need it. */
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'corral-frozen-'));
  config = await linuxMachine();
  packs = new PackCache({ directory: join(root, 'packs'), store: {} as ObjectStore, maxBytes: 1e12 });
  await packs.open();
  bases = new BaseImages({ directory: join(root, 'bases'), maxBytes: 0, log: pino({ level: 'silent' }), now: () => performance.now() });
  await bases.open();

  const first = await booted(config);
  baseSnapshot = await snapshotOf(first, 'base');
  await keep(baseSnapshot);
  const manifest = decodeManifest(await readFile(join(baseSnapshot, 'manifest.json')));
  const source = baseSourceOf({ manifest, packPath: ({ sha256 }) => packs.pathOf(sha256) });
  const held = source && (await bases.hold(source));
  if (!held) throw new Error('there is no base');
  base = held;

  const vm = await ForkedVm.fork({ ...config, uid: 'source' });
  await vm.start({ type: 'Snapshot', directory: baseSnapshot, packs: packs.directory, base: base.base });
  await vm.until('AgentAnswered');
  await vm.exec('dd if=/dev/urandom of=/root/noise bs=100k count=20; md5sum /root/noise > /root/sum; echo then > /root/mark');
  await vm.send({ type: 'Pause' });
  const directory = await vm.emptyFolder('frozen');
  expect(await vm.send({ type: 'Freeze', directory })).toMatchObject({ ok: true, frozen: { base: base.base.sha256 } });
  // Not where the process keeps it: that goes with it.
  moment = await FrozenMoment.open(directory, { pid: vm.pid, namespace: 'default', packs });
  const own = await snapshotOf(vm, 'own');
  await keep(own);
  witness = await memoryOf(own);
  await first.dispose();
  await endLeavingFolder(vm);
});
afterAll(async () => {
  moment?.close();
  await ForkedVm.disposeAll();
  bases?.close();
  await rm(root, { recursive: true, force: true });
});

async function snapshotOf(vm: ForkedVm, name: string): Promise<string> {
  const directory = join(root, name);
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory);
  expect(await vm.send({ type: 'Snapshot', directory })).toMatchObject({ ok: true });
  return directory;
}

/** Puts its packs among the node’s. */
async function keep(directory: string): Promise<void> {
  for (const layer of layersOf(decodeManifest(await readFile(join(directory, 'manifest.json'))))) if (!(await packs.has(layer))) await packs.lend(join(directory, layer.sha256), layer);
}

/** The process ends; what it froze stays where a node agent would have had it. */
async function endLeavingFolder(vm: ForkedVm): Promise<void> {
  process.kill(vm.pid, 'SIGKILL');
  await vm.until('Exited');
}

/** All of RAM and screen memory, as a snapshot has it. */
async function memoryOf(directory: string): Promise<Uint8Array> {
  const all = new Uint8Array(machinePages(config.memoryMiB) * PAGE_BYTES);
  const snapshot = await openSnapshot(directory, { packs: packs.directory });
  await snapshot.readMemory((number, count) => all.subarray(number * PAGE_BYTES, (number + count) * PAGE_BYTES));
  await snapshot.close();
  return all;
}

/** How many pages of a pack are what they were at the moment. */
async function unchangedIn(path: string): Promise<number> {
  const file = await readFile(path);
  const pack = await PackReader.open({ sizeBytes: file.length, read: (offset, length) => Promise.resolve(file.subarray(offset, offset + length)) });
  let unchanged = 0;
  for await (const { numbers, bytes } of pack.runs(() => true)) {
    numbers.forEach((number, at) => {
      if (same(bytes.subarray(at * PAGE_BYTES, (at + 1) * PAGE_BYTES), witness.subarray(number * PAGE_BYTES, (number + 1) * PAGE_BYTES))) unchanged += 1;
    });
  }
  return unchanged;
}

const same = (one: Uint8Array, other: Uint8Array): boolean => Buffer.compare(one, other) === 0;

async function child(uid: string): Promise<ForkedVm> {
  const vm = await ForkedVm.fork({ ...config, uid, hostname: uid });
  await vm.start({ ...moment.from, base: base.base });
  await vm.until('AgentAnswered');
  return vm;
}

const takenOf = async (vm: ForkedVm, directory: string): Promise<SnapshotTaken> => {
  const reply = await vm.send({ type: 'Snapshot', directory });
  if (!reply.ok || !reply.snapshot) throw new Error(JSON.stringify(reply));
  return reply.snapshot;
};

describe('A frozen moment whose source has ended', () => {
  it('is, byte for byte, what the source was: in a machine that maps it over the shared base, and as a snapshot', async () => {
    const directory = join(root, 'thawed');
    await mkdir(directory);
    const whole: MachineConfig = { ...config, uid: 'thawed', directory, socketPath: join(directory, 'socket') };
    const events = { onHalt: () => undefined, onReboot: () => undefined };
    const started = await new MachineStart({ config: whole, host: HostMemory.probe(), ahead: new BuiltAhead(), events }).from({ ...moment.from, base: base.base });
    try {
      expect(started.base).toBe(base.base.sha256);
      const ram = new Uint8Array(witness.length);
      started.memory.ram.copyRun({ start: 0, count: started.memory.ram.pages }, ram);
      expect(same(ram, witness)).toBe(true);
    } finally {
      await started.emulator.dispose();
      started.memory.dispose();
    }
    const packed = await moment.packed();
    expect(same(await memoryOf(packed.directory), witness)).toBe(true);
    // A delta of what the source came from, and written once.
    expect(packed.manifest.memory.layers.map(({ sha256 }) => sha256)[0]).toBe(base.base.sha256);
    expect(await moment.packed()).toBe(packed);
  });

  it('is what siblings’ snapshots lie on, once it is a snapshot: each holds what its machine did since, and no more', async () => {
    const { directory, manifest } = await moment.packed();
    const shared = manifest.memory.layers.at(-1);
    const siblings = await Promise.all([child('left'), child('right')]);
    for (const [at, vm] of siblings.entries()) {
      await vm.exec(`echo ${at} > /root/mark`);
      expect(await vm.send({ type: 'BuildOn', directory })).toMatchObject({ ok: true });
      const own = join(root, `sibling-${at}`);
      await mkdir(own);
      const taken = await takenOf(vm, own);
      const { memory, parent } = decodeManifest(await readFile(join(own, 'manifest.json')));
      expect(parent).toBe((await moment.packed()).taken.manifest.sha256);
      expect(memory.layers.at(-2)?.sha256).toBe(shared?.sha256);
      await keep(own);
      const written = memory.layers.at(-1);
      expect(taken.files.map(({ name }) => name)).toContain(written?.sha256);
      // The noise alone is 489 pages; a page that was written to and is what it was before is no news either, but rare.
      expect(await unchangedIn(packs.pathOf(written?.sha256 ?? ''))).toBeLessThan(400);
      const elsewhere = await ForkedVm.fork({ ...config, uid: `elsewhere-${at}` });
      await elsewhere.start({ type: 'Snapshot', directory: own, packs: packs.directory });
      await elsewhere.until('AgentAnswered');
      await expect(elsewhere.exec('md5sum -c /root/sum; cat /root/mark')).resolves.toMatchObject({ stdout: `/root/noise: OK\n${at}\n` });
      await elsewhere.dispose();
    }
    await Promise.all(siblings.map((vm) => vm.dispose()));
  });

  it('is not needed by the snapshot of a machine that was never told of another: that holds all of it itself', async () => {
    const vm = await child('alone');
    const own = join(root, 'alone');
    await mkdir(own);
    await takenOf(vm, own);
    await keep(own);
    // Later it is no news.
    expect(await vm.send({ type: 'BuildOn', directory: (await moment.packed()).directory })).toMatchObject({ ok: true });
    await vm.dispose();
    const elsewhere = await ForkedVm.fork({ ...config, uid: 'alone-elsewhere' });
    await elsewhere.start({ type: 'Snapshot', directory: own, packs: packs.directory });
    await elsewhere.until('AgentAnswered');
    await expect(elsewhere.exec('md5sum -c /root/sum; cat /root/mark')).resolves.toMatchObject({ stdout: '/root/noise: OK\nthen\n' });
    await elsewhere.dispose();
  });

  it('is refused where it names memory, or packs, of others', async () => {
    const state = JSON.parse(await readFile(join(moment.directory, 'frozen.json'), 'utf8')) as { layer: { path: string }; lineage: { memory: { sha256: string; key: string }[] } };
    const open = (): Promise<FrozenMoment> => FrozenMoment.open(moment.directory, { pid: 1, namespace: 'default', packs });
    const path = join(moment.directory, 'frozen.json');
    await expect(open()).rejects.toThrow('memory of another process');
    const [lowest] = state.lineage.memory;
    await writeFile(path, JSON.stringify({ ...state, lineage: { ...state.lineage, memory: [{ ...lowest, key: packKey('other', lowest?.sha256 ?? '') }] } }));
    await expect(open()).rejects.toThrow('is not default’s');
    await rm(path);
    await expect(open()).rejects.toMatchObject({ reason: 'SnapshotUnreadable' });
    await writeFile(path, JSON.stringify(state));
  });

  it('is over once it is let go of: nobody begins with it any more, and who has goes on', async () => {
    const vm = await child('last');
    const from = moment.from;
    moment.close();
    await expect(vm.exec('md5sum -c /root/sum')).resolves.toMatchObject({ exitCode: 0 });
    const late = await ForkedVm.fork({ ...config, uid: 'late' });
    expect(await late.send({ type: 'Start', config: late.config, from: { ...from, base: base.base } })).toMatchObject({ ok: false, reason: 'SnapshotUnreadable' });
    await Promise.all([vm.dispose(), late.dispose()]);
  });
});
