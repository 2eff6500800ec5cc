import { HttpObjectClient } from '@corral/client';
import { events, leases, NODE_LEASE_NAMESPACE, nodes, virtualMachineImages, virtualMachines, virtualMachineSnapshots, type VirtualMachine, type VirtualMachineSnapshot } from '@corral/contracts';
import { MACHINE_FINALIZER } from '@corral/vm-lifecycle';
import { eventually, NODE_TOKEN, startApi, type ApiStack } from '../../../test/api-stack.ts';
import { registerNode } from '../../../test/fake-node.ts';
import { addTinyImage, aVm } from '../../../test/wishes.ts';
import { Unbinding } from './unbinding.ts';

const FORBIDDEN = { code: 'request.forbidden' };

describe('a node with a credential of its own', () => {
  let stack: ApiStack;
  let one: HttpObjectClient;
  let two: HttpObjectClient;
  const as = (token: string): HttpObjectClient => new HttpObjectClient({ baseUrl: stack.url, token });
  beforeAll(async () => {
    stack = await startApi();
    await addTinyImage(stack);
    [one, two] = [as(await stack.nodeToken('worker-1')), as(await stack.nodeToken('worker-2'))];
    // Everything a worker does at its start, with its own credential.
    for (const [client, name] of [[one, 'worker-1'], [two, 'worker-2']] as const) await registerNode(client, name);
  }, 60_000);
  afterAll(() => stack.stop(), 30_000);

  async function bound(name: string, nodeName: string): Promise<VirtualMachine> {
    await stack.admin.create(virtualMachines, aVm(name, { nodeName }));
    return get(name);
  }
  const get = (name: string): Promise<VirtualMachine> => eventually(() => stack.admin.get(virtualMachines, 'default', name), name);
  const running = (vm: VirtualMachine, incarnation = 1): VirtualMachine => ({ ...vm, status: { ...vm.status, phase: 'Running', nodeName: vm.spec?.nodeName, incarnation } as never });

  it('writes its own Node and Lease, and no other’s', async () => {
    const other = await stack.admin.get(nodes, undefined, 'worker-2');
    const lease = await stack.admin.get(leases, NODE_LEASE_NAMESPACE, 'worker-2');
    if (!other || !lease) throw new Error('worker-2 is there');
    await expect(one.replaceStatus(nodes, other)).rejects.toMatchObject(FORBIDDEN);
    await expect(one.replace(leases, lease)).rejects.toMatchObject(FORBIDDEN);
    await expect(one.create(nodes, { metadata: { name: 'worker-3' }, spec: {} })).rejects.toMatchObject(FORBIDDEN);
    await expect(one.create(leases, { metadata: { name: 'worker-3', namespace: NODE_LEASE_NAMESPACE }, spec: {} })).rejects.toMatchObject(FORBIDDEN);
    await expect(two.replaceStatus(nodes, other)).resolves.toBeDefined();
  });

  it('has no say in whether it takes machines, nor in labels that people select by', async () => {
    const node = await eventually(() => stack.admin.get(nodes, undefined, 'worker-1'), 'worker-1');
    await expect(one.replace(nodes, { ...node, spec: { ...node.spec, taints: [] , unschedulable: true } })).rejects.toMatchObject(FORBIDDEN);
    await expect(one.replace(nodes, { ...node, metadata: { ...node.metadata, labels: { ...node.metadata.labels, tier: 'gold' } } })).rejects.toMatchObject(FORBIDDEN);
    await expect(one.replace(nodes, { ...node, metadata: { ...node.metadata, labels: { ...node.metadata.labels, 'corral.dev/v86-build': 'build-1', 'node.corral.dev/disk': 'fast' } } })).resolves.toBeDefined();
  });

  it('reports of a machine bound to it, one incarnation after the other, and puts on its finalizer', async () => {
    const vm = await bound('mine', 'worker-1');
    await expect(two.replaceStatus(virtualMachines, running(vm))).rejects.toMatchObject(FORBIDDEN);
    await expect(two.replace(virtualMachines, { ...vm, metadata: { ...vm.metadata, finalizers: [MACHINE_FINALIZER] } })).rejects.toMatchObject(FORBIDDEN);
    await expect(one.replace(virtualMachines, { ...vm, spec: { ...vm.spec, powerState: 'Stopped' } as never })).rejects.toMatchObject(FORBIDDEN);
    await expect(one.replace(virtualMachines, { ...vm, metadata: { ...vm.metadata, labels: { a: 'b' } } })).rejects.toMatchObject(FORBIDDEN);
    await expect(one.replaceStatus(virtualMachines, running(vm, 2))).rejects.toMatchObject(FORBIDDEN);
    const claimed = await one.replace(virtualMachines, { ...vm, metadata: { ...vm.metadata, finalizers: [MACHINE_FINALIZER] } });
    const started = await one.replaceStatus(virtualMachines, running(claimed));
    const again = await one.replaceStatus(virtualMachines, running(started, 2));
    await expect(one.replaceStatus(virtualMachines, running(again, 1))).rejects.toMatchObject(FORBIDDEN);
    await expect(one.replaceStatus(virtualMachines, { ...again, status: { ...again.status, nodeName: 'worker-2' } })).rejects.toMatchObject(FORBIDDEN);
    await expect(one.replaceStatus(virtualMachines, { ...again, status: { ...again.status, continueFrom: { reason: 'Moved', snapshot: 'x', incarnation: 2 } } })).rejects.toMatchObject(FORBIDDEN);
  });

  it('has no say any more in a machine it has lost, nor in snapshots of it, however new its knowledge is', async () => {
    const vm = await one.replaceStatus(virtualMachines, running(await bound('lost', 'worker-1')));
    const snapshot = await stack.admin.create(virtualMachineSnapshots, { metadata: { name: 'of-lost', namespace: 'default' }, spec: { virtualMachine: 'lost' } });
    const taken = await eventually<VirtualMachineSnapshot>(async () => {
      const seen = await stack.admin.get(virtualMachineSnapshots, 'default', 'of-lost');
      return seen?.spec?.nodeName === 'worker-1' && seen;
    }, 'it is bound');
    await expect(two.replaceStatus(virtualMachineSnapshots, taken)).rejects.toMatchObject(FORBIDDEN);
    const uploading = await one.replaceStatus(virtualMachineSnapshots, { ...taken, status: { ...taken.status, incarnation: 1 } });

    await stack.app.get(Unbinding).unbind(await get('lost'), { phase: 'Pending', incarnation: 1 });
    const now = await eventually<VirtualMachine>(async () => {
      const seen = await get('lost');
      return seen.spec?.nodeName !== vm.spec?.nodeName && seen;
    }, 'it has left');
    if (now.spec?.nodeName !== 'worker-1') {
      await expect(one.replaceStatus(virtualMachines, running(now, 1))).rejects.toMatchObject({ code: expect.stringMatching(/request.forbidden|object.conflict/) });
      await expect(one.replaceStatus(virtualMachineSnapshots, { ...uploading, status: { ...uploading.status, completedAt: '2026-01-01T00:00:00Z' } })).rejects.toMatchObject(FORBIDDEN);
    }
    expect(snapshot.metadata.uid).toBe(taken.metadata.uid);
  });

  it('tells of itself and of what is bound to it', async () => {
    const [mine, theirs] = [await bound('told', 'worker-1'), await bound('untold', 'worker-2')];
    const event = ({ metadata }: { metadata: { name: string; namespace?: string; uid: string } }, kind: string, name: string) =>
      ({ metadata: { name, namespace: 'default' }, involvedObject: { kind, name: metadata.name, namespace: metadata.namespace, uid: metadata.uid }, source: { component: 'corral-worker', host: 'worker-1' } }) as never;
    await expect(one.create(events, event(mine, 'VirtualMachine', 'e1'))).resolves.toBeDefined();
    await expect(one.create(events, event(theirs, 'VirtualMachine', 'e2'))).rejects.toMatchObject(FORBIDDEN);
    await expect(one.create(events, event({ metadata: { name: 'worker-1', uid: 'any' } }, 'Node', 'e3'))).resolves.toBeDefined();
    await expect(one.create(events, event({ metadata: { name: 'worker-2', uid: 'any' } }, 'Node', 'e4'))).rejects.toMatchObject(FORBIDDEN);
  });

  it('sees what is bound to it and nothing else', async () => {
    await expect(one.list(virtualMachines)).rejects.toMatchObject(FORBIDDEN);
    await expect(one.list(virtualMachines, { fieldSelector: 'spec.nodeName=worker-2' })).rejects.toMatchObject(FORBIDDEN);
    expect((await one.list(virtualMachines, { fieldSelector: 'spec.nodeName=worker-1' })).items.every(({ spec }) => spec?.nodeName === 'worker-1')).toBe(true);
    expect((await one.list(virtualMachineImages)).items).toHaveLength(1);
  });

  describe('the name of a node', () => {
    const ask = (nodeName: string, present?: string): Promise<Response> =>
      fetch(`${stack.url}/auth/node-credentials`, { method: 'POST', headers: { authorization: `Bearer ${NODE_TOKEN}`, 'content-type': 'application/json' }, body: JSON.stringify({ nodeName, present }) });
    const tokenOf = async (answer: Response): Promise<string> => ((await answer.json()) as { token: string }).token;

    it('is given to nobody else while the node is there, and the node keeps its credential', async () => {
      const [refused, ofAnother] = [await ask('worker-2'), await ask('worker-2', await stack.nodeToken('worker-9'))];
      expect([refused.status, ofAnother.status]).toEqual([409, 409]);
      expect(await refused.json()).toMatchObject({ reason: 'Conflict', message: expect.stringMatching(/CORRAL_NODE_NAME.*CORRAL_WORKER_HOME.*kubectl delete node worker-2/) });
      await expect(two.get(nodes, undefined, 'worker-2')).resolves.toBeDefined();
    });

    it('is given anew to whoever shows its present credential, which ends with that; the deployment’s own token is good for nothing else', async () => {
      const first = await tokenOf(await ask('worker-4'));
      await registerNode(as(first), 'worker-4');
      const second = await tokenOf(await ask('worker-4', first));
      await expect(as(second).get(nodes, undefined, 'worker-4')).resolves.toBeDefined();
      await expect(as(first).get(nodes, undefined, 'worker-4')).rejects.toMatchObject({ code: 'request.unauthenticated' });
      expect((await ask('worker-4', first)).status).toBe(409);
      await expect(as(NODE_TOKEN).get(nodes, undefined, 'worker-4')).rejects.toMatchObject(FORBIDDEN);
      expect((await ask('system:masters')).status).toBe(400);
    });

    it('is free once its Lease has run out, or its Node was deleted', async () => {
      const agent = as(await tokenOf(await ask('worker-5')));
      await registerNode(agent, 'worker-5');
      const lease = await eventually(() => agent.get(leases, NODE_LEASE_NAMESPACE, 'worker-5'), 'its Lease');
      await agent.replace(leases, { ...lease, spec: { ...lease.spec, leaseDurationSeconds: 1, renewTime: '2026-01-01T00:00:00.000000Z' } as never });
      // The server notices by its own clock.
      await eventually(async () => (await ask('worker-5')).status === 201, 'the name is free');

      const again = as(await tokenOf(await ask('worker-6')));
      await registerNode(again, 'worker-6');
      expect((await ask('worker-6')).status).toBe(409);
      await stack.admin.delete(nodes, undefined, 'worker-6');
      expect((await ask('worker-6')).status).toBe(201);
    });
  });
});
