import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { jest } from '@jest/globals';
import {
  events,
  findCondition,
  leases,
  NODE_LEASE_NAMESPACE,
  nodes,
  virtualMachineImages,
  virtualMachines,
  type Event,
  type VirtualMachine,
} from '@corral/contracts';
import { until } from '@corral/testing';
import { generateKeyPair } from 'jose';
import { Corral, IMAGE, NODE_NAME, readyOf } from '../test/corral.ts';

jest.setTimeout(240_000);

let corral: Corral;
beforeAll(async () => {
  corral = await Corral.start();
});
afterAll(() => corral?.stop());

/** As if the node had never had any. */
function forgetPacks(): void {
  const packs = join(corral.workerHome, 'packs');
  for (const name of readdirSync(packs)) rmSync(join(packs, name));
}

const reasonOf = (vm: VirtualMachine): string | undefined => readyOf(vm)?.reason;

describe('A node', () => {
  it('registers itself with what it has, and keeps its lease', async () => {
    const node = await corral.client.get(nodes, undefined, NODE_NAME);
    expect(node?.metadata.labels).toMatchObject({
      'kubernetes.io/hostname': NODE_NAME,
      'corral.dev/v86-build': node?.status?.corral?.v86Build,
    });
    expect(Number(node?.status?.allocatable?.['memory'])).toBeGreaterThan(64 * 2 ** 20);
    expect(findCondition(node?.status?.conditions, 'Ready')?.status).toBe('True');
    const renewTime = async (): Promise<string | undefined> =>
      (await corral.client.get(leases, NODE_LEASE_NAMESPACE, NODE_NAME))?.spec?.renewTime;
    const before = await renewTime();
    expect(before).toBeDefined();
    await until(async () => (await renewTime()) !== before, { timeoutMs: 20_000, what: 'a renewed lease' });
  });
});

