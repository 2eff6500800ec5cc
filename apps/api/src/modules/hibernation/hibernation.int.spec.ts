import { once } from 'node:events';
import { findCondition, namespaces, nodes, resourceQuotas, virtualMachines, virtualMachineSnapshots, withCondition, type Status, type VirtualMachine, type VirtualMachineStatus } from '@corral/contracts';
import { WebSocket } from 'ws';
import { authorization, eventually, startApi, type ApiStack } from '../../../test/api-stack.ts';
import { FakeDataPlane } from '../../../test/fake-data-plane.ts';
import { registerNode } from '../../../test/fake-node.ts';
import { addTinyImage, aVm } from '../../../test/wishes.ts';
import { Informers } from '../controllers/informers.ts';

const MACHINE = '/apis/corral.dev/v1/namespaces/default/virtualmachines/demo';

describe('hibernation', () => {
  let stack: ApiStack;
  const plane = new FakeDataPlane();
  /** Whether the node that is played here does what it is asked. */
  let obeys = true;
  const plays: (() => void)[] = [];

  beforeAll(async () => {
    stack = await startApi({ CORRAL_EVICTION_SECONDS: '1' });
    await addTinyImage(stack);
    await registerNode(stack.agent, plane.nodeName, { dataPlaneUrl: await plane.start(stack.url), memory: '400Mi' });
    plane.uid = (await stack.admin.create(virtualMachines, aVm('demo', { memory: '64Mi' }))).metadata.uid;
    await told('demo', () => ({ phase: 'Running', incarnation: 1, conditions: ready('True', 'AgentAnswered') }));
    const timer = setInterval(() => void play().catch(() => undefined), 20);
    plays.push(() => clearInterval(timer));
  }, 60_000);
  afterAll(async () => {
    for (const end of plays) end();
    await stack.stop();
    await plane.stop();
  }, 30_000);
  beforeEach(() => {
    obeys = true;
    plane.http.clear();
    plane.sockets.clear();
  });

  const ready = (status: 'True' | 'False', reason: string) => withCondition(undefined, { type: 'Ready', status, reason }, new Date());
  const get = async (name = 'demo'): Promise<VirtualMachine | undefined> => stack.agent.get(virtualMachines, 'default', name);
  const post = (path: string, body?: unknown): Promise<Response> =>
    stack.fetch(path, { method: 'POST', headers: { 'content-type': 'application/json' }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const reasonOf = async (response: Response): Promise<string | undefined> => ((await response.json()) as Status).reason;

  /** What the node says of a machine, as its agent would. */
  async function told(name: string, change: (status: VirtualMachineStatus) => VirtualMachineStatus): Promise<void> {
    await eventually(async () => {
      const vm = await get(name);
      return vm?.spec?.nodeName !== undefined && (await stack.agent.replaceStatus(virtualMachines, { ...vm, status: { ...change(vm.status ?? {}), nodeName: 'worker-1' } }).catch(() => undefined));
    }, `${name} is told of`);
  }

  /** A node that writes machines out, and starts them again, as soon as it is asked. */
  async function play(): Promise<void> {
    const vm = await get();
    const { hibernation, ...status } = vm?.status ?? {};
    if (!obeys || !vm || !hibernation) return;
    const write = (next: VirtualMachineStatus) => stack.agent.replaceStatus(virtualMachines, { ...vm, status: next });
    if (hibernation.wakeRequestedAt === undefined) {
      if (status.phase === 'Hibernated') return;
      for (const socket of plane.clients) socket.terminate();
      plane.incarnation = 0;
      await write({ ...status, phase: 'Hibernated', conditions: ready('False', 'Hibernated'), hibernation: { ...hibernation, since: new Date().toISOString() } });
      return;
    }
    const incarnation = (status.incarnation ?? 0) + 1;
    plane.incarnation = incarnation;
    await write({ ...status, phase: 'Running', incarnation, conditions: ready('True', 'AgentAnswered') });
  }

  const asleep = () => eventually(async () => (await get())?.status?.phase === 'Hibernated', 'it sleeps');
  async function hibernate(): Promise<void> {
    expect((await post(`${MACHINE}/hibernate`)).status).toBe(202);
    await asleep();
  }
  const answerExec = (stdout: string): void => {
    plane.http.set('POST exec', (_request, response) => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ exitCode: 0, stdout })));
  };

  it('is asked for and taken back by verbs, each of which may be said twice', async () => {
    const first = await post(`${MACHINE}/hibernate`);
    expect(first.status).toBe(202);
    expect(await first.json()).toMatchObject({ kind: 'VirtualMachine', metadata: { name: 'demo' }, status: { hibernation: { reason: 'Requested', incarnation: 1 } } });
    expect((await post(`${MACHINE}/hibernate`)).status).toBe(202);
    await asleep();
    const woken = await post(`${MACHINE}/wake`);
    expect([woken.status, ((await woken.json()) as VirtualMachine).status?.phase]).toEqual([202, 'Starting']);
    expect((await post(`${MACHINE}/wake`)).status).toBe(202);
    await eventually(async () => (await get())?.status?.phase === 'Running', 'it is awake');
    expect((await post(`${MACHINE.replace('demo', 'never')}/wake`)).status).toBe(404);
    await stack.admin.create(virtualMachines, aVm('off', { powerState: 'Stopped', memory: '16Mi' }));
    expect(await reasonOf(await post(`${MACHINE.replace('demo', 'off')}/hibernate`))).toBe('VirtualMachineNotRunning');
    await stack.admin.delete(virtualMachines, 'default', 'off');
  });

  it('by itself is a policy of the machine, or of its namespace when it was made', async () => {
    const annotated = (seconds: string) => ({ metadata: { name: 'sleepy', annotations: { 'corral.dev/hibernate-after-seconds': seconds } } });
    for (const wrong of ['soon', '-1', '3', '1e3', '1.5']) await expect(stack.admin.create(namespaces, annotated(wrong) as never)).rejects.toMatchObject({ code: 'object.invalid' });
    await stack.admin.create(namespaces, annotated('600') as never);
    const policyOf = async (name: string, spec = {}, namespace = 'sleepy') => (await stack.admin.create(virtualMachines, aVm(name, { powerState: 'Stopped', ...spec }, namespace))).spec?.idlePolicy;
    expect(await policyOf('theirs')).toEqual({ hibernateAfterSeconds: 600 });
    expect(await policyOf('own', { idlePolicy: { hibernateAfterSeconds: 60 } })).toEqual({ hibernateAfterSeconds: 60 });
    expect(await policyOf('never', { idlePolicy: { hibernateAfterSeconds: 0 } })).toEqual({ hibernateAfterSeconds: 0 });
    expect(await policyOf('elsewhere', {}, 'default')).toBeUndefined();
    for (const wrong of [5, -1, 1.5, 1e9]) await expect(policyOf('wrong', { idlePolicy: { hibernateAfterSeconds: wrong } })).rejects.toMatchObject({ code: 'object.invalid' });
    await stack.admin.delete(virtualMachines, 'default', 'elsewhere');
    await stack.admin.delete(namespaces, undefined, 'sleepy');
  });

  it('ends when somebody has work for the machine, who notices nothing but a delay', async () => {
    await hibernate();
    answerExec('awake\n');
    const answers = await Promise.all([1, 2, 3].map(() => post(`${MACHINE}/exec`, { command: ['true'] })));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(await answers[0]?.json()).toMatchObject({ stdout: 'awake\n' });
    expect((await get())?.status?.hibernation).toBeUndefined();

    await hibernate();
    plane.http.set('PUT files', async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ sizeBytes: Buffer.concat(chunks).length }));
    });
    const put = await stack.fetch(`${MACHINE}/files?path=/tmp/x`, { method: 'PUT', body: new Uint8Array(300_000) });
    expect([put.status, await put.json()]).toEqual([200, { sizeBytes: 300_000 }]);
  });

  it('ends too for a command that the node refused because it was just falling asleep', async () => {
    answerExec('late\n');
    obeys = false;
    expect((await post(`${MACHINE}/hibernate`)).status).toBe(202);
    // The node serves nothing of it any more, and has not told yet.
    const { incarnation } = plane;
    plane.incarnation = 0;
    const command = post(`${MACHINE}/exec`, { command: ['true'] });
    await eventually(async () => (await get())?.status?.hibernation?.wakeRequestedAt !== undefined, 'it is to wake up');
    plane.incarnation = incarnation;
    obeys = true;
    expect((await command).status).toBe(200);
  });

  it('does not end for somebody who only looks', async () => {
    await hibernate();
    const { incarnation = 0 } = (await get())?.status ?? {};
    plane.incarnation = incarnation;
    plane.http.set('GET screenshot', (_request, response) => response.writeHead(200, { 'content-type': 'image/png' }).end('PNG'));
    expect(await (await stack.fetch(`${MACHINE}/screenshot`)).text()).toBe('PNG');
    expect((await get())?.status?.phase).toBe('Hibernated');
    plane.incarnation = 0;
    await post(`${MACHINE}/wake`);
    await eventually(async () => (await get())?.status?.phase === 'Running', 'it is awake');
  });

  it('ends no serial line: what is typed wakes the machine, and is not lost', async () => {
    const typed: string[] = [];
    const queries: string[] = [];
    plane.sockets.set('serial', (socket, _request, url) => {
      queries.push(url.search);
      socket.send(`life ${plane.incarnation}\n`);
      socket.on('message', (data: Buffer) => typed.push(data.toString()));
    });
    const viewer = new WebSocket(`${stack.url.replace('http', 'ws')}${MACHINE}/serial?replay=100`, { headers: authorization });
    const seen: string[] = [];
    viewer.on('message', (data: Buffer) => seen.push(data.toString()));
    await once(viewer, 'open');
    await eventually(async () => seen.length === 1, 'it shows the line');
    const before = plane.incarnation;

    await hibernate();
    expect(viewer.readyState).toBe(WebSocket.OPEN);
    viewer.send('one');
    viewer.send('two');
    await eventually(async () => typed.length === 2, 'the machine has what was typed');
    expect(typed).toEqual(['one', 'two']);
    expect(seen).toEqual([`life ${before}\n`, `life ${before + 1}\n`]);
    expect(queries).toEqual(['?replay=100', '?from=restore']);

    // Woken by somebody else, it goes on by itself.
    await hibernate();
    await post(`${MACHINE}/wake`);
    await eventually(async () => seen.length === 3, 'it shows the line again');
    viewer.send('three');
    await eventually(async () => typed.length === 3, 'and carries what is typed');

    // Just as it falls asleep: its process may not listen any more.
    obeys = false;
    expect((await post(`${MACHINE}/hibernate`)).status).toBe(202);
    const known = stack.app.get(Informers).of(virtualMachines);
    await eventually(async () => known.get('default', 'demo')?.status?.hibernation !== undefined, 'the gateway has heard of it');
    viewer.send('four');
    viewer.send('five');
    await eventually(async () => (await get())?.status?.hibernation?.wakeRequestedAt !== undefined, 'it is to wake up');
    expect(typed).toEqual(['one', 'two', 'three']);
    await told('demo', ({ hibernation: _calledOff, ...status }) => status);
    await eventually(async () => typed.length === 5, 'one that has not slept has all of it');
    expect(typed.slice(3)).toEqual(['four', 'five']);
    obeys = true;
    await hibernate();
    viewer.send('six');
    await eventually(async () => typed.length === 6, 'and it sleeps and wakes up as ever');
    viewer.close();
    const [code] = (await once(viewer, 'close')) as [number];
    expect(code).toBe(1005);
  });

  it('gives its memory to others, and is refused to end where there is no room any more', async () => {
    await stack.admin.create(virtualMachines, aVm('big', { memory: '256Mi' }));
    const scheduled = async () => findCondition((await get('big'))?.status?.conditions, 'Scheduled');
    await eventually(async () => (await scheduled())?.status === 'False', 'there is no room for both');
    await hibernate();
    await eventually(async () => (await get('big'))?.spec?.nodeName === 'worker-1', 'there is, while one sleeps');
    const refused = await post(`${MACHINE}/exec`, { command: ['true'] });
    expect([refused.status, await reasonOf(refused)]).toEqual([409, 'NodeFull']);
    expect((await get())?.status?.phase).toBe('Hibernated');
    await stack.admin.delete(virtualMachines, 'default', 'big');
    await eventually(async () => (await get('big')) === undefined, 'it is gone');
    answerExec('');
    expect((await post(`${MACHINE}/exec`, { command: ['true'] })).status).toBe(200);
  });

  it('frees what a quota counts of memory, and waking is charged', async () => {
    await stack.admin.create(resourceQuotas, { metadata: { name: 'memory', namespace: 'default' }, spec: { hard: { 'requests.memory': '64Mi' } } } as never);
    const used = async () => (await stack.admin.get(resourceQuotas, 'default', 'memory'))?.status?.used?.['requests.memory'];
    await eventually(async () => (await used()) === '64Mi', 'it is charged');
    await hibernate();
    await eventually(async () => (await used()) === '0', 'it is not while it sleeps');
    await stack.admin.create(virtualMachines, aVm('other', { memory: '32Mi' }));
    const refused = await post(`${MACHINE}/wake`);
    expect([refused.status, await reasonOf(refused)]).toEqual([403, 'Forbidden']);
    await stack.admin.delete(virtualMachines, 'default', 'other');
    await eventually(async () => (await post(`${MACHINE}/wake`)).status === 202, 'there is enough again');
    await eventually(async () => (await get())?.status?.phase === 'Running', 'it is awake');
    await stack.admin.delete(resourceQuotas, 'default', 'memory');
  });

  it('is in the object store before long, and then survives its node', async () => {
    await hibernate();
    const snapshot = await eventually(async () => {
      const name = (await get())?.status?.hibernation?.snapshot;
      const found = name === undefined ? undefined : await stack.agent.get(virtualMachineSnapshots, 'default', name);
      return found?.spec?.nodeName === 'worker-1' ? found : undefined;
    }, 'its snapshot is bound to its node');
    expect(snapshot).toMatchObject({ metadata: { labels: { 'corral.dev/hibernation': 'true' }, ownerReferences: [{ name: 'demo' }] } });
    const incarnation = (await get())?.status?.incarnation ?? 0;
    await eventually(async () => {
      const current = await stack.agent.get(virtualMachineSnapshots, 'default', snapshot.metadata.name);
      return current && stack.agent.replaceStatus(virtualMachineSnapshots, { ...current, status: { ...current.status, incarnation, virtualMachineUid: plane.uid, completedAt: new Date().toISOString(), conditions: ready('True', 'Verified') } }).catch(() => undefined);
    }, 'it is whole');
    await eventually(async () => (await get())?.status?.hibernation?.storedAt !== undefined, 'that is known');

    await stack.admin.delete(nodes, undefined, 'worker-1');
    const orphan = await eventually(async () => {
      const vm = await get();
      return vm?.spec?.nodeName === undefined ? vm : undefined;
    }, 'it has no node');
    expect(orphan.status).toMatchObject({ phase: 'Hibernated', hibernation: { snapshot: snapshot.metadata.name }, continueFrom: { reason: 'Moved', snapshot: snapshot.metadata.name, incarnation } });

    await registerNode(stack.agent, 'worker-2', { memory: '400Mi' });
    // Nobody needs it, so nobody binds it.
    await stack.admin.create(virtualMachines, aVm('probe', { memory: '16Mi' }));
    await eventually(async () => (await get('probe'))?.spec?.nodeName === 'worker-2', 'the scheduler is at work');
    expect((await get())?.spec?.nodeName).toBeUndefined();
    obeys = false;
    expect((await post(`${MACHINE}/wake`)).status).toBe(202);
    const bound = await eventually(async () => {
      const vm = await get();
      return vm?.spec?.nodeName === 'worker-2' ? vm : undefined;
    }, 'it is bound where there is room');
    expect(bound.status?.continueFrom?.snapshot).toBe(snapshot.metadata.name);
  });
});
