import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ExecRequest, type MachineConfig, MIB, PACK_DELETION_WINDOW_MS } from '@corral/contracts';
import { startObjectStore } from '@corral/embedded';
import { HostMemory } from '@corral/memory';
import { ObjectStore } from '@corral/object-store';
import { until } from '@corral/testing';
import { Emulator, type EmulatorHardware } from '@corral/v86-host';
import { jest } from '@jest/globals';
import { BaseImages } from '../bases/base-images.ts';
import { baseSourceOf } from '../bases/base-source.ts';
import { PackCache } from '../machine/pack-cache.ts';
import { SnapshotCache, type SnapshotSource } from '../machine/snapshot-cache.ts';
import { uploadSnapshot } from '../snapshots/snapshot-upload.ts';
import { keepTaken } from '../snapshots/taken-snapshot.ts';
import { BuiltAhead } from './built-ahead.ts';
import { runCommand } from './exec.run.ts';
import { linuxMachine } from './guest-config.testing.ts';
import { Vm } from './vm.ts';

jest.setTimeout(600_000);

const CYCLES = 20;
const CHUNK_BYTES = MIB;
const HOMES = ['first', 'second'] as const;

/** All that a guest can see, as digests: RAM and screen memory, and its whole disk. */
interface Held {
  readonly memory: string;
  readonly disk: string;
}

function heldBy(emulator: Emulator): Held {
  const memory = createHash('sha256');
  for (const region of emulator.memory.regions()) memory.update(region);
  const disk = createHash('sha256');
  const { byteLength = 0 } = emulator.disk ?? {};
  for (let at = 0; at < byteLength; at += CHUNK_BYTES) disk.update(emulator.disk?.get_from_cache(at, Math.min(CHUNK_BYTES, byteLength - at)) ?? '');
  return { memory: memory.digest('hex'), disk: disk.digest('hex') };
}

/** Machines whose memory and disk are looked at when they have been restored, before they run. */
class Watched extends BuiltAhead {
  restored: Held | undefined;

  override async take(hardware: EmulatorHardware): Promise<Emulator> {
    const emulator = await Emulator.build(hardware);
    const restoreDevices = emulator.restoreDevices.bind(emulator);
    emulator.restoreDevices = (devices) => {
      restoreDevices(devices);
      this.restored = heldBy(emulator);
    };
    return emulator;
  }
}

/** What of a worker a machine comes through: its caches, and the memory that its machines share. */
class Home {
  private constructor(
    readonly path: string,
    private readonly store: ObjectStore,
    readonly packs: PackCache,
    private readonly snapshots: SnapshotCache,
    private readonly bases: BaseImages,
  ) {}

  static async open(path: string, store: ObjectStore): Promise<Home> {
    await mkdir(path);
    const packs = new PackCache({ directory: join(path, 'packs'), store, maxBytes: 2048 * MIB });
    const snapshots = new SnapshotCache({ directory: join(path, 'snapshots'), store, packs, maxBytes: 2048 * MIB });
    const log = { info: () => undefined, warn: () => undefined, error: () => undefined, debug: () => undefined };
    const bases = new BaseImages({ directory: join(path, 'bases'), maxBytes: 2048 * MIB, log: log as never, now: () => performance.now() });
    await Promise.all([packs.open(), snapshots.open(), bases.open()]);
    return new Home(path, store, packs, snapshots, bases);
  }

  /** A machine that goes on from a snapshot in the object store; resolves with what it held before it ran. */
  async restore(config: MachineConfig, source: SnapshotSource): Promise<{ readonly vm: Vm; readonly held: Held | undefined; release(): void }> {
    const cached = await this.snapshots.ensure(source);
    const base = baseSourceOf(cached);
    if (base) await this.bases.prepare(base);
    const shared = base && (await this.bases.hold(base));
    const watched = new Watched();
    const vm = await aVm(config, watched);
    await vm.start({ type: 'Snapshot', directory: cached.directory, packs: this.packs.directory, ...(shared ? { base: shared.base } : {}) });
    return { vm, held: watched.restored, release: () => shared?.release() };
  }

  /** Written, taken into this home's packs and brought to the object store, as a node agent does. */
  async keep(vm: Vm, uid: string): Promise<SnapshotSource> {
    const directory = await mkdtemp(join(this.path, 'taken-'));
    const taken = await vm.snapshot(directory);
    const manifest = await keepTaken(directory, taken, 'default', this.packs);
    const manifestKey = await uploadSnapshot({
      store: this.store, directory, namespace: 'default', keyPrefix: `snapshots/default/${uid}`, packPath: (sha256) => this.packs.pathOf(sha256), taken, manifest,
      named: new Set(), namedAtMs: performance.now() - PACK_DELETION_WINDOW_MS, signal: AbortSignal.timeout(60_000), now: () => new Date(), checkRight: () => undefined, onProgress: () => undefined,
    });
    return { manifestKey, digest: taken.manifest.sha256 };
  }