describe('A machine', () => {
  it('is started from the golden snapshot, answers commands, and is told what it is called', async () => {
    const vm = await corral.run('hello');
    expect(vm.status).toMatchObject({
      phase: 'Running',
      incarnation: 1,
      nodeName: NODE_NAME,
      restartCount: 0,
      memoryMiB: 128,
      startedFrom: { type: 'GoldenSnapshot', name: IMAGE },
    });
    expect(vm.metadata.finalizers).toEqual(['corral.dev/machine']);
    expect(reasonOf(vm)).toBe('AgentAnswered');
    expect(await corral.exec('hello', 'hostname; echo oops >&2; exit 3')).toMatchObject({
      exitCode: 3,
      stdout: 'hello\n',
      stderr: 'oops\n',
    });
  });

  it('lets nobody in without a token for this very operation of this very incarnation', async () => {
    const vm = await corral.ready('hello');
    const { uid } = vm.metadata;
    const refused = async (token: string, claimed: VirtualMachine = vm): Promise<unknown> => {
      const answer = await corral.dataPlane(claimed, 'exec', { method: 'POST', body: '{"command":["true"]}' }, token);
      return [answer.status, ((await answer.json()) as { reason: string }).reason];
    };
    const incarnation = vm.status?.incarnation ?? 0;
    const claims = { uid, incarnation, operation: 'exec' };
    expect(await refused('nonsense')).toEqual([401, 'Unauthorized']);
    expect(await refused(await corral.signToken(NODE_NAME, claims, { key: (await generateKeyPair('ES256')).privateKey }))).toEqual([401, 'Unauthorized']);
    expect(await refused(await corral.signToken(NODE_NAME, claims, { lifetime: '-30s' }))).toEqual([401, 'Unauthorized']);
    expect(await refused(await corral.signToken('worker-2', claims))).toEqual([401, 'Unauthorized']);
    expect(await refused(await corral.signToken(NODE_NAME, { ...claims, operation: 'files' }))).toEqual([403, 'Forbidden']);
    expect(await refused(await corral.signToken(NODE_NAME, { ...claims, uid: 'another' }))).toEqual([403, 'Forbidden']);
    const past = { ...vm, status: { ...vm.status, incarnation: incarnation + 1 } };
    expect(await refused(await corral.signToken(NODE_NAME, { ...claims, incarnation: incarnation + 1 }), past)).toEqual([
      409,
      'VirtualMachineNotRunning',
    ]);
  });

  it('is started again, with the reason told, when its process is killed; its neighbour does not notice', async () => {
    const [victim, neighbour] = await Promise.all([corral.run('victim'), corral.ready('hello')]);
    process.kill(corral.vmProcessOf(victim), 'SIGKILL');
    const again = await corral.ready('victim', 2);
    expect(again.status).toMatchObject({
      restartCount: 1,
      lastTermination: { reason: 'ProcessExited', signal: 'SIGKILL', incarnation: 1 },
    });
    expect((await corral.exec('victim', 'true')).exitCode).toBe(0);
    expect((await corral.get('hello')).status?.incarnation).toBe(neighbour.status?.incarnation);
  });

  it('tells a kernel panic as a condition, and starts again after it', async () => {
    const exec = corral
      .exec('victim', 'echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger')
      .catch(() => undefined);
    const panicked = await corral.when(
      'victim',
      'the panic told',
      (vm) => findCondition(vm.status?.conditions, 'GuestPanicked')?.status === 'True',
    );
    expect(panicked.status).toMatchObject({
      phase: 'Failed',
      lastTermination: { reason: 'GuestPanicked', incarnation: 2 },
    });
    expect(findCondition(panicked.status?.conditions, 'GuestPanicked')?.message).toContain('Kernel panic');
    const again = await corral.ready('victim', 3);
    expect([again.status?.restartCount, findCondition(again.status?.conditions, 'GuestPanicked')?.status]).toEqual([
      2,
      'False',
    ]);
    await exec;
  });

  it('stays as it is when it switched itself off and its policy says so, until its user switches it off and on', async () => {
    await corral.run('sleeper', { source: { image: IMAGE }, restartPolicy: 'OnFailure' });
    await corral.exec('sleeper', 'poweroff -f').catch(() => undefined);
    const off = await corral.when('sleeper', 'off', (vm) => vm.status?.phase === 'Stopped');
    expect([off.status?.lastTermination?.reason, reasonOf(off)]).toEqual(['GuestPoweredOff', 'GuestPoweredOff']);
    await corral.want('sleeper', { powerState: 'Stopped' });
    await corral.when('sleeper', 'switched off', (vm) => reasonOf(vm) === 'Stopped');
    await corral.want('sleeper', { powerState: 'Running' });
    expect((await corral.ready('sleeper', 2)).status?.phase).toBe('Running');
  });

  it('stands still while paused and goes on where it was', async () => {
    await corral.exec('hello', 'echo kept > /tmp/kept');
    await corral.want('hello', { powerState: 'Paused' });
    const paused = await corral.when('hello', 'paused', (vm) => vm.status?.phase === 'Paused');
    expect(reasonOf(paused)).toBe('Paused');
    await corral.want('hello', { powerState: 'Running' });
    const running = await corral.ready('hello');
    expect(running.status?.incarnation).toBe(paused.status?.incarnation);
    expect((await corral.exec('hello', 'cat /tmp/kept')).stdout).toBe('kept\n');
  });

  it('is asked to shut down when it is switched off', async () => {
    await corral.want('sleeper', { powerState: 'Stopped' });
    const stopped = await corral.when('sleeper', 'stopped', (vm) => vm.status?.phase === 'Stopped');
    expect(stopped.status?.lastTermination).toMatchObject({
      reason: 'Stopped',
      message: 'Stopped after the guest was asked to shut down',
    });
  });

  it('is gone when it is deleted, only once its process and its folder are', async () => {
    const vm = await corral.run('brief');
    const pid = corral.vmProcessOf(vm);
    await corral.client.delete(virtualMachines, 'default', 'brief');
    await until(async () => !(await corral.client.get(virtualMachines, 'default', 'brief')), {
      timeoutMs: 30_000,
      what: 'the end of the object',
    });
    expect(corral.vmProcesses()).not.toContain(pid);
    expect(readdirSync(join(corral.workerHome, 'machines'))).not.toContain(vm.metadata.uid);
  });

  it('boots where the golden snapshot has been lost', async () => {
    const image = await corral.client.get(virtualMachineImages, undefined, IMAGE);
    const digest = image?.status?.goldenSnapshots?.[0]?.digest ?? '';
    // Its RAM may still be in the node's memory; its devices are nowhere.
    corral.s3.inject({ type: 'FlippedDownload', offset: 100 }, ({ path }) => path.includes('/packs/') || path.includes('/snapshots/'));
    rmSync(join(corral.workerHome, 'snapshots', digest), { recursive: true, force: true });
    forgetPacks();
    try {
      expect((await corral.run('anyway')).status?.startedFrom).toMatchObject({ type: 'Boot', name: IMAGE });
    } finally {
      corral.s3.heal();
    }
    await corral.client.delete(virtualMachines, 'default', 'anyway');
  });

  it('leaves a trail of events', async () => {
    const { items } = await corral.client.list(events, {
      namespace: 'default',
      fieldSelector: 'involvedObject.name=victim',
    });
    const reasons = items.map((event) => (event as Event).reason);
    expect(reasons).toEqual(expect.arrayContaining(['Started', 'BackOff', 'ProcessExited', 'GuestPanicked']));
  });
});

