import { jest } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '@corral/testing';
import { isOverlayWritten, overlayPath, restoringPath, settleOverlay } from '../disk-overlay.ts';
import { ForkedVm } from './forked-vm.testing.ts';
import { diskMachine, type GuestConfig } from './guest-config.testing.ts';

jest.setTimeout(240_000);

const CLUSTER_BYTES = 4096;
/** Enough that writing them takes a while. */
const SNAPSHOT_CLUSTERS = 8192;

let folder: string;
let config: GuestConfig;
let source: ForkedVm;
let snapshot: string;
const snapshotDisk = randomBytes(SNAPSHOT_CLUSTERS * CLUSTER_BYTES);
const ownDisk = randomBytes(16 * CLUSTER_BYTES);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'corral-restore-'));
  const disk = join(folder, 'disk.img');
  await writeFile(disk, '');
  await truncate(disk, snapshotDisk.length);
  config = await diskMachine(disk, { memoryMiB: 64 });
  source = await withDisk(snapshotDisk);
  await source.start({ type: 'Boot' });
  snapshot = await source.emptyFolder('snapshot');
  expect(await source.send({ type: 'Snapshot', directory: snapshot })).toMatchObject({ ok: true });
});
afterAll(async () => {
  await source.dispose();
  await rm(folder, { recursive: true });
});

/** A process whose guest had written these clusters, from the disk's first on. */
async function withDisk(clusters: Buffer): Promise<ForkedVm> {
  const vm = await ForkedVm.fork(config);
  const overlay = overlayPath(vm.config.directory);
  await writeFile(overlay, clusters);
  await writeFile(`${overlay}.index`, Uint32Array.from({ length: clusters.length / CLUSTER_BYTES }, (_, number) => number));
  return vm;
}

it('replaces the machine’s disk by the snapshot’s', async () => {
  const vm = await withDisk(ownDisk);
  await vm.start({ type: 'Snapshot', directory: snapshot });
  expect((await readFile(overlayPath(vm.config.directory))).equals(snapshotDisk)).toBe(true);
  await settleOverlay(vm.config.directory);
  expect((await readFile(overlayPath(vm.config.directory))).equals(snapshotDisk)).toBe(true);
  await vm.dispose();
});

it.each([
  ['its own', ownDisk],
  ['none', Buffer.alloc(0)],
])('killed in the middle, leaves a machine the disk it had: %s', async (_which, before) => {
  const vm = await withDisk(before);
  const { directory } = vm.config;
  void vm.start({ type: 'Snapshot', directory: snapshot }).catch(() => undefined);
  await until(() => isWritten(restoringPath(directory)), { timeoutMs: 60_000, what: 'the restore' });
  process.kill(vm.pid, 'SIGKILL');
  await vm.until('Exited');
  await settleOverlay(directory);
  expect((await readFile(overlayPath(directory))).equals(before)).toBe(true);
  expect(await isOverlayWritten(directory)).toBe(before.length > 0);
  await vm.dispose();
});

it('can be taken several times at once: one follows the other', async () => {
  const folders = await Promise.all(['one', 'two', 'three'].map((name) => source.emptyFolder(name)));
  const replies = await Promise.all(folders.map((directory) => source.send({ type: 'Snapshot', directory })));
  expect(replies.map(({ ok }) => ok)).toEqual([true, true, true]);
});

const isWritten = async (path: string): Promise<boolean> => (await readFile(path).catch(() => Buffer.alloc(0))).length > 0;
