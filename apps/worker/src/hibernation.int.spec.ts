import { once } from 'node:events';
import { CHECKPOINT_LABEL, events, findCondition, HIBERNATE_AFTER_ANNOTATION, namespaces, virtualMachines, virtualMachineSnapshots, type Event, type VirtualMachine, type VirtualMachineSnapshot } from '@corral/contracts';
import { until } from '@corral/testing';
import { jest } from '@jest/globals';
import { WebSocket } from 'ws';
import { ADMIN, Corral, IMAGE } from '../test/corral.ts';

jest.setTimeout(300_000);

let corral: Corral;
beforeAll(async () => {
  corral = await Corral.start();
});
afterAll(() => corral?.stop());

const pathOf = (name: string, subresource: string): string => `${corral.url}/apis/corral.dev/v1/namespaces/default/virtualmachines/${name}/${subresource}`;
const post = (name: string, subresource: string, body?: unknown): Promise<Response> =>
  fetch(pathOf(name, subresource), { method: 'POST', headers: { ...ADMIN, 'content-type': 'application/json' }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
const isAsleep = ({ status }: VirtualMachine): boolean => status?.phase === 'Hibernated';
const asleep = (name: string): Promise<VirtualMachine> => corral.when(name, 'asleep', isAsleep);
const hibernatedOf = (vm: VirtualMachine) => findCondition(vm.status?.conditions, 'Hibernated');

async function hibernate(name: string): Promise<VirtualMachine> {
  const answer = await post(name, 'hibernate');
  if (answer.status !== 202) throw new Error(`hibernate: ${answer.status} ${await answer.text()}`);
  return asleep(name);
}

const output = async (name: string, command: string): Promise<string> => (await corral.execAnywhere(name, command)).stdout.trim();

describe('A machine that is asked to hibernate', () => {
  it('ends its process, says so, and goes on where it was at the next command', async () => {
    const vm = await corral.run('sleeper');
    await output('sleeper', 'echo kept > /tmp/mark; (while :; do sleep 0.1; done) & echo $! > /tmp/pid');
    const processId = corral.vmProcessOf(vm);

    const sleeping = await hibernate('sleeper');
    expect(corral.vmProcesses()).not.toContain(processId);
    expect(sleeping.status).toMatchObject({
      incarnation: 1,
      hibernation: { reason: 'Requested', incarnation: 1 },
      lastTermination: { reason: 'Hibernated', incarnation: 1 },
    });
    expect(findCondition(sleeping.status?.conditions, 'Ready')).toMatchObject({ status: 'False', reason: 'Hibernated' });
    expect(hibernatedOf(sleeping)).toMatchObject({ status: 'True', reason: 'Requested' });

    expect(await output('sleeper', 'cat /tmp/mark; kill -0 $(cat /tmp/pid) && echo lives')).toBe('kept\nlives');
    const awake = await corral.ready('sleeper', 2);
    expect(awake.status).toMatchObject({ phase: 'Running', restartCount: 0, startedFrom: { type: 'Suspended' } });
    expect(awake.status?.hibernation).toBeUndefined();
    expect(hibernatedOf(awake)).toMatchObject({ status: 'False', reason: 'Awake' });
    const clock = Number(await output('sleeper', 'date +%s'));
    expect(Math.abs(clock - Date.now() / 1000)).toBeLessThan(3);
    const reasons = (await corral.client.list(events, { namespace: 'default', fieldSelector: 'involvedObject.name=sleeper' })).items.map((event) => (event as Event).reason);
    expect(reasons).toEqual(expect.arrayContaining(['Hibernating', 'Hibernated', 'Resumed']));
  });

  it('answers with its last screen without waking up, and wakes up for typing and for files', async () => {
    await hibernate('sleeper');
    const [picture, text] = await Promise.all(['', '?format=text'].map((query) => fetch(`${pathOf('sleeper', 'screenshot')}${query}`, { headers: ADMIN })));
    expect([picture?.status, picture?.headers.get('content-type'), text?.status]).toEqual([200, 'image/png', 200]);
    expect((await picture?.arrayBuffer())?.byteLength).toBeGreaterThan(500);
    expect((await corral.get('sleeper')).status?.phase).toBe('Hibernated');

    expect((await post('sleeper', 'input', { type: 'text', text: 'x' })).status).toBe(200);
    expect((await corral.get('sleeper')).status?.phase).toBe('Running');
    await hibernate('sleeper');
    const file = await fetch(`${pathOf('sleeper', 'files')}?path=/tmp/mark`, { headers: ADMIN });
    expect(await file.text()).toBe('kept\n');
  });

  it('stays asleep while its node agent restarts, and wakes up when asked', async () => {
    const before = await hibernate('sleeper');
    await corral.stopWorker();
    corral.startWorker();
    await until(async () => (await corral.dataPlane(before, 'screenshot').catch(() => undefined))?.status === 200, { timeoutMs: 60_000, what: 'the node is back' });
    expect((await corral.get('sleeper')).status).toMatchObject({ phase: 'Hibernated', incarnation: before.status?.incarnation });
    expect((await post('sleeper', 'wake')).status).toBe(202);
    await corral.ready('sleeper', (before.status?.incarnation ?? 0) + 1);
    expect(await output('sleeper', 'cat /tmp/mark')).toBe('kept');
  });

  it('refuses where there is nothing to keep, and starts nobody twice', async () => {
    await corral.create('off', { source: { image: IMAGE }, powerState: 'Stopped' });
    expect((await post('off', 'hibernate')).status).toBe(409);
    expect((await post('never', 'hibernate')).status).toBe(404);
    const { status } = await hibernate('sleeper');
    expect((await post('sleeper', 'hibernate')).status).toBe(202);
    const answers = await Promise.all(Array.from({ length: 8 }, (_, index) => output('sleeper', `echo ${index}`)));
    expect(answers).toEqual(Array.from({ length: 8 }, (_, index) => String(index)));
    expect((await corral.get('sleeper')).status?.incarnation).toBe((status?.incarnation ?? 0) + 1);
  });
});

describe('A machine that nobody uses', () => {
  it('hibernates by itself, with somebody looking on, who wakes it by typing and has missed nothing', async () => {
    await corral.run('idle', { source: { image: IMAGE }, idlePolicy: { hibernateAfterSeconds: 10 } });
    const viewer = new WebSocket(pathOf('idle', 'serial').replace('http', 'ws'), { headers: ADMIN });
    let seen = '';
    viewer.on('message', (data: Buffer) => (seen += data.toString()));
    await once(viewer, 'open');
    const watching = setInterval(() => void fetch(pathOf('idle', 'screenshot'), { headers: ADMIN }).then((answer) => answer.arrayBuffer()), 1_000);
    try {
      const sleeping = await asleep('idle');
      expect(sleeping.status?.hibernation).toMatchObject({ reason: 'Idle', incarnation: 1 });
      expect(hibernatedOf(sleeping)).toMatchObject({ status: 'True', reason: 'Idle' });
    } finally {
      clearInterval(watching);
    }
    expect(viewer.readyState).toBe(WebSocket.OPEN);
    seen = '';
    viewer.send('echo $((6*7)) is the answer\n');
    await until(async () => seen.includes('42 is the answer'), { timeoutMs: 60_000, what: 'the machine answers on the line that was open all night' });
    expect((await corral.ready('idle', 2)).status?.hibernation).toBeUndefined();
    viewer.close();
  });
});

describe('What a machine does when it comes to rest', () => {
  it('is a default of its namespace: one that says nothing itself hibernates as that says', async () => {
    await corral.client.create(namespaces, { metadata: { name: 'drowsy', annotations: { [HIBERNATE_AFTER_ANNOTATION]: '10' } } });
    const made = await corral.client.create(virtualMachines, { metadata: { name: 'dozing', namespace: 'drowsy' }, spec: { source: { image: IMAGE } } as never });
    expect(made.spec?.idlePolicy).toEqual({ hibernateAfterSeconds: 10 });
    const sleeping = await until(async () => {
      const vm = await corral.client.get(virtualMachines, 'drowsy', 'dozing');
      return vm && isAsleep(vm) ? vm : undefined;
    }, { timeoutMs: 90_000, what: 'it sleeps' });
    expect(sleeping.status?.hibernation).toMatchObject({ reason: 'Idle', incarnation: 1 });
    await corral.client.delete(virtualMachines, 'drowsy', 'dozing');
  });

  it('is to be checkpointed, where its policy says so: once for each time it was used', async () => {
    const checkpoints = async (): Promise<VirtualMachineSnapshot[]> =>
      ((await corral.client.list(virtualMachineSnapshots, { namespace: 'default', labelSelector: `${CHECKPOINT_LABEL}=true`, fieldSelector: 'spec.virtualMachine=rested' })).items as VirtualMachineSnapshot[])
        .filter(({ status }) => findCondition(status?.conditions, 'Ready')?.status === 'True')
        .sort((a, b) => a.metadata.creationTimestamp.localeCompare(b.metadata.creationTimestamp));
    const newerThan = (name: string | undefined): Promise<VirtualMachineSnapshot> =>
      until(async () => {
        const last = (await checkpoints()).at(-1);
        return last && last.metadata.name !== name ? last : undefined;
      }, { timeoutMs: 90_000, what: 'a checkpoint of its rest' });
    await corral.run('rested', { source: { image: IMAGE }, checkpointPolicy: { onIdle: true, keepLast: 5 } });
    const first = await newerThan(undefined);
    await output('rested', 'echo used > /tmp/mark');
    const second = await newerThan(first.metadata.name);
    expect(second.status?.parent).toBe(first.metadata.name);
    const { idleSince = '' } = (await corral.get('rested')).status ?? {};
    expect(Date.parse(second.metadata.creationTimestamp)).toBeGreaterThanOrEqual(Date.parse(idleSince));
    // It is what the rest was for: what was done is in it.
    await corral.run('from-rest', { source: { snapshot: second.metadata.name } });
    expect(await output('from-rest', 'cat /tmp/mark')).toBe('used');
    expect((await checkpoints()).at(-1)?.metadata.name).toBe(second.metadata.name);
  });
});

describe('Twenty nights', () => {
  it('change nothing of what a machine holds, and set its clock each morning', async () => {
    await corral.run('long');
    await output('long', 'dd if=/dev/urandom of=/tmp/bytes bs=64k count=16 2>/dev/null; (i=0; while :; do i=$((i+1)); echo $i > /tmp/next; mv /tmp/next /tmp/count; sleep 0.2; done) >/dev/null 2>&1 &');
    const hash = await output('long', 'sha256sum /tmp/bytes');
    const wakes: number[] = [];
    let count = 0;
    for (let night = 1; night <= 20; night += 1) {
      await hibernate('long');
      const begun = performance.now();
      const answer = await output('long', 'date +%s');
      wakes.push(performance.now() - begun);
      expect(Math.abs(Number(answer) - Date.now() / 1000)).toBeLessThan(3);
      expect(await output('long', 'sha256sum /tmp/bytes')).toBe(hash);
      const now = Number(await output('long', 'cat /tmp/count'));
      expect(now).toBeGreaterThanOrEqual(count);
      count = now;
    }
    const vm = await corral.ready('long');
    expect(vm.status).toMatchObject({ incarnation: 21, restartCount: 0 });
    process.stderr.write(`wake to first answer, ms: ${wakes.map(Math.round).sort((a, b) => a - b).join(' ')}\n`);
  });
});