  async close(): Promise<void> {
    await this.bases.close();
  }
}

const answered = new WeakMap<Vm, () => boolean>();
async function aVm(config: MachineConfig, ahead: BuiltAhead): Promise<Vm> {
  let hasAnswered = false;
  await mkdir(config.directory, { recursive: true });
  const vm = new Vm(config, { tell: ({ type }) => (hasAnswered ||= type === 'AgentAnswered'), end: (reason, message) => { throw new Error(`${reason}: ${message}`); } }, HostMemory.probe(), ahead);
  answered.set(vm, () => hasAnswered);
  return vm;
}

async function sh(vm: Vm, command: string): Promise<string> {
  const { stdout, stderr, exitCode } = await runCommand(vm.agent(), ExecRequest.parse({ command: ['sh', '-c', command] }), AbortSignal.timeout(30_000));
  if (exitCode !== 0) throw new Error(`${command}: ${exitCode}: ${stderr}`);
  return stdout;
}

it(`${CYCLES} times stopped, stored and gone on with on another worker: every byte of RAM and disk, what counts and the clock are right`, async () => {
  const root = await mkdtemp(join(tmpdir(), 'corral-cycles-'));
  const s3 = await startObjectStore({ home: root, durability: 'Test' });
  const store = new ObjectStore({ endpoint: s3.url, region: s3.region, bucket: 'corral', accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey });
  await store.ensureBucket();
  const homes = await Promise.all(HOMES.map((name) => Home.open(join(root, name), store)));
  const config = await linuxMachine({ uid: 'traveller', hostname: 'traveller' });
  const configOf = (cycle: number): MachineConfig => ({ ...config, incarnation: cycle + 1, directory: join(root, `machine-${cycle}`), socketPath: join(root, `${cycle}.sock`) });
  const agent = (vm: Vm): Promise<unknown> => until(() => answered.get(vm)?.(), { timeoutMs: 120_000, what: 'the guest agent answers' });

  let vm = await aVm(configOf(0), new BuiltAhead());
  await vm.start({ type: 'Boot' });
  await agent(vm);
  let release = (): void => undefined;
  await sh(vm, 'dd if=/dev/urandom of=/root/noise bs=100k count=20; md5sum /root/noise > /root/sum; dd if=/dev/urandom of=/tmp/noise bs=100k count=30; md5sum /tmp/noise > /tmp/sum');
  await sh(vm, '(n=0; while :; do n=$((n+1)); echo $n > /tmp/count; usleep 20000; done) > /dev/null 2>&1 < /dev/null &');
  const count = async (): Promise<number> => Number(await sh(vm, 'cat /tmp/count'));
  await until(async () => (await count()) > 3, { timeoutMs: 20_000, what: 'the counter counts' });

  let counted = 0;
  for (let cycle = 0; cycle < CYCLES; cycle += 1) {
    const [here, there] = cycle % 2 === 0 ? homes : [...homes].reverse();
    if (!here || !there) throw new Error('there are two homes');
    await sh(vm, `echo ${cycle} >> /root/cycles; dd if=/dev/urandom of=/root/piece${cycle % 3} bs=100k count=1`);
    await vm.pause();
    const before = heldBy(vm.emulator());
    const source = await here.keep(vm, `cycle-${cycle}`);
    // It stood still while it was written.
    expect(heldBy(vm.emulator())).toEqual(before);
    await vm.discard();
    release();
    const next = await there.restore(configOf(cycle + 1), source);
    [vm, release] = [next.vm, next.release];
    expect(next.held).toEqual(before);
    await agent(vm);
    const went = await count();
    expect(went).toBeGreaterThanOrEqual(counted);
    await until(async () => (counted = await count()) > went, { timeoutMs: 20_000, what: 'the counter goes on' });
    await until(async () => Math.abs(Number(await sh(vm, 'date +%s')) - Date.now() / 1000) < 2, { timeoutMs: 10_000, what: 'its clock is right' });
  }
  expect(await sh(vm, 'md5sum -c /root/sum /tmp/sum; wc -l < /root/cycles')).toBe(`/root/noise: OK\n/tmp/noise: OK\n${CYCLES}\n`);
  await vm.discard();
  release();
  for (const home of homes) await home.close();
  store.close();
  await s3.stop();
  await rm(root, { recursive: true });
});
