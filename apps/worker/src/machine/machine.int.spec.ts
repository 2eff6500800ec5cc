import { jest } from '@jest/globals';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@corral/base';
import { type VirtualMachine } from '@corral/contracts';
import { until } from '@corral/testing';
import { type Run, type StartOrigin } from '@corral/vm-lifecycle';
import { type Logger, pino } from 'pino';
import { Machine } from './machine.ts';
import { MachineFolder } from './machine-folder.ts';
import { PackCache } from './pack-cache.ts';
import { type MachineNotice } from './machine-notice.ts';
import { ProcessPool } from './process-pool.ts';

jest.setTimeout(60_000);

/** A process that speaks the protocol, writes down what it is asked, and behaves as its machine's name says. */
const PROGRAM = `
import { createHash } from 'node:crypto';
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

let machine, dozing;
const say = (message) => process.send(message);
say({ type: 'Waiting' });
process.on('disconnect', () => process.exit(0));
process.on('message', ({ type, requestId, config, directory, identity }) => {
  machine = { ...(machine ?? config), ...identity };
  appendFileSync(join(machine.directory, 'requests'), type + '\\n');
  const refuse = (reason) => say({ type: 'Reply', requestId, ok: false, reason, message: 'refused' });
  if (type === 'Start' && machine.hostname.startsWith('snapshot')) return refuse({ 'snapshot-corrupt': 'SnapshotCorrupt', 'snapshot-incompatible': 'SnapshotIncompatible', 'snapshot-unreadable': 'SnapshotUnreadable' }[machine.hostname]);
  if (type === 'Snapshot' && machine.hostname === 'slow') return;
  if (type === 'Hibernate' && machine.hostname === 'dozing') return (dozing = requestId);
  if (type === 'Stop' && dozing !== undefined) say({ type: 'Reply', requestId: dozing, ok: true });
  const manifest = JSON.stringify({
    formatVersion: 2, createdAt: '2026-01-01T00:00:00Z', parent: null, memory: { layers: [] }, devices: { name: 'devices.bin', sha256: '0'.repeat(64), sizeBytes: 1 },
    machine: { v86Build: 'b', memoryMiB: 64, imageDigest: 'd', devices: { acpi: false, disk: false, cdrom: false, floppy: false } },
  });
  if (type === 'Snapshot') writeFileSync(join(directory, 'manifest.json'), manifest);
  const file = { name: 'manifest.json', sha256: createHash('sha256').update(manifest).digest('hex'), sizeBytes: manifest.length };
  say({ type: 'Reply', requestId, ok: true, ...(type === 'Snapshot' ? { snapshot: { pauseMs: 1, files: [file], manifest: file } } : {}) });
  if (type === 'Start') say({ type: 'AgentAnswered' });
  if (type === 'Start' && machine.hostname === 'chatty') {
    for (let i = 0; i < 500; i += 1) say({ type: 'AgentAnswered' });
    for (let i = 0; i < 500; i += 1) say({ type: 'GuestRebooted' });
    say({ type: 'AgentSilent' });
    for (let i = 0; i < 500; i += 1) say({ type: 'AgentSilent' });
    say({ type: 'GuestPanicked', message: 'the end of the chatter' });
  }
});
`;

const FIRMWARE = { biosPath: 'bios.bin', vgaBiosPath: 'vgabios.bin' };

let root: string;
let pool: ProcessPool;
let changes: number;
let notices: MachineNotice[];
let discarded: string[];
let lines: string[];
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'corral-machine-'));
  [changes, notices, discarded, lines] = [0, [], [], []];
  const entryPath = join(root, 'program.mjs');
  await writeFile(entryPath, PROGRAM);
  pool = new ProcessPool({ entryPath, firmware: FIRMWARE, directory: join(root, 'processes'), size: 0, log: pino({ level: 'silent' }) });
  await pool.open();
});
afterEach(async () => {
  await pool.close();
  await rm(root, { recursive: true, force: true });
});

const log = (): Logger => pino({ level: 'info' }, { write: (line) => void lines.push(line) });
const aVm = (name: string): VirtualMachine => ({
  apiVersion: 'corral.dev/v1',
  kind: 'VirtualMachine',
  metadata: { name, namespace: 'default', uid: name, resourceVersion: '1', generation: 1, creationTimestamp: '2026-01-01T00:00:00Z' },
});
const imageParts = { artifacts: {}, commandLine: '', guestAgent: true, acpi: false };
const DIGEST = 'd'.repeat(64);

