import { findCondition, nodes, type VirtualMachine } from '@corral/contracts';
import { until } from '@corral/testing';
import { jest } from '@jest/globals';
import { ADMIN, type Corral, IMAGE } from '../test/corral.ts';
import { type HerdWorker, SHORT_LEASE_SECONDS, startHerd } from '../test/herd.ts';

jest.setTimeout(300_000);

let herd: Awaited<ReturnType<typeof startHerd>>;
let corral: Corral;
beforeAll(async () => {
  herd = await startHerd(['worker-1', 'worker-2', 'worker-3'], { leaseSeconds: SHORT_LEASE_SECONDS });
  corral = herd.corral;
});
afterAll(() => herd?.stop());

const workerOf = (vm: VirtualMachine): HerdWorker => {
  const worker = herd.workers.find(({ name }) => name === vm.spec?.nodeName);
  if (!worker) throw new Error(`${vm.metadata.name} is on no worker of ours`);
  return worker;
};
const hibernate = async (name: string): Promise<void> => {
  const answer = await fetch(`${corral.url}/apis/corral.dev/v1/namespaces/default/virtualmachines/${name}/hibernate`, { method: 'POST', headers: ADMIN });
  if (!answer.ok) throw new Error(await answer.text());
};
const stored = (name: string): Promise<VirtualMachine> => corral.when(name, 'asleep and stored', ({ status }) => status?.phase === 'Hibernated' && status.hibernation?.storedAt !== undefined);
const output = async (name: string, command: string): Promise<string> => (await corral.execAnywhere(name, command)).stdout.trim();

/** Asleep, with something in memory, and in the object store. */
async function sleeper(name: string): Promise<{ readonly vm: VirtualMachine; readonly worker: HerdWorker }> {
  await corral.run(name, { source: { image: IMAGE } });
  await output(name, `echo ${name} > /tmp/mark`);
  await hibernate(name);
  const vm = await stored(name);
  return { vm, worker: workerOf(vm) };
}

describe('A machine that sleeps', () => {
  it('outlives its node, and wakes up on another where it was', async () => {
    const { vm, worker } = await sleeper('orphan');
    await worker.kill();
    const unbound = await corral.when('orphan', 'without a node', ({ spec }) => spec?.nodeName === undefined);
    expect(unbound.status).toMatchObject({ phase: 'Hibernated', incarnation: vm.status?.incarnation });
    // What it showed is kept with what it held.
    const shown = await fetch(`${corral.url}/apis/corral.dev/v1/namespaces/default/virtualmachines/orphan/screenshot`, { headers: ADMIN });
    expect([shown.status, shown.headers.get('content-type')]).toEqual([200, 'image/png']);
    expect((await shown.arrayBuffer()).byteLength).toBeGreaterThan(500);
    expect(await output('orphan', 'cat /tmp/mark')).toBe('orphan');
    const awake = await corral.ready('orphan');
    expect(awake.status?.nodeName).not.toBe(worker.name);
    expect(awake.status).toMatchObject({ incarnation: 2, restartCount: 0, startedFrom: { type: 'Snapshot' } });
    expect(awake.status?.hibernation).toBeUndefined();
    // What the dead node had on its disk is nobody's any more when it is back.
    worker.launch();
    await worker.ready();
    expect((await corral.get('orphan')).status).toMatchObject({ incarnation: 2, nodeName: awake.status?.nodeName });
    expect(await output('orphan', 'cat /tmp/mark')).toBe('orphan');
  });

  it('wakes up elsewhere when its node takes nobody', async () => {
    const { worker } = await sleeper('guest');
    const node = await corral.client.get(nodes, undefined, worker.name);
    if (!node) throw new Error('no node');
    await corral.client.replace(nodes, { ...node, spec: { ...node.spec, unschedulable: true } });
    expect(await output('guest', 'cat /tmp/mark')).toBe('guest');
    expect((await corral.ready('guest')).status?.nodeName).not.toBe(worker.name);
    await until(async () => {
      const current = await corral.client.get(nodes, undefined, worker.name);
      return current && corral.client.replace(nodes, { ...current, spec: { ...current.spec, unschedulable: false } }).catch(() => undefined);
    }, { timeoutMs: 10_000, what: 'the node takes machines again' });
  });

  it('is let go by a node with a taint it does not tolerate, and sleeps on', async () => {
    const { worker } = await sleeper('exile');
    await until(async () => {
      const node = await corral.client.get(nodes, undefined, worker.name);
      return node && corral.client.replace(nodes, { ...node, spec: { ...node.spec, taints: [{ key: 'broken', effect: 'NoExecute' }] } }).catch(() => undefined);
    }, { timeoutMs: 10_000, what: 'the taint is there' });
    const unbound = await corral.when('exile', 'without a node', ({ spec }) => spec?.nodeName === undefined);
    expect(unbound.status?.phase).toBe('Hibernated');
    expect(findCondition(unbound.status?.conditions, 'Hibernated')?.status).toBe('True');
    expect(await output('exile', 'cat /tmp/mark')).toBe('exile');
  });
});
