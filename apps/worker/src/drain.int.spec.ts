import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { events, findCondition, nodes, podDisruptionBudgets, virtualMachines, virtualMachineSnapshots, type Event, type VirtualMachine } from '@corral/contracts';
import { guestImages, Kubectl, kubectlOnPath, obtainKubectl, until } from '@corral/testing';
import { jest } from '@jest/globals';
import { type Corral, IMAGE } from '../test/corral.ts';
import { type HerdWorker } from '../test/herd.ts';
import { WatchedHerd } from '../test/watched-herd.ts';

jest.setTimeout(240_000);

const herd = WatchedHerd.around(['worker-1', 'worker-2']);
let corral: Corral;
let kubectl: Kubectl;
beforeAll(async () => {
  corral = herd.corral;
  const program = kubectlOnPath() ?? (await obtainKubectl((await guestImages()).home));
  const certificate = readFileSync(join(corral.home, 'tls', 'tls.crt'), 'utf8');
  kubectl = new Kubectl(program, join(corral.home, 'kubectl'), { server: corral.url.replace('http:', 'https:'), certificate, token: corral.adminToken, namespace: 'default' });
});

const isReady = (vm: VirtualMachine): boolean => findCondition(vm.status?.conditions, 'Ready')?.status === 'True';
const on = (worker: HerdWorker) => ({ source: { image: IMAGE }, nodeName: worker.name }) as const;
const [first, second] = [(): HerdWorker => herd.workers[0] as HerdWorker, (): HerdWorker => herd.workers[1] as HerdWorker];
const reasonsOf = async (name: string): Promise<(string | undefined)[]> =>
  (await corral.client.list(events, { namespace: 'default', fieldSelector: `involvedObject.name=${name}` })).items.map((event) => (event as Event).reason);

/** A process that counts in memory, and nowhere else. */
async function counting(name: string): Promise<void> {
  await corral.execAnywhere(name, '(i=0; while :; do i=$((i+1)); echo $i > /tmp/count; sleep 0.1; done) >/dev/null 2>&1 </dev/null &');
  await until(async () => (await countOf(name)) > 3, { timeoutMs: 20_000, what: 'it counts' });
}
const countOf = async (name: string): Promise<number> => Number((await corral.execAnywhere(name, 'cat /tmp/count')).stdout);