async function aMachine(name: string, { suspended = false } = {}): Promise<Machine> {
  const folder = new MachineFolder(root, name);
  if (suspended) await mkdir(folder.suspendedPath, { recursive: true });
  const machine = new Machine({ uid: name, key: { namespace: 'default', name } }, folder, {
    pool,
    firmware: FIRMWARE,
    v86Build: 'build',
    clock: systemClock,
    log: log(),
    snapshots: { discard: async (digest) => void discarded.push(digest) },
    bases: { hold: async () => undefined },
    packs: new PackCache({ directory: join(root, 'packs'), store: {} as never, maxBytes: 0 }),
    preparer: {
      prepare: async (_vm, origin, { suspendedPath }) => ({
        origin: name === 'unreadable-record' ? 'Source' : origin,
        record: { image: 'i', imageDigest: 'd', memoryMiB: 64, ...imageParts },
        artifactPaths: {},
        from: { type: 'Snapshot', directory: suspendedPath },
        startedFrom: origin === 'Suspended' ? { type: 'Suspended', name } : { type: 'GoldenSnapshot', name: 'i', digest: DIGEST },
      }),
    },
    nextSocketPath: () => join(root, `${name}.sock`),
    onChange: () => (changes += 1),
    onNotice: (_uid, notice) => notices.push(notice),
    onReady: () => undefined,
  });
  await machine.load();
  return machine;
}

async function started(machine: Machine, origin: StartOrigin = 'Source', incarnation = 1): Promise<Machine> {
  const vm = aVm(machine.key.name);
  machine.prepare(vm, origin);
  await phase(machine, 'Prepared');
  const run: Run = { incarnation, startedAt: new Date(), startedFrom: machine.preparation?.startedFrom ?? { type: 'Boot', name: 'i' }, memoryMiB: 64, v86Build: 'build', imageParts };
  machine.start(vm, run);
  return machine;
}

const phase = (machine: Machine, wanted: Machine['state']['phase']): Promise<unknown> =>
  until(() => machine.state.phase === wanted, { timeoutMs: 20_000, what: `${machine.uid} ${wanted}` });
const answers = (machine: Machine): Promise<unknown> =>
  until(() => machine.endpoint && machine.state.phase === 'Running' && machine.state.guest.agent === 'Answered', { timeoutMs: 20_000, what: 'an answer' });
const requestsOf = async (machine: Machine): Promise<string[]> =>
  (await readFile(join(machine.folder.path, 'requests'), 'utf8')).trim().split('\n');

describe('A start from the suspended state', () => {
  it.each([['snapshot-corrupt', 'SuspendedStateLost'], ['snapshot-incompatible', 'StartFailed']])('that is useless gives it up, and says so: %s, %s', async (name, ending) => {
    const machine = await started(await aMachine(name, { suspended: true }), 'Suspended');
    await phase(machine, 'Ended');
    expect([machine.suspended, await machine.folder.hasSuspended()]).toEqual([false, false]);
    expect(machine.state).toMatchObject({ termination: { reason: ending } });
    expect(notices.map(({ type, reason }) => [type, reason])).toContainEqual(['Warning', 'SuspendedStateDiscarded']);
  });

  it('that is of another version becomes a start from the source, and gives it up, and says so', async () => {
    const machine = await started(await aMachine('unreadable-record', { suspended: true }), 'Suspended');
    await answers(machine);
    // The guest may answer before the state it does not need is removed.
    await until(() => !machine.suspended, { timeoutMs: 20_000, what: 'the suspended state is given up' });
    expect(await machine.folder.hasSuspended()).toBe(false);
    expect(notices.map(({ type, reason }) => [type, reason])).toContainEqual(['Warning', 'SuspendedStateDiscarded']);
  });

  it('that cannot be read just now keeps it for another try', async () => {
    const machine = await started(await aMachine('snapshot-unreadable', { suspended: true }), 'Suspended');
    await phase(machine, 'Ended');
    expect([machine.suspended, await machine.folder.hasSuspended()]).toEqual([true, true]);
    expect(notices.map(({ reason }) => reason)).not.toContain('SuspendedStateDiscarded');
  });
});

it.each(['snapshot-corrupt', 'snapshot-incompatible', 'snapshot-unreadable'])('A cached snapshot that proves bad is fetched anew: %s', async (name) => {
  await phase(await started(await aMachine(name)), 'Ended');
  expect(discarded).toEqual([DIGEST]);
});

it('A guest cannot fill the node’s log, or its event queue, by saying the same again and again', async () => {
  const machine = await started(await aMachine('chatty'));
  await phase(machine, 'Panicked');
  expect(notices.map(({ reason }) => reason)).toEqual(['Started', 'GuestRebooted', 'GuestPanicked']);
  expect(lines.length).toBeLessThan(15);
  expect(changes).toBeLessThan(15);
});