describe('A snapshot', () => {
  const finished = (snapshot: { readonly status?: { readonly completedAt?: string | undefined } }): boolean =>
    snapshot.status?.completedAt !== undefined;

  it('of a running machine is Ready once S3 has it, and a machine made from it goes on where it was', async () => {
    await corral.exec(
      'hello',
      '(n=0; while :; do n=$((n+1)); echo $n > /tmp/count; usleep 50000; done) > /dev/null 2>&1 &',
    );
    await until(async () => Number((await corral.exec('hello', 'cat /tmp/count')).stdout) > 5, {
      timeoutMs: 30_000,
      what: 'counting',
    });
    await corral.takeSnapshot('first', 'hello');
    const snapshot = await corral.snapshotWhen('first', 'finished', finished);
    expect(readyOf(snapshot)).toMatchObject({ status: 'True', reason: 'Verified' });
    expect(snapshot.status).toMatchObject({ parent: '', memoryMiB: 128, image: IMAGE });
    expect(snapshot.status?.pauseMilliseconds).toBeGreaterThan(0);

    const copy = await corral.run('copy', { source: { snapshot: 'first' } });
    expect(copy.status?.startedFrom).toMatchObject({
      type: 'Snapshot',
      name: 'first',
      digest: snapshot.status?.digest,
    });
    expect((await corral.exec('copy', 'cat /tmp/kept; hostname')).stdout).toBe('kept\ncopy\n');
    const count = Number((await corral.exec('copy', 'cat /tmp/count')).stdout);
    await until(async () => Number((await corral.exec('copy', 'cat /tmp/count')).stdout) > count, {
      timeoutMs: 30_000,
      what: 'counting on',
    });
    expect(readdirSync(join(corral.workerHome, 'spool'))).toEqual([]);
  });

  it('of a paused machine leaves it paused', async () => {
    await corral.want('hello', { powerState: 'Paused' });
    const paused = await corral.when('hello', 'paused', (vm) => vm.status?.phase === 'Paused');
    await corral.takeSnapshot('standing-still', 'hello');
    expect(readyOf(await corral.snapshotWhen('standing-still', 'finished', finished))?.reason).toBe('Verified');
    expect((await corral.get('hello')).status?.phase).toBe('Paused');
    await corral.want('hello', { powerState: 'Running' });
    expect((await corral.ready('hello')).status?.incarnation).toBe(paused.status?.incarnation);
  });

  it.each([
    ['is down', { type: 'Down' }, 'StorageUnreachable'],
    ['is full', { type: 'Full' }, 'StorageFull'],
  ] as const)(
    'says so while S3 %s, the machine goes on, and the same moment is kept once S3 is back',
    async (what, fault, reason) => {
      const name = `while-${what.replace(' ', '-')}`;
      corral.s3.inject(fault, ({ method }) => method !== 'GET' && method !== 'HEAD');
      try {
        await corral.exec('hello', `echo ${name} > /tmp/moment`);
        await corral.takeSnapshot(name, 'hello');
        const failing = await corral.snapshotWhen(name, reason, (snapshot) => readyOf(snapshot)?.reason === reason);
        expect(failing.status?.completedAt).toBeUndefined();
        expect((await corral.exec('hello', 'echo later > /tmp/moment; echo alive')).stdout).toBe('alive\n');
      } finally {
        corral.s3.heal();
      }
      expect(readyOf(await corral.snapshotWhen(name, 'finished', finished))?.reason).toBe('Verified');
      const restored = `from-${name}`;
      await corral.run(restored, { source: { snapshot: name } });
      expect((await corral.exec(restored, 'cat /tmp/moment')).stdout).toBe(`${name}\n`);
      await corral.client.delete(virtualMachines, 'default', restored);
    },
  );

  it('whose bytes come back damaged starts nothing, and says so', async () => {
    await corral.takeSnapshot('damaged', 'hello');
    await corral.snapshotWhen('damaged', 'finished', finished);
    forgetPacks();
    corral.s3.inject({ type: 'FlippedDownload', offset: 4_000 }, ({ path }) => path.includes('/packs/'));
    try {
      await corral.create('unlucky', { source: { snapshot: 'damaged' } });
      const refused = await corral.when('unlucky', 'refused', (vm) => reasonOf(vm) === 'DigestMismatch');
      expect(refused.status?.incarnation).toBeUndefined();
    } finally {
      corral.s3.heal();
    }
    expect((await corral.ready('unlucky')).status?.incarnation).toBe(1);
    await corral.client.delete(virtualMachines, 'default', 'unlucky');
  });

  it('outlives the image below it, and so does the machine', async () => {
    const { spec } = (await corral.client.get(virtualMachineImages, undefined, IMAGE)) ?? {};
    if (!spec) throw new Error('the image is gone');
    // Without the agent it is not baked, and Ready as soon as it runs.
    const passing = { ...spec, guestAgent: false, commandLine: `${spec.commandLine} corral.passing` };
    await corral.client.create(virtualMachineImages, { metadata: { name: 'passing' }, spec: passing });
    await corral.run('heir', { source: { image: 'passing' } });
    await corral.takeSnapshot('heirloom', 'heir');
    const { status } = await corral.snapshotWhen('heirloom', 'finished', finished);
    expect(status?.imageParts).toMatchObject({ commandLine: passing.commandLine, guestAgent: false });
    await corral.client.delete(virtualMachineImages, undefined, 'passing');
    await until(async () => !(await corral.client.get(virtualMachineImages, undefined, 'passing')), {
      timeoutMs: 60_000,
      what: 'the end of the image',
    });

    const restored = await corral.run('restored', { source: { snapshot: 'heirloom' } });
    expect(restored.status).toMatchObject({
      startedFrom: { type: 'Snapshot', digest: status?.digest },
      imageParts: status?.imageParts,
    });
    await corral.want('heir', { powerState: 'Stopped' });
    await corral.when('heir', 'stopped', (vm) => vm.status?.phase === 'Stopped');
    await corral.want('heir', { powerState: 'Running' });
    expect((await corral.ready('heir')).status).toMatchObject({ incarnation: 2, startedFrom: { type: 'Boot' } });
    for (const name of ['heir', 'restored']) await corral.client.delete(virtualMachines, 'default', name);
  });

  it('of a machine that does not run fails with that reason', async () => {
    await corral.takeSnapshot('of-nothing', 'sleeper');
    const failed = await corral.snapshotWhen(
      'of-nothing',
      'not Ready',
      (snapshot) => readyOf(snapshot)?.status === 'False',
    );
    expect(readyOf(failed)?.reason).toBe('VirtualMachineNotRunning');
  });
});

