import {
  dataPlanePath, events, findCondition, resourceQuotas, virtualMachines, virtualMachineSnapshots,
  type Event, type VirtualMachine,
} from '@corral/contracts';
import { ObjectStore } from '@corral/object-store';
import { until } from '@corral/testing';
import { jest } from '@jest/globals';
import { WebSocket } from 'ws';
import { ADMIN, type Corral, IMAGE } from '../test/corral.ts';
import { type HerdWorker, SHORT_LEASE_SECONDS } from '../test/herd.ts';
import { WatchedHerd } from '../test/watched-herd.ts';

jest.setTimeout(240_000);

const herd = WatchedHerd.around(['worker-1', 'worker-2', 'worker-3'], { leaseSeconds: SHORT_LEASE_SECONDS });
let corral: Corral;
beforeAll(async () => {
  corral = herd.corral;
  await corral.client.create(resourceQuotas, {
    metadata: { name: 'few', namespace: 'default' },
    spec: { hard: { 'count/virtualmachines.corral.dev': '20' } },
  } as never);
});
/** Whatever was done to workers. */
afterEach(async () => {
  // What is deleted goes in its own time: the figure is that of the list at some moment.
  const usedAndThere = async (): Promise<[string | undefined, string]> => {
    const [quota, list] = await Promise.all([corral.client.get(resourceQuotas, 'default', 'few'), corral.client.list(virtualMachines, { namespace: 'default' })]);
    return [quota?.status?.used?.['count/virtualmachines.corral.dev'], String(list.items.length)];
  };
  await until(async () => (([used, there]) => used === there)(await usedAndThere()), { timeoutMs: 10_000, what: 'the quota is charged for what there is' });
});

const isReady = (vm: VirtualMachine): boolean => findCondition(vm.status?.conditions, 'Ready')?.status === 'True';
const readyElsewhere = (name: string, lost: HerdWorker): Promise<VirtualMachine> =>
  corral.when(name, 'Ready elsewhere', (vm) => vm.status?.nodeName !== lost.name && isReady(vm));
const reasonsOf = async (name: string): Promise<(string | undefined)[]> =>
  (await corral.client.list(events, { namespace: 'default', fieldSelector: `involvedObject.name=${name}` })).items.map((event) => (event as Event).reason);

/** A machine with a snapshot that has `before` in memory, and `after` in memory since. */
async function withSnapshot(name: string): Promise<{ readonly vm: VirtualMachine; readonly worker: HerdWorker }> {
  const vm = await corral.run(name);
  await corral.execAnywhere(name, 'echo before > /tmp/mark');
  await corral.takeSnapshot(`of-${name}`, name);
  await corral.snapshotWhen(`of-${name}`, 'Ready', (snapshot) => findCondition(snapshot.status?.conditions, 'Ready')?.status === 'True');
  await corral.execAnywhere(name, 'echo after > /tmp/mark');
  return { vm, worker: herd.workerOf(vm) };
}

async function goesOnFromItsSnapshot(before: VirtualMachine, lost: HerdWorker): Promise<VirtualMachine> {
  const { name } = before.metadata;
  const incarnation = before.status?.incarnation ?? 0;
  const again = await readyElsewhere(name, lost);
  expect(again.status).toMatchObject({
    incarnation: incarnation + 1,
    startedFrom: { type: 'Snapshot', name: `of-${name}` },
    lastTermination: { reason: 'NodeLost', incarnation },
  });
  expect((await corral.execAnywhere(name, 'cat /tmp/mark')).stdout).toBe('before\n');
  return again;
}