describe('A snapshot', () => {
  it('is of the incarnation that was meant, or none', async () => {
    const machine = await started(await aMachine('again'), 'Source', 1);
    await answers(machine);
    await expect(machine.moments.snapshot(root, 1)).resolves.toMatchObject({ taken: { pauseMs: 1 }, manifest: { formatVersion: 2 } });
    machine.kill();
    await phase(machine, 'Ended');
    await started(machine, 'Source', 2);
    await answers(machine);
    await expect(machine.moments.snapshot(root, 1)).rejects.toMatchObject({ reason: 'NotStarted' });
    await expect(machine.moments.snapshot(root, 2)).resolves.toMatchObject({ taken: { pauseMs: 1 }, manifest: { formatVersion: 2 } });
    // What is stored late of the life before is not what this one began with.
    machine.noteStored(1, { snapshot: 'of-before', digest: DIGEST });
    expect(machine.lastSnapshotName).toBeUndefined();
    machine.noteStored(2, { snapshot: 'of-now', digest: DIGEST });
    expect(machine.lastSnapshotName).toBe('of-now');
  });
});

it('A machine that is stopped while it falls asleep does not sleep', async () => {
  const machine = await started(await aMachine('dozing'));
  await answers(machine);
  machine.hibernate(new Date().toISOString(), false);
  await until(async () => (await requestsOf(machine)).includes('Hibernate'), { timeoutMs: 20_000, what: 'the writing' });
  machine.stop(0);
  await until(async () => (await requestsOf(machine)).includes('Stop'), { timeoutMs: 20_000, what: 'the stop' });
  machine.kill();
  await phase(machine, 'Ended');
  expect([machine.suspended, await machine.folder.hasSuspended()]).toEqual([false, false]);
  expect(machine.state).toMatchObject({ termination: { reason: 'Stopped' } });
});

it('A moment that is not what it should be is let go of by the process that froze it', async () => {
  const machine = await started(await aMachine('frozen'));
  await answers(machine);
  await expect(machine.moments.freeze(root, 1)).rejects.toMatchObject({ reason: 'SnapshotUnreadable' });
  await until(async () => (await requestsOf(machine)).includes('ReleaseFrozen'), { timeoutMs: 20_000, what: 'its pages are let go of' });
});

it('A budget that its process was not told, because there was none yet, is told once there is', async () => {
  const machine = await started(await aMachine('early'));
  await until(async () => (await machine.folder.record()) !== undefined, { timeoutMs: 20_000, everyMs: 1, what: 'the launch' });
  expect(machine.pid).toBeUndefined();
  machine.setMemoryBudget(1_000_000);
  await answers(machine);
  expect(machine.memoryBudgetBytes).toBeUndefined();
  machine.setMemoryBudget(1_000_000);
  expect(machine.memoryBudgetBytes).toBe(1_000_000);
  await until(async () => (await requestsOf(machine)).includes('SetMemoryBudget'), { timeoutMs: 20_000, what: 'its budget' });
});

it('A machine that takes over another serves nobody before its guest has heard who it is', async () => {
  const machine = await started(await aMachine('warm'));
  await answers(machine);
  const becoming = machine.become({ uid: 'claimed', key: { namespace: 'default', name: 'claimed' } }, new MachineFolder(root, 'claimed'));
  expect(machine.endpoint).toBeUndefined();
  await becoming;
  expect(await requestsOf(machine)).toEqual(['Start', 'Identify']);
  expect(machine.endpoint).toBeDefined();
});

it('A machine that cannot take over another yet is who it was, and takes over the next time', async () => {
  const machine = await started(await aMachine('early-bird'));
  await answers(machine);
  const taken = new MachineFolder(root, 'taken');
  await mkdir(join(taken.path, 'something'), { recursive: true });
  const become = (): Promise<void> => machine.become({ uid: 'taken', key: { namespace: 'default', name: 'taken' } }, taken);
  await expect(become()).rejects.toMatchObject({ code: 'ENOTEMPTY' });
  expect([machine.uid, machine.key.name]).toEqual(['early-bird', 'early-bird']);
  await taken.remove();
  await become();
  expect([machine.uid, await requestsOf(machine)]).toEqual(['taken', ['Start', 'Identify']]);
});

describe('Suspending a machine', () => {
  it('stops its guest before its state is copied, and serves nobody meanwhile', async () => {
    const machine = await started(await aMachine('slow'));
    await answers(machine);
    machine.suspend();
    expect(machine.endpoint).toBeUndefined();
    await until(async () => (await requestsOf(machine)).includes('Snapshot'), { timeoutMs: 20_000, what: 'the copying' });
    expect(await requestsOf(machine)).toEqual(['Start', 'Pause', 'Snapshot']);
    expect(machine.endpoint).toBeUndefined();
    machine.kill();
    await phase(machine, 'Ended');
    expect(await machine.folder.hasSuspended()).toBe(false);
  });

  it('keeps its state once that is whole, and ends its process', async () => {
    const machine = await started(await aMachine('kept'));
    await answers(machine);
    machine.suspend();
    await phase(machine, 'Ended');
    expect([machine.suspended, await machine.folder.hasSuspended()]).toEqual([true, true]);
  });
});