describe('A node agent', () => {
  it('that is told to stop suspends its machines, and resumes them when it is back', async () => {
    await corral.client.delete(virtualMachines, 'default', 'copy');
    const before = await corral.ready('hello');
    await corral.exec('hello', 'echo across > /tmp/across');
    await corral.stopWorker('SIGTERM');
    expect(corral.vmProcesses()).toEqual([]);
    const suspended = await corral.get('hello');
    expect([reasonOf(suspended), suspended.status?.lastTermination?.reason]).toEqual(['Suspended', 'NodeStopped']);
    corral.startWorker();
    const resumed = await corral.ready('hello', (before.status?.incarnation ?? 0) + 1);
    expect(resumed.status?.startedFrom?.type).toBe('Suspended');
    expect((await corral.exec('hello', 'cat /tmp/across')).stdout).toBe('across\n');
  });

  it('that is killed takes its machines with it; when it is back they start anew', async () => {
    const before = await corral.ready('hello');
    await corral.stopWorker('SIGKILL');
    await until(() => corral.vmProcesses().length === 0, { timeoutMs: 20_000, what: 'the end of the VM processes' });
    corral.startWorker();
    const again = await corral.ready('hello', (before.status?.incarnation ?? 0) + 1);
    expect(again.status).toMatchObject({
      startedFrom: { type: 'GoldenSnapshot' },
      lastTermination: { reason: 'NodeStopped', incarnation: before.status?.incarnation },
    });
    // What its machines shared died with it, and is made anew for those that come.
    const node = await until(
      async () => {
        const found = await corral.client.get(nodes, undefined, NODE_NAME);
        return (found?.status?.corral?.bases?.users ?? 0) > 0 ? found : undefined;
      },
      { timeoutMs: 30_000, what: 'a base with users' },
    );
    expect(node.status?.corral?.bases?.bytes).toBeGreaterThan(16 * 2 ** 20);
  });

  it('does its work without Redis', async () => {
    await corral.redis.stop();
    await corral.run('no-hints');
    await corral.client.delete(virtualMachines, 'default', 'no-hints');
    await until(async () => !(await corral.client.get(virtualMachines, 'default', 'no-hints')), {
      timeoutMs: 30_000,
      what: 'the end of the object',
    });
    const told = (): number => corral.workerLog.match(/Redis is away/g)?.length ?? 0;
    await until(async () => told() > 0, { timeoutMs: 20_000, what: 'that Redis is away is told' });
    expect(told()).toBe(1);
  });
});
