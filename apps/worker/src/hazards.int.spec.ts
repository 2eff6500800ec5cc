import { spawnSync } from 'node:child_process';
import { appendFileSync, cpSync, existsSync, mkdirSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Event, events, findCondition, type ForkResult, virtualMachineImages, virtualMachines, type VirtualMachine, type VirtualMachineSnapshot } from '@corral/contracts';
import { ObjectStore } from '@corral/object-store';
import { until } from '@corral/testing';
import { jest } from '@jest/globals';
import { ADMIN, Corral, IMAGE, NODE_NAME, readyOf } from '../test/corral.ts';

/** Hazards of snapshots and of what lies on a node, each provoked as it happens. Docs: runbooks/memory-hazards.md. */
jest.setTimeout(300_000);

const MIB = 2 ** 20;
/** Room for artifacts and packs of the image, and for little more. */
const HOME_MIB = 512;
/** A file system of its own, which the test can fill; only the worker and its children see it. Source: unshare(1), mount(8). */
const SMALL_HOME = ['unshare', ...(process.getuid?.() === 0 ? ['-m'] : ['-Urm']), 'sh', '-c', `mount -t tmpfs -o size=${HOME_MIB}m corral-small "$CORRAL_WORKER_HOME" && exec "$0" "$@"`];
const canMount = spawnSync('unshare', [...SMALL_HOME.slice(1, 2), 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;

let corral: Corral;
let workerPid: number;
let store: ObjectStore;
beforeAll(async () => {
  corral = await Corral.startWithoutWorker({ CORRAL_LOST_STATE_SECONDS: '2' });
  mkdirSync(corral.workerHome, { recursive: true });
  workerPid = corral.startWorker(canMount ? { through: SMALL_HOME } : {});
  await corral.register();
  const { S3_ENDPOINT: endpoint = '', S3_REGION: region = '', S3_ACCESS_KEY_ID: accessKeyId = '', S3_SECRET_ACCESS_KEY: secretAccessKey = '' } = corral.env;
  store = new ObjectStore({ endpoint, region, bucket: 'corral', accessKeyId, secretAccessKey });
});
afterEach(() => corral.s3.heal());
afterAll(async () => {
  store?.close();
  await corral?.stop();
});

/** The worker's home as the worker sees it. Source: proc(5). */
const home = (...path: string[]): string => join(`/proc/${workerPid}/root`, corral.workerHome, ...path);
const isOver = ({ status }: VirtualMachineSnapshot): boolean => status?.completedAt !== undefined;
const said = async (name: string, command: string): Promise<string> => (await corral.execAnywhere(name, command)).stdout.trim();
const post = (name: string, verb: string): Promise<Response> => fetch(`${corral.url}/apis/corral.dev/v1/namespaces/default/virtualmachines/${name}/${verb}`, { method: 'POST', headers: ADMIN });
const ownPacks = (snapshot: VirtualMachineSnapshot): string[] => (snapshot.status?.layers ?? []).filter((key) => key.startsWith('packs/default/')).map((key) => key.split('/').at(-1) ?? '');
const reasonsOf = async (name: string): Promise<(string | undefined)[]> =>
  (await corral.client.list(events, { namespace: 'default', fieldSelector: `involvedObject.name=${name}` })).items.map((event) => (event as Event).reason);
const stored = async (prefix: string): Promise<string[]> => {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys;
};
const removed = (...names: readonly string[]): Promise<unknown> => Promise.all(names.map((name) => corral.client.delete(virtualMachines, 'default', name)));
/** So much in its memory that no compressor makes it less: the same noise again is too far away for it. */
const filled = (name: string, mebibytes: number): Promise<string> =>
  said(name, `dd if=/dev/urandom of=/tmp/noise bs=64k count=16; rm -f /tmp/filled; for i in $(seq ${mebibytes}); do cat /tmp/noise >> /tmp/filled; done; sha256sum /tmp/filled`);

/** Takes all room of the worker's home, but for so much. */
function fill(leftBytes: number): void {
  const { bavail, bsize } = statfsSync(home());
  const chunk = Buffer.alloc(MIB);
  writeFileSync(home('filler'), '');
  for (let left = bavail * bsize - leftBytes; left > 0; left -= chunk.length) appendFileSync(home('filler'), chunk.subarray(0, Math.min(left, chunk.length)));
}
const makeRoom = (): void => rmSync(home('filler'), { force: true });

(canMount ? describe : describe.skip)('When the node’s disk is full', () => {
  beforeAll(async () => {
    await corral.run('tight');
    await filled('tight', 12);
  });
  afterEach(makeRoom);
  afterAll(() => removed('tight', 'roomy'));

  it('a snapshot says so, nothing half-written is left or uploaded, the machine runs on, and the snapshot is taken once there is room', async () => {
    const hash = await said('tight', 'sha256sum /tmp/filled');
    fill(2 * MIB);
    const { metadata } = await corral.takeSnapshot('squeezed', 'tight');
    const refused = await corral.snapshotWhen('squeezed', 'refused', (snapshot) => readyOf(snapshot)?.reason === 'NodeDiskFull');
    expect(refused.status?.completedAt).toBeUndefined();
    expect(await said('tight', 'sha256sum /tmp/filled')).toBe(hash);
    expect(await stored(`snapshots/default/${metadata.uid}`)).toEqual([]);
    makeRoom();
    expect(readyOf(await corral.snapshotWhen('squeezed', 'over', isOver))).toMatchObject({ status: 'True', reason: 'Verified' });
    await corral.run('roomy', { source: { snapshot: 'squeezed' } });
    expect(await said('roomy', 'sha256sum /tmp/filled')).toBe(hash);
    expect(readdirSync(home('spool'))).toEqual([]);
  });

  it('a pack that has to be fetched is not half here: the machine says why it waits, and starts once there is room', async () => {
    const snapshot = await corral.snapshotWhen('squeezed', 'there', isOver);
    for (const sha256 of ownPacks(snapshot)) rmSync(home('packs', sha256));
    fill(2 * MIB);
    await corral.create('waiting', { source: { snapshot: 'squeezed' } });
    const waiting = await corral.when('waiting', 'without room', (vm) => readyOf(vm)?.reason === 'DiskFull');
    expect(waiting.status?.incarnation).toBeUndefined();
    for (const sha256 of ownPacks(snapshot)) expect(readdirSync(home('packs')).filter((name) => name.startsWith(sha256))).toEqual([]);
    makeRoom();
    await corral.ready('waiting');
    expect(await said('waiting', 'sha256sum /tmp/filled')).toBe(await said('tight', 'sha256sum /tmp/filled'));
    await removed('waiting');
  });

  it('a fork is refused with the reason, and none is left; its source runs on, and can be forked once there is room', async () => {
    const hash = await filled('tight', 12);
    fill(0);
    const fork = async (): Promise<{ readonly code: number; readonly result: ForkResult }> => {
      const answer = await fetch(`${corral.url}/apis/corral.dev/v1/namespaces/default/virtualmachines/tight/fork`, { method: 'POST', headers: { ...ADMIN, 'content-type': 'application/json' }, body: JSON.stringify({ names: ['twin'] }) });
      return { code: answer.status, result: (await answer.json()) as ForkResult };
    };
    expect(await fork()).toMatchObject({ code: 207, result: { created: 0, items: [{ name: 'twin', status: { reason: 'ForkFailed', message: expect.stringContaining('NodeDiskFull') as unknown } }] } });
    expect(await corral.client.get(virtualMachines, 'default', 'twin')).toBeUndefined();
    expect(await said('tight', 'sha256sum /tmp/filled')).toBe(hash);
    makeRoom();
    expect(await fork()).toMatchObject({ code: 201 });
    await corral.ready('twin');
    expect(await said('twin', 'sha256sum /tmp/filled')).toBe(hash);
    await removed('twin');
  });

  it('a machine that cannot be kept does not hibernate, says why, and runs on', async () => {
    await filled('tight', 12);
    fill(2 * MIB);
    expect((await post('tight', 'hibernate')).status).toBe(202);
    const awake = await corral.when('tight', 'awake', (vm) => findCondition(vm.status?.conditions, 'Hibernated')?.reason === 'HibernationFailed');
    expect(awake.status).toMatchObject({ phase: 'Running', incarnation: 1 });
    expect(existsSync(home('machines', awake.metadata.uid, 'suspended'))).toBe(false);
    expect(await said('tight', 'echo alive')).toBe('alive');
  });
});

describe('A VM process that is killed while it writes a snapshot', () => {
  it('leaves nothing that passes for one: the snapshot says so, and the machine goes on without it', async () => {
    const vm = await corral.run('cut-short');
    await filled('cut-short', 48);
    const { metadata } = await corral.takeSnapshot('torn', 'cut-short');
    const folder = home('spool', metadata.uid);
    await until(() => existsSync(folder) && readdirSync(folder).length > 0, { timeoutMs: 30_000, what: 'it writes', everyMs: 1 });
    process.kill(corral.vmProcessOf(vm), 'SIGSTOP');
    // Stopped before it was done, or this test would show nothing.
    expect(readdirSync(folder)).not.toContain('manifest.json');
    process.kill(corral.vmProcessOf(vm), 'SIGKILL');
    const torn = await corral.snapshotWhen('torn', 'over', isOver);
    expect(readyOf(torn)).toMatchObject({ status: 'False', reason: expect.stringMatching(/^(SnapshotFailed|VirtualMachineNotRunning)$/) });
    expect(await stored(`snapshots/default/${metadata.uid}`)).toEqual([]);
    await until(() => !existsSync(folder), { timeoutMs: 10_000, what: 'what it had written is removed' });
    await corral.ready('cut-short', 2);
    await removed('cut-short');
  });
});

describe('An object store that fails in the middle of an upload', () => {
  afterAll(() => removed('sender'));

  it.each([
    ['goes away', { type: 'Down' }],
    ['is out of order', { type: 'Failing' }],
  ] as const)('and %s after the first parts: the moment is kept, and is whole in the store once that is back', async (what, fault) => {
    const [machine, name] = ['sender', `sent-${what.split(' ')[0] ?? ''}`];
    if (!(await corral.client.get(virtualMachines, 'default', machine))) await corral.run(machine);
    const hash = await filled(machine, 24);
    const before = new Set(await stored('packs/default/'));
    let parts = 0;
    // An upload in parts is one POST, a PUT for each, and one POST.
    corral.s3.inject(fault, ({ method, path }) => path.includes('/packs/default/') && method === 'PUT' && (parts += 1) > 1);
    await corral.takeSnapshot(name, machine);
    const failing = await corral.snapshotWhen(name, 'the store fails', (snapshot) => readyOf(snapshot)?.reason === 'StorageUnreachable');
    expect(parts).toBeGreaterThan(1);
    const [unsent, ...others] = ownPacks(failing).filter((sha256) => !before.has(`packs/default/${sha256}`));
    expect(others).toEqual([]);
    expect(await store.head(`packs/default/${unsent}`)).toBeUndefined();
    await said(machine, 'echo later > /tmp/filled');
    corral.s3.heal();
    expect(readyOf(await corral.snapshotWhen(name, 'over', isOver))).toMatchObject({ status: 'True', reason: 'Verified' });
    await corral.run(`of-${name}`, { source: { snapshot: name } });
    expect(await said(`of-${name}`, 'sha256sum /tmp/filled')).toBe(hash);
    await removed(`of-${name}`);
  });
});

describe('What a machine was written out as', () => {
  it('that is neither on its node nor in the object store any more is given up, and the machine goes on from its last snapshot that is whole', async () => {
    await corral.run('forgotten');
    await said('forgotten', 'echo kept > /tmp/mark');
    await corral.takeSnapshot('checkpoint', 'forgotten');
    await corral.snapshotWhen('checkpoint', 'over', isOver);
    await said('forgotten', 'echo lost > /tmp/mark');
    expect((await post('forgotten', 'hibernate')).status).toBe(202);
    // It is in the object store as well, which is worse off still: there, too, something of it is missing.
    const sleeping = await corral.when('forgotten', 'stored', ({ status }) => status?.hibernation?.storedAt !== undefined);
    const night = await corral.snapshotWhen(sleeping.status?.hibernation?.snapshot ?? '', 'there', isOver);
    const kept = new Set(ownPacks(await corral.snapshotWhen('checkpoint', 'there', isOver)));
    const gone = ownPacks(night).filter((sha256) => !kept.has(sha256));
    expect(gone.length).toBeGreaterThan(0);
    for (const sha256 of gone) {
      rmSync(home('packs', sha256));
      await store.delete(`packs/default/${sha256}`);
    }
    expect((await post('forgotten', 'wake')).status).toBe(202);
    await corral.when('forgotten', 'waiting for it', (vm) => readyOf(vm)?.reason === 'ObjectMissing');
    const again = await corral.when('forgotten', 'Ready', (vm) => readyOf(vm)?.status === 'True');
    expect(again.status).toMatchObject({ incarnation: 2, lastTermination: { reason: 'SuspendedStateLost', incarnation: 1 }, startedFrom: { type: 'Snapshot', name: 'checkpoint' } });
    expect(again.status).not.toHaveProperty('hibernation');
    expect(await said('forgotten', 'cat /tmp/mark')).toBe('kept');
    expect(await reasonsOf('forgotten')).toContain('SuspendedStateLost');
    await removed('forgotten');
  });
});

describe('A node agent that is killed', () => {
  it('while it uploads leaves no snapshot behind, its machines start again, and what it had stored before is as it was', async () => {
    const vm = await corral.run('orphan');
    await said('orphan', 'echo stored > /tmp/mark');
    await corral.takeSnapshot('before', 'orphan');
    await corral.snapshotWhen('before', 'over', isOver);
    await filled('orphan', 12);
    corral.s3.inject({ type: 'Stalled' }, ({ method, path }) => method === 'PUT' && path.includes('/packs/default/'));
    const { metadata } = await corral.takeSnapshot('under-way', 'orphan');
    await corral.snapshotWhen('under-way', 'uploading', (snapshot) => readyOf(snapshot)?.reason === 'Uploading');
    const processId = corral.vmProcessOf(vm);
    await corral.stopWorker('SIGKILL');
    await until(() => !existsSync(`/proc/${processId}`), { timeoutMs: 20_000, what: 'the end of its VM processes' });
    corral.s3.heal();
    // Its file system, if it had one of its own, went with it: as a node that comes back with an empty disk.
    workerPid = corral.startWorker();
    expect(readyOf(await corral.snapshotWhen('under-way', 'over', isOver))).toMatchObject({ status: 'False', reason: expect.stringMatching(/^Node(Restarted|Lost)$/) });
    expect(await stored(`snapshots/default/${metadata.uid}`)).toEqual([]);
    const again = await corral.ready('orphan', 2);
    expect(again.status?.lastTermination).toMatchObject({ reason: expect.stringMatching(/^Node(Stopped|Lost)$/), incarnation: vm.status?.incarnation });
    await corral.run('heir', { source: { snapshot: 'before' } });
    expect(await said('heir', 'cat /tmp/mark')).toBe('stored');
    await removed('orphan', 'heir');
  });
});

describe('A snapshot that a machine could not go on from', () => {
  let otherBuild: string;
  beforeAll(async () => {
    await corral.run('origin');
    await corral.takeSnapshot('of-origin', 'origin');
    const { status } = await corral.snapshotWhen('of-origin', 'over', isOver);
    otherBuild = status?.v86Build ?? '';
  });

  it('for its size is refused before there is a machine, or before the one there is is touched', async () => {
    await expect(corral.create('larger', { source: { snapshot: 'of-origin' }, memory: '256Mi' })).rejects.toMatchObject({ details: { causes: [{ field: 'spec.memory' }] } });
    expect(await corral.client.get(virtualMachines, 'default', 'larger')).toBeUndefined();
    const large = await corral.run('large', { source: { image: IMAGE }, memory: '160Mi' });
    await expect(corral.want('large', { source: { snapshot: 'of-origin' } })).rejects.toMatchObject({ details: { causes: [{ field: 'spec.source.snapshot', reason: 'SnapshotIncompatible' }] } });
    expect((await corral.get('large')).status).toMatchObject({ incarnation: large.status?.incarnation, phase: 'Running' });
    await removed('large');
  });

  it('for its devices likewise', async () => {
    const image = await corral.client.get(virtualMachineImages, undefined, IMAGE);
    if (!image?.spec) throw new Error('the image is gone');
    await corral.client.create(virtualMachineImages, { metadata: { name: 'with-acpi' }, spec: { ...image.spec, acpi: true, guestAgent: false } });
    const other = await corral.run('other-devices', { source: { image: 'with-acpi' } });
    await expect(corral.want('other-devices', { source: { snapshot: 'of-origin' } })).rejects.toMatchObject({ details: { causes: [{ field: 'spec.source.snapshot', reason: 'SnapshotIncompatible' }] } });
    expect((await corral.get('other-devices')).status).toMatchObject({ incarnation: other.status?.incarnation, phase: 'Running' });
    await removed('other-devices');
  });

  it('for its v86 build is refused by a node that has another, with the reason, without a process, and by the API where the machine’s node is such a one', async () => {
    // A node whose firmware is another: so is its build.
    const firmware = join(corral.home, 'other-firmware');
    cpSync(corral.env['CORRAL_FIRMWARE_DIR'] ?? '', firmware, { recursive: true });
    await removed('origin');
    await corral.stopWorker();
    appendFileSync(join(firmware, 'vgabios.bin'), Buffer.from([0]));
    workerPid = corral.startWorker({ env: { CORRAL_FIRMWARE_DIR: firmware } });
    await corral.create('homeless', { source: { snapshot: 'of-origin' } });
    const why = (vm: VirtualMachine): string | undefined => findCondition(vm.status?.conditions, 'Scheduled')?.message;
    await corral.when('homeless', 'without a node, for that reason', (vm) => why(vm)?.includes('another v86 build than the snapshot'));
    // Whoever insists is told by the node.
    await corral.create('newer', { source: { snapshot: 'of-origin' }, nodeName: NODE_NAME });
    const refused = await corral.when('newer', 'refused', (vm) => readyOf(vm)?.reason === 'SnapshotIncompatible');
    expect(refused.status).toMatchObject({ phase: 'Failed' });
    expect(refused.status?.incarnation).toBeUndefined();
    expect(readyOf(refused)?.message).toContain(otherBuild);
    await removed('newer', 'homeless');
    const running = await corral.run('here', { source: { image: IMAGE } });
    await expect(corral.want('here', { source: { snapshot: 'of-origin' } })).rejects.toMatchObject({ details: { causes: [{ field: 'spec.source.snapshot', reason: 'SnapshotIncompatible' }] } });
    expect((await corral.get('here')).status).toMatchObject({ incarnation: running.status?.incarnation, phase: 'Running' });
  });
});