/** Asks a worker itself, as a gateway would that has not heard of anything. */
async function execDirectly({ name, dataPlaneUrl }: Pick<HerdWorker, 'name' | 'dataPlaneUrl'>, vm: VirtualMachine): Promise<number> {
  const { uid } = vm.metadata;
  const incarnation = vm.status?.incarnation ?? 0;
  const token = await corral.signToken(name, { uid, incarnation, operation: 'exec' });
  const answer = await fetch(`${dataPlaneUrl}${dataPlanePath(uid, incarnation, 'exec')}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ command: ['true'] }),
  });
  await answer.arrayBuffer();
  return answer.status;
}

describe('When a worker is killed', () => {
  it('a machine with a snapshot goes on from it on another node, one without starts anew and says so, and Never stays ended', async () => {
    const { vm: kept, worker: lost } = await withSnapshot('kept');
    const there = { source: { image: IMAGE }, nodeName: lost.name } as const;
    const [anew, never] = await Promise.all([corral.run('anew', there), corral.run('never', { ...there, restartPolicy: 'Never' })]);

    await lost.kill();

    const again = await goesOnFromItsSnapshot(kept, lost);
    expect(await reasonsOf('kept')).toContain('NodeLost');
    const fresh = await readyElsewhere('anew', lost);
    expect(fresh.status?.incarnation).toBe((anew.status?.incarnation ?? 0) + 1);
    expect(findCondition(fresh.status?.conditions, 'RestartedWithoutState')?.status).toBe('True');
    expect(await reasonsOf('anew')).toContain('RestartedWithoutState');
    const ended = await corral.when('never', 'Failed elsewhere', ({ status }) => status?.phase === 'Failed' && status.nodeName !== lost.name);
    expect(ended.status).toMatchObject({ incarnation: never.status?.incarnation, lastTermination: { reason: 'NodeLost' } });

    // It comes back to nothing, and takes nothing back.
    lost.launch();
    await lost.ready();
    expect((await corral.get('kept')).status).toMatchObject({ incarnation: again.status?.incarnation, nodeName: again.status?.nodeName });
    expect((await corral.execAnywhere('kept', 'cat /tmp/mark')).stdout).toBe('before\n');
    await Promise.all(['kept', 'anew', 'never'].map((name) => corral.client.delete(virtualMachines, 'default', name)));
  });
});

describe('When a worker stands still for longer than its Lease, and then goes on', () => {
  it('it says, shows and uploads nothing of what others have by then, and kills it', async () => {
    const { vm, worker: lost } = await withSnapshot('paused');
    const { incarnation = 0 } = vm.status ?? {};
    const { uid } = vm.metadata;
    const serial = new WebSocket(`${corral.url.replace('http', 'ws')}/apis/corral.dev/v1/namespaces/default/virtualmachines/paused/serial`, { headers: ADMIN });
    const closed = new Promise<number>((resolve) => serial.once('close', resolve));
    await new Promise((resolve) => serial.once('open', resolve));

    // A snapshot is on its way when the worker stops.
    corral.s3.inject({ type: 'Stalled' }, ({ method, path }) => method === 'PUT' && path.includes('/snapshots/default/'));
    const late = await corral.takeSnapshot('late', 'paused');
    await until(async () => corral.s3.requests.some(({ method, path }) => method === 'PUT' && path.includes(late.metadata.uid)), { timeoutMs: 30_000, what: 'its upload' });
    lost.pause();
    corral.s3.heal();
    // And a command, which it will find first thing when it goes on.
    const command = execDirectly(lost, vm);

    const again = await goesOnFromItsSnapshot(vm, lost);
    expect(await closed).toBe(1012);
    const failed = await corral.snapshotWhen('late', 'failed', ({ status }) => status?.completedAt);
    expect(findCondition(failed.status?.conditions, 'Ready')).toMatchObject({ status: 'False', reason: 'NodeLost' });
    expect(lost.vmProcesses()).toContain(lost.processOf(uid, incarnation));

    lost.resume();
    expect(await command).toBe(503);
    await until(async () => !lost.vmProcesses().includes(lost.processOf(uid, incarnation) ?? -1), { timeoutMs: 30_000, what: 'the process of the lost life is killed' });
    await lost.ready();
    const after = await corral.get('paused');
    expect(after.status).toMatchObject({ incarnation: again.status?.incarnation, nodeName: again.status?.nodeName, phase: 'Running' });
    expect((await corral.snapshotWhen('late', 'any', () => true)).status).toMatchObject({ conditions: failed.status?.conditions });
    expect(await uploaded(late.metadata.uid)).not.toContain('manifest.json');
    expect((await corral.execAnywhere('paused', 'cat /tmp/mark')).stdout).toBe('before\n');
    await corral.client.delete(virtualMachines, 'default', 'paused');
  });
});

describe('When a worker is cut off', () => {
  it('it serves nothing after its Lease, though its machine lives, and ends what others have by the time it is back', async () => {
    const { vm, worker: lost } = await withSnapshot('cut');
    const { incarnation = 0 } = vm.status ?? {};
    expect(await execDirectly(lost, vm)).toBe(200);
    lost.cutOff();
    await goesOnFromItsSnapshot(vm, lost);
    expect(lost.vmProcesses()).toContain(lost.processOf(vm.metadata.uid, incarnation));
    expect(await execDirectly({ name: lost.name, dataPlaneUrl: lost.localDataPlaneUrl }, vm)).toBe(503);

    lost.reconnect();
    await until(async () => !lost.vmProcesses().includes(lost.processOf(vm.metadata.uid, incarnation) ?? -1), { timeoutMs: 60_000, what: 'the process of the lost life is killed' });
    await lost.ready();
    await corral.client.delete(virtualMachines, 'default', 'cut');
  });
});

describe('When most workers vanish together', () => {
  it('nothing is taken from them, and what they have goes on when they are back', async () => {
    const vm = await corral.run('stays');
    await corral.execAnywhere('stays', 'echo here > /tmp/mark');
    for (const worker of herd.workers) worker.cutOff();
    await Promise.all(herd.workers.map((worker) => worker.ready('Unknown')));
    const metrics = async (): Promise<string> => (await fetch(`${corral.url}/metrics`, { headers: ADMIN })).text();
    await until(async () => (await metrics()).includes('corral_evictions_stopped 1'), { timeoutMs: 20_000, what: 'the brake' });
    for (const worker of herd.workers) worker.reconnect();
    await Promise.all(herd.workers.map((worker) => worker.ready()));
    const after = await corral.when('stays', 'Ready', isReady);
    expect(after.status).toMatchObject({ incarnation: vm.status?.incarnation, nodeName: vm.status?.nodeName });
    // A node is Ready from its renewal on, and serves once it has looked what it lost meanwhile.
    await until(async () => (await corral.execAnywhere('stays', 'cat /tmp/mark').catch(() => undefined))?.stdout === 'here\n', { timeoutMs: 20_000, what: 'the machine has what it had' });
    expect(await reasonsOf('stays')).not.toContain('RestartedWithoutState');
  });
});

describe('After all of that', () => {
  it('every snapshot that was called Ready can be restored', async () => {
    const { items } = await corral.client.list(virtualMachineSnapshots, { namespace: 'default' });
    const acknowledged = items.filter(({ status }) => findCondition(status?.conditions, 'Ready')?.status === 'True');
    expect(acknowledged.length).toBeGreaterThanOrEqual(3);
    for (const { metadata } of acknowledged) {
      await corral.run(`from-${metadata.name}`, { source: { snapshot: metadata.name } });
      expect((await corral.execAnywhere(`from-${metadata.name}`, 'cat /tmp/mark')).stdout).toBe('before\n');
      await corral.client.delete(virtualMachines, 'default', `from-${metadata.name}`);
    }
  });
});

async function uploaded(snapshotUid: string): Promise<string[]> {
  const { env } = corral;
  const store = new ObjectStore({
    endpoint: corral.s3.url, region: env['S3_REGION'] ?? '', bucket: 'corral',
    accessKeyId: env['S3_ACCESS_KEY_ID'] ?? '', secretAccessKey: env['S3_SECRET_ACCESS_KEY'] ?? '',
  });
  try {
    const names: string[] = [];
    for await (const { key } of store.list(`snapshots/default/${snapshotUid}/`)) names.push(key.split('/').at(-1) ?? '');
    return names;
  } finally {
    store.close();
  }
}

