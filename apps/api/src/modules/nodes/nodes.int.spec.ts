import { findCondition, leases, NODE_LEASE_NAMESPACE, nodes, nodeQueueName, toKubeMicroTime, virtualMachines, type ObjectHint, type VirtualMachine } from '@corral/contracts';
import { EventRecorder } from '@corral/reconcile';
import { MACHINE_FINALIZER } from '@corral/vm-lifecycle';
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { eventually, startApi, type ApiStack } from '../../../test/api-stack.ts';
import { registerNode } from '../../../test/fake-node.ts';
import { addTinyImage, aVm, edit } from '../../../test/wishes.ts';
import { Informers } from '../controllers/informers.ts';
import { Reconcilers } from '../controllers/reconcilers.ts';
import { NODE_GRACE_MS } from '../../platform/auth/node-lease.ts';
import { NodeMetrics } from './node-metrics.ts';
import { NodeReconciler } from './node.reconciler.ts';

describe('nodes', () => {
  let stack: ApiStack;
  beforeAll(async () => {
    stack = await startApi();
    await addTinyImage(stack);
    await registerNode(stack.agent, 'worker-1');
  }, 60_000);
  afterAll(() => stack.stop(), 30_000);

  const getVm = (name: string): Promise<VirtualMachine | undefined> => stack.admin.get(virtualMachines, 'default', name);
  async function bound(name: string, phase: 'Running' | 'Stopped'): Promise<VirtualMachine> {
    await stack.admin.create(virtualMachines, aVm(name));
    return reported(name, phase);
  }
  async function onNode(name: string, phase: 'Running' | 'Stopped'): Promise<VirtualMachine> {
    await stack.admin.create(virtualMachines, aVm(name, { nodeName: 'watched' }));
    return reported(name, phase);
  }
  /** Plays the node: says of a machine bound to it that it runs, or does not. */
  function reported(name: string, phase: 'Running' | 'Stopped'): Promise<VirtualMachine> {
    return eventually(async () => {
      const vm = await stack.agent.get(virtualMachines, 'default', name);
      if (vm?.spec?.nodeName === undefined) return undefined;
      const conditions = [...(vm.status?.conditions ?? []), { type: 'Ready', status: phase === 'Running' ? 'True' : 'False', reason: 'Any', message: '', lastTransitionTime: vm.metadata.creationTimestamp } as const];
      return stack.agent.replaceStatus(virtualMachines, { ...vm, status: { ...vm.status, phase, nodeName: vm.spec.nodeName, incarnation: 1, conditions } });
    }, `${name} is bound and ${phase}`);
  }

  describe('hints', () => {
    async function collecting(run: (heard: string[]) => Promise<void>): Promise<void> {
      const heard: string[] = [];
      const connection = new Redis(stack.redis.url, { maxRetriesPerRequest: null });
      const worker = new Worker<ObjectHint>(nodeQueueName('worker-1'), async ({ data }) => void heard.push(`${data.resource}/${data.namespace}/${data.name}`), { connection });
      worker.on('error', () => undefined);
      await worker.waitUntilReady();
      try {
        await run(heard);
      } finally {
        await worker.close();
        connection.disconnect();
      }
    }

    it('tell a node of machines bound to it and of wishes that changed, not of its own status writes', async () => {
      await collecting(async (heard) => {
        const hints = (): number => heard.filter((hint) => hint === 'virtualmachines/default/hinted').length;
        await bound('hinted', 'Running');
        await eventually(async () => hints() === 1, 'the binding');
        await edit(stack, virtualMachines, 'default', 'hinted', (spec) => ({ ...spec, powerState: 'Paused' as const }));
        await eventually(async () => hints() === 2, 'the wish to pause');
        // Another object's hint says that everything before it has been heard.
        await bound('hinted-2', 'Running');
        await eventually(async () => heard.includes('virtualmachines/default/hinted-2'), 'the other machine');
        expect(hints()).toBe(2);
      });
    });

    it('tell a node of a move that is asked of it', async () => {
      await collecting(async (heard) => {
        const hints = (): number => heard.filter((hint) => hint === 'virtualmachines/default/moved').length;
        await bound('moved', 'Running');
        await eventually(async () => hints() === 1, 'the binding');
        await eventually(async () => {
          const vm = await stack.agent.get(virtualMachines, 'default', 'moved');
          const move = { reason: 'Evicted', from: 'worker-1', incarnation: 1, requestedAt: toKubeMicroTime(new Date()) } as const;
          return vm && stack.admin.replaceStatus(virtualMachines, { ...vm, status: { ...vm.status, move } });
        }, 'the move is asked for');
        await eventually(async () => hints() === 2, 'the move');
      });
    });

    it('make a node look again that was just looking', async () => {
      const connection = new Redis(stack.redis.url, { maxRetriesPerRequest: null });
      let looks = 0;
      let look: () => void = () => undefined;
      const worker = new Worker<ObjectHint>(
        nodeQueueName('worker-1'),
        ({ data }) => (data.name === 'busy' ? new Promise<void>((resolve) => { looks += 1; look = resolve; }) : Promise.resolve()),
        { connection },
      );
      try {
        await bound('busy', 'Running');
        await eventually(async () => looks === 1, 'the first look');
        for (const powerState of ['Paused', 'Running'] as const) await edit(stack, virtualMachines, 'default', 'busy', (spec) => ({ ...spec, powerState }));
        // Events of one kind reach Redis in order: the last of these is behind both wishes.
        await bound('idle', 'Running');
        look();
        await eventually(async () => looks === 2, 'the second look');
        look();
      } finally {
        look();
        await worker.close();
        connection.disconnect();
      }
    });

    it('collapse while nobody listens', async () => {
      const connection = new Redis(stack.redis.url, { maxRetriesPerRequest: null });
      const queue = new Queue<ObjectHint>(nodeQueueName('worker-1'), { connection });
      const waiting = async (): Promise<string[]> => (await queue.getWaiting()).map(({ data }) => data.name);
      await bound('unheard', 'Running');
      for (const powerState of ['Paused', 'Running', 'Paused'] as const) await edit(stack, virtualMachines, 'default', 'unheard', (spec) => ({ ...spec, powerState }));
      await bound('unheard-2', 'Running');
      await eventually(async () => (await waiting()).includes('unheard-2'), 'the last hint');
      expect((await waiting()).filter((name) => name === 'unheard')).toHaveLength(1);
      await queue.close();
      connection.disconnect();
    });
  });

  it('leave no machine behind that nobody could let go', async () => {
    const vm = await bound('orphan', 'Running');
    await stack.agent.replace(virtualMachines, { ...vm, metadata: { ...vm.metadata, finalizers: [MACHINE_FINALIZER] } });
    await stack.admin.delete(virtualMachines, 'default', 'orphan');
    expect((await getVm('orphan'))?.metadata.deletionTimestamp).toBeDefined();
    await stack.admin.delete(nodes, undefined, 'worker-1');
    await eventually(async () => (await getVm('orphan')) === undefined, 'it is gone');
  });

  it('are bound to without Redis too', async () => {
    await stack.redis.stop();
    await registerNode(stack.agent, 'worker-2');
    await stack.admin.create(virtualMachines, aVm('no-redis', { nodeSelector: {} }));
    await eventually(async () => (await getVm('no-redis'))?.spec?.nodeName === 'worker-2', 'it is bound');
    await edit(stack, virtualMachines, 'default', 'no-redis', (spec) => ({ ...spec, powerState: 'Stopped' as const }));
    expect((await stack.fetch('/api/v1/nodes')).status).toBe(200);
  });

  describe('health, on a clock of the test', () => {
    let now = 0;
    let reconciler: NodeReconciler;
    const aReconciler = (): NodeReconciler => {
      const nobody = { add: () => undefined } as unknown as Reconcilers;
      return new NodeReconciler(stack.app.get(OBJECT_CLIENT), stack.app.get(Informers), stack.app.get(EventRecorder), stack.app.get(NodeMetrics), { evictedNodesPerMinute: 6 }, nobody, { now: () => now });
    };
    const renew = async (): Promise<void> => {
      const lease = await stack.agent.get(leases, NODE_LEASE_NAMESPACE, 'watched');
      if (!lease) throw new Error('the lease is gone');
      const written = await stack.agent.replace(leases, { ...lease, spec: { ...lease.spec, renewTime: toKubeMicroTime(new Date()) } });
      const copy = stack.app.get(Informers).of(leases);
      await eventually(async () => copy.get(NODE_LEASE_NAMESPACE, 'watched')?.metadata.resourceVersion === written.metadata.resourceVersion, 'the copy has the renewal');
    };
    const look = () => reconciler.reconcile({ namespace: '', name: 'watched' });
    const readyOf = async () => findCondition((await stack.admin.get(nodes, undefined, 'watched'))?.status?.conditions, 'Ready');

    beforeAll(async () => {
      // The application's own would disagree about the time.
      await stack.app.get(Reconcilers).beforeApplicationShutdown();
      reconciler = aReconciler();
      await registerNode(stack.agent, 'watched');
      await onNode('runs', 'Running');
      await onNode('rests', 'Stopped');
      const copy = stack.app.get(Informers).of(virtualMachines);
      await eventually(async () => copy.get('default', 'rests')?.status?.phase === 'Stopped' && copy.get('default', 'runs')?.status?.phase === 'Running', 'the copy has both');
    });

    it('looks again when the Lease would be too old', async () => {
      expect(await look()).toEqual({ type: 'RequeueAfter', delayMs: NODE_GRACE_MS });
      now = NODE_GRACE_MS - 1;
      expect(await look()).toEqual({ type: 'RequeueAfter', delayMs: 1 });
      expect(await readyOf()).toMatchObject({ status: 'True' });
    });

    it('gives a renewed node its whole grace again', async () => {
      await renew();
      now += NODE_GRACE_MS - 1;
      expect(await look()).toEqual({ type: 'RequeueAfter', delayMs: NODE_GRACE_MS });
    });

    it('calls a silent node Unknown, and what ran there NodeLost, and leaves what rested alone', async () => {
      now += NODE_GRACE_MS;
      expect(await look()).toEqual({ type: 'RequeueAfter', delayMs: 5_000 });
      expect(await readyOf()).toMatchObject({ status: 'Unknown', reason: 'NodeStatusUnknown' });
      expect(findCondition((await getVm('runs'))?.status?.conditions, 'Ready')).toMatchObject({ status: 'Unknown', reason: 'NodeLost' });
      expect(findCondition((await getVm('rests'))?.status?.conditions, 'Ready')).toMatchObject({ status: 'False', reason: 'Any' });
      // Once is enough.
      const { resourceVersion } = (await getVm('runs'))?.metadata ?? {};
      await look();
      expect((await getVm('runs'))?.metadata.resourceVersion).toBe(resourceVersion);
    });

    it('calls it Ready again once its agent renews its Lease, and not because of a Lease it knows nothing about', async () => {
      // What a controller that has just started knows of the Lease may be long past.
      await aReconciler().reconcile({ namespace: '', name: 'watched' });
      expect(await readyOf()).toMatchObject({ status: 'Unknown' });

      await renew();
      expect(await look()).toEqual({ type: 'RequeueAfter', delayMs: NODE_GRACE_MS });
      expect(await readyOf()).toMatchObject({ status: 'True', reason: 'AgentReady' });
    });
  });
});