describe('kubectl', () => {
  it('drains a node: what runs there goes on elsewhere from where it was, without --force', async () => {
    const vm = await corral.run('wanderer', { ...on(first()), restartPolicy: 'Never' });
    await counting('wanderer');
    const before = await countOf('wanderer');

    expect(await kubectl.ok(['drain', first().name, '--timeout=50s'])).toContain(`node/${first().name} drained`);

    const after = await corral.when('wanderer', 'Ready elsewhere', (seen) => seen.status?.nodeName === second().name && isReady(seen));
    expect(after.status).toMatchObject({ incarnation: (vm.status?.incarnation ?? 0) + 1, restartCount: 0, lastTermination: { reason: 'Moved' }, startedFrom: { type: 'Snapshot' } });
    expect(after.status).not.toHaveProperty('move');
    expect(after.status).not.toHaveProperty('continueFrom');
    const counted = await countOf('wanderer');
    expect(counted).toBeGreaterThanOrEqual(before);
    await until(async () => (await countOf('wanderer')) > counted, { timeoutMs: 20_000, what: 'it goes on counting' });
    expect(await reasonsOf('wanderer')).toEqual(expect.arrayContaining(['Moving', 'Moved', 'Restored']));
    const moved = (await corral.client.list(virtualMachineSnapshots, { namespace: 'default', labelSelector: 'corral.dev/move=true' })).items;
    expect(moved).toHaveLength(1);
    await corral.client.delete(virtualMachines, 'default', 'wanderer');
    await until(async () => (await corral.client.get(virtualMachineSnapshots, 'default', moved[0]?.metadata.name ?? '')) === undefined, { timeoutMs: 30_000, what: 'its snapshot goes with it' });
  });

  it('drains one node after the other under the same machine: what it holds, what counts and its clock are right after each move', async () => {
    for (const worker of herd.workers) await kubectl.ok(['uncordon', worker.name]);
    await corral.run('commuter', on(first()));
    const said = async (command: string): Promise<string> => (await corral.execAnywhere('commuter', command)).stdout;
    await said('for folder in /tmp /root; do dd if=/dev/urandom of=$folder/noise bs=100k count=30; done; sync');
    const sums = await said('sha256sum /tmp/noise /root/noise');
    await counting('commuter');
    let counted = await countOf('commuter');
    for (const [leaving, going] of [[first, second], [second, first], [first, second], [second, first]] as const) {
      await kubectl.ok(['drain', leaving().name, '--timeout=50s']);
      await corral.when('commuter', 'Ready elsewhere', (seen) => seen.status?.nodeName === going().name && isReady(seen));
      await kubectl.ok(['uncordon', leaving().name]);
      expect(await said('sha256sum /tmp/noise /root/noise')).toBe(sums);
      const went = await countOf('commuter');
      expect(went).toBeGreaterThanOrEqual(counted);
      await until(async () => (counted = await countOf('commuter')) > went, { timeoutMs: 20_000, what: 'it goes on counting' });
      await until(async () => Math.abs(Number(await said('date +%s')) - Date.now() / 1000) < 2, { timeoutMs: 10_000, what: 'its clock is right' });
    }
    expect((await corral.get('commuter')).status).toMatchObject({ incarnation: 5, restartCount: 0, lastTermination: { reason: 'Moved' } });
    await corral.client.delete(virtualMachines, 'default', 'commuter');
  });

  it('is refused by a disruption budget that is used up, and by a herd without another place; nothing stops meanwhile', async () => {
    await kubectl.ok(['uncordon', first().name]);
    await corral.client.create(podDisruptionBudgets, { metadata: { name: 'one', namespace: 'default' }, spec: { minAvailable: 1, selector: { matchLabels: { app: 'kept' } } } });
    const vm = await corral.client.create(virtualMachines, { metadata: { name: 'kept', namespace: 'default', labels: { app: 'kept' } }, spec: on(first()) as never });
    await corral.ready('kept');
    await until(async () => (await corral.client.get(podDisruptionBudgets, 'default', 'one'))?.status?.currentHealthy === 1, { timeoutMs: 20_000, what: 'the budget counts it' });
    await counting('kept');

    const refused = await kubectl.run(['drain', first().name, '--timeout=6s']);
    expect(refused.stderr).toContain("Cannot evict pod as it would violate the pod's disruption budget");
    expect((await corral.get('kept')).status).toMatchObject({ nodeName: first().name, phase: 'Running' });

    await corral.client.delete(podDisruptionBudgets, 'default', 'one');
    await kubectl.ok(['cordon', second().name]);
    const stuck = await kubectl.run(['drain', first().name, '--timeout=6s']);
    expect(stuck.stderr).toContain('Cannot move it away');
    const count = await countOf('kept');
    await until(async () => (await countOf('kept')) > count, { timeoutMs: 20_000, what: 'it was never held' });
    expect((await corral.get('kept')).status?.incarnation).toBe((vm.status?.incarnation ?? 0) + 1);
    await kubectl.ok(['uncordon', first().name]);
    await kubectl.ok(['uncordon', second().name]);
  });

  it('takes a drain back: uncordoned before the switch, the machine goes on where it was', async () => {
    const before = await corral.ready('kept');
    // Its snapshot never arrives.
    corral.s3.inject({ type: 'Stalled' }, ({ method, path }) => method === 'PUT' && path.includes('/snapshots/default/'));
    const draining = kubectl.run(['drain', first().name, '--timeout=50s']);
    await corral.when('kept', 'stands still', ({ status }) => findCondition(status?.conditions, 'Ready')?.reason === 'Moving');
    await until(async () => corral.s3.requests.some(({ method, path }) => method === 'PUT' && path.includes('/snapshots/default/')), { timeoutMs: 30_000, what: 'its snapshot is on its way' });
    await kubectl.ok(['uncordon', first().name]);
    const after = await corral.when('kept', 'goes on', (vm) => vm.status?.move === undefined && isReady(vm));
    expect(after.status).toMatchObject({ nodeName: first().name, incarnation: before.status?.incarnation });
    expect(await reasonsOf('kept')).toContain('MoveAborted');
    corral.s3.heal();
    const count = await countOf('kept');
    await until(async () => (await countOf('kept')) > count, { timeoutMs: 20_000, what: 'it counts on' });
    draining.catch(() => undefined);
  });

  it('sends machines away with a NoExecute taint, and not those that tolerate it', async () => {
    await corral.run('tolerant', { ...on(first()), tolerations: [{ key: 'broken', operator: 'Exists', effect: 'NoExecute' }] });
    await corral.ready('kept');
    await kubectl.ok(['taint', 'node', first().name, 'broken=yes:NoExecute']);
    await corral.when('kept', 'Ready elsewhere', (vm) => vm.status?.nodeName === second().name && isReady(vm));
    expect((await corral.get('tolerant')).status).toMatchObject({ nodeName: first().name, phase: 'Running' });
    await kubectl.ok(['taint', 'node', first().name, 'broken-']);
    await Promise.all(['kept', 'tolerant'].map((name) => corral.client.delete(virtualMachines, 'default', name)));
  });

  it('moves a machine whose snapshot cannot be read where it arrives: that is given up, and it goes on from its last checkpoint', async () => {
    for (const worker of herd.workers) await kubectl.ok(['uncordon', worker.name]);
    await corral.run('unlucky', on(first()));
    const said = async (command: string): Promise<string> => (await corral.execAnywhere('unlucky', command)).stdout.trim();
    await said('echo checkpoint > /tmp/mark');
    const { metadata } = await corral.takeSnapshot('lucky', 'unlucky');
    await corral.snapshotWhen('lucky', 'Verified', ({ status }) => findCondition(status?.conditions, 'Ready')?.status === 'True');
    await said('echo moved > /tmp/mark');
    // The store has it, whole, and gives something else each time.
    corral.s3.inject({ type: 'FlippedDownload', offset: 5 }, ({ method, path }) => method === 'GET' && path.includes('/snapshots/default/') && !path.includes(metadata.uid));
    await kubectl.ok(['drain', first().name, '--timeout=50s']);
    await corral.when('unlucky', 'waiting for its snapshot', ({ status }) => findCondition(status?.conditions, 'Ready')?.reason === 'DigestMismatch');
    const after = await corral.when('unlucky', 'Ready elsewhere', (seen) => seen.status?.nodeName === second().name && isReady(seen));
    corral.s3.heal();
    expect(after.status).toMatchObject({ incarnation: 2, restartCount: 1, lastTermination: { reason: 'ContinuationLost', incarnation: 1 }, startedFrom: { type: 'Snapshot', name: 'lucky' } });
    expect(after.status).not.toHaveProperty('continueFrom');
    expect(await said('cat /tmp/mark')).toBe('checkpoint');
    expect(await reasonsOf('unlucky')).toContain('ContinuationLost');
    await kubectl.ok(['uncordon', first().name]);
    await corral.client.delete(virtualMachines, 'default', 'unlucky');
  });

  it('shows machines as Pods of their nodes', async () => {
    await corral.run('seen', on(first()));
    const stdout = await kubectl.ok(['get', 'pods', '-o', 'wide', '--field-selector', `spec.nodeName=${first().name}`]);
    expect(stdout).toMatch(new RegExp(`^seen +1/1 +Running +0 +${first().name} `, 'm'));
    expect(await kubectl.ok(['describe', 'node', first().name])).toMatch(/default +seen/);
    await kubectl.ok(['delete', 'pod', 'seen', '--timeout=50s']);
    // Where there is room: that may be there again, for nobody cordoned the node.
    await corral.when('seen', 'Ready again', (vm) => vm.status?.incarnation === 2 && isReady(vm));
    expect((await corral.client.get(nodes, undefined, first().name))?.spec?.unschedulable).toBeFalsy();
  });
});

