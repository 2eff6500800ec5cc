import { jest } from '@jest/globals';
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeManifest, layersOf, MAX_LAYERS_WRITTEN, type SnapshotManifest } from '@corral/memory';
import { overlayPath } from '../disk-overlay.ts';
import { ForkedVm } from './forked-vm.testing.ts';
import { diskMachine, type GuestConfig } from './guest-config.testing.ts';
import { makeOneSectorDisk, writeClusters } from './one-sector-guest.testing.ts';

jest.setTimeout(120_000);

const CLUSTER_BYTES = 4096;
const DISK_BYTES = 256 * CLUSTER_BYTES;

let root: string;
let packs: string;
let config: GuestConfig;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'corral-disk-layers-'));
  packs = join(root, 'packs');
  await mkdir(packs);
  const disk = join(root, 'disk.img');
  await makeOneSectorDisk(disk, DISK_BYTES);
  config = await diskMachine(disk);
});
afterAll(async () => {
  await ForkedVm.disposeAll();
  await rm(root, { recursive: true });
});

interface Moment {
  readonly directory: string;
  readonly manifest: SnapshotManifest;
}

/** As the node agent does: packs go where all of them are. */
async function snapshot(vm: ForkedVm): Promise<Moment> {
  const directory = await mkdtemp(join(root, 'taken-'));
  const reply = await vm.send({ type: 'Snapshot', directory });
  if (!reply.ok) throw new Error(JSON.stringify(reply));
  const manifest = decodeManifest(await readFile(join(directory, 'manifest.json')));
  const written = new Set(reply.snapshot?.files.map(({ name }) => name));
  for (const { sha256 } of layersOf(manifest)) if (written.has(sha256)) await rename(join(directory, sha256), join(packs, sha256));
  return { directory, manifest };
}

async function restored(uid: string, { directory }: Moment): Promise<ForkedVm> {
  const vm = await ForkedVm.fork({ ...config, uid });
  await vm.start({ type: 'Snapshot', directory, packs });
  return vm;
}

/** The clusters a machine has changed, each as the two bytes that the guest wrote. */
async function changed({ config: { directory } }: ForkedVm): Promise<Record<number, number[]>> {
  const [overlay, index] = await Promise.all([readFile(overlayPath(directory)), readFile(`${overlayPath(directory)}.index`)]);
  const numbers = Array.from({ length: index.length / 4 }, (_, slot) => index.readUInt32LE(slot * 4));
  return Object.fromEntries(numbers.map((number, slot) => [number, [...overlay.subarray(slot * CLUSTER_BYTES, slot * CLUSTER_BYTES + 2)]]));
}

const pieces = ({ manifest }: Moment): number[] => (manifest.disk?.layers ?? []).map((layer) => layer.pieces);

it('a snapshot holds of the disk what was written since the last one; a machine from it has all of it, and goes on', async () => {
  const source = await ForkedVm.fork(config);
  await source.start({ type: 'Boot' });
  await writeClusters(source, 1, 2, 3, 4);
  const first = await snapshot(source);
  expect(pieces(first)).toEqual([4]);
  await writeClusters(source, 3, 9);
  const second = await snapshot(source);
  expect(pieces(second)).toEqual([4, 2]);
  expect(second.manifest.disk?.layers[0]).toEqual(first.manifest.disk?.layers[0]);
  // Nothing was written: no layer.
  const third = await snapshot(source);
  expect(third.manifest.disk).toEqual(second.manifest.disk);
  const then = await changed(source);
  expect(then).toEqual({ 1: [1, 1], 2: [2, 2], 3: [3, 5], 4: [4, 4], 9: [9, 6] });
  await source.dispose();

  const fork = await restored('fork', third);
  expect(await changed(fork)).toEqual(then);
  // It builds on what it came from, and long chains are compacted: all that changed since the base is one layer then.
  let last = third;
  for (let length = 2; length <= MAX_LAYERS_WRITTEN; length += 1) {
    expect(pieces(last)).toHaveLength(length);
    await writeClusters(fork, 20 + length);
    last = await snapshot(fork);
  }
  expect(pieces(last)).toEqual([4, 2 + MAX_LAYERS_WRITTEN - 1]);
  const now = await changed(fork);
  expect(now[22]).toEqual([22, 7]);
  await fork.dispose();

  const heir = await restored('heir', last);
  expect(await changed(heir)).toEqual(now);
  await writeClusters(heir, 4);
  expect((await changed(heir))[4]).toEqual([4, 7 + MAX_LAYERS_WRITTEN - 1]);
  await heir.dispose();
});

it('what a snapshot that could not be written held is in the next one', async () => {
  const vm = await ForkedVm.fork(config);
  await vm.start({ type: 'Boot' });
  await writeClusters(vm, 1);
  await snapshot(vm);
  await writeClusters(vm, 2);
  expect(await vm.send({ type: 'Snapshot', directory: join(root, 'no-such-folder') })).toMatchObject({ ok: false });
  await writeClusters(vm, 3);
  expect(pieces(await snapshot(vm))).toEqual([1, 2]);
  await vm.dispose();
});