describe('A worker that is told to stop', () => {
  it('has its machines moved first where that is asked for, and suspends what nobody takes', async () => {
    const leaving = first();
    await leaving.terminate();
    leaving.movesOnStop();
    leaving.launch();
    await leaving.ready();
    const vm = await corral.run('passenger', on(leaving));
    await counting('passenger');
    const before = await countOf('passenger');
    await leaving.terminate();
    const after = await corral.when('passenger', 'Ready elsewhere', (seen) => seen.status?.nodeName === second().name && isReady(seen));
    expect(after.status).toMatchObject({ incarnation: (vm.status?.incarnation ?? 0) + 1, lastTermination: { reason: 'Moved' } });
    expect(await countOf('passenger')).toBeGreaterThanOrEqual(before);
    // The last of them has nobody to go to.
    await second().terminate();
    second().movesOnStop();
    second().launch();
    await corral.when('passenger', 'Ready again', (seen) => seen.status?.incarnation === (after.status?.incarnation ?? 0) + 1 && isReady(seen));
    await second().terminate();
    second().launch();
    const resumed = await corral.when('passenger', 'Ready once more', (seen) => seen.status?.incarnation === (after.status?.incarnation ?? 0) + 2 && isReady(seen));
    expect(resumed.status).toMatchObject({ nodeName: second().name, startedFrom: { type: 'Suspended' } });
    expect(await countOf('passenger')).toBeGreaterThanOrEqual(before);
  });
});
