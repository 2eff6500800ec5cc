import { CHECKPOINT_LABEL, events, resourceQuotas, toKubeTime, virtualMachines, virtualMachineSnapshots, type CheckpointPolicy, type Event, type VirtualMachineSnapshot, type VirtualMachineStatus } from '@corral/contracts';
import { EventRecorder } from '@corral/reconcile';
import { eventually, startApi, type ApiStack } from '../../../test/api-stack.ts';
import { registerNode } from '../../../test/fake-node.ts';
import { addTinyImage, aVm } from '../../../test/wishes.ts';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { Informers } from '../controllers/informers.ts';
import { CheckpointReconciler } from './checkpoint.reconciler.ts';

const HOUR_MS = 3_600_000;
const ago = (ms: number): string => toKubeTime(new Date(Date.now() - ms));

describe('Checkpoints', () => {
  let stack: ApiStack;
  beforeAll(async () => {
    stack = await startApi();
    await addTinyImage(stack);
    await registerNode(stack.agent, 'worker-1');
  }, 60_000);
  afterAll(() => stack.stop(), 30_000);

  const policy = (of: Partial<CheckpointPolicy>): { checkpointPolicy: CheckpointPolicy } => ({ checkpointPolicy: of as CheckpointPolicy });
  async function say(name: string, status: VirtualMachineStatus): Promise<void> {
    await eventually(async () => {
      const vm = await stack.agent.get(virtualMachines, 'default', name);
      if (vm?.spec?.nodeName === undefined) return undefined;
      return stack.agent.replaceStatus(virtualMachines, { ...vm, status: { ...vm.status, phase: 'Running', nodeName: vm.spec.nodeName, incarnation: 1, memoryMiB: 128, startedAt: ago(HOUR_MS), ...status } });
    }, `${name} runs`);
  }
  const checkpointsOf = async (name: string): Promise<VirtualMachineSnapshot[]> =>
    (await stack.admin.list(virtualMachineSnapshots, { namespace: 'default', labelSelector: `${CHECKPOINT_LABEL}=true`, fieldSelector: `spec.virtualMachine=${name}` })).items as VirtualMachineSnapshot[];
  /** What its node would say of the one under way. */
  const end = (name: string, status: 'True' | 'False', reason = 'Any') =>
    eventually(async () => {
      const open = (await checkpointsOf(name)).find((snapshot) => snapshot.status?.completedAt === undefined && snapshot.spec?.nodeName !== undefined);
      if (!open) return undefined;
      await stack.agent.replaceStatus(virtualMachineSnapshots, {
        ...open,
        status: { ...open.status, incarnation: 1, memoryMiB: 128, v86Build: 'build-1', completedAt: toKubeTime(new Date()), conditions: [{ type: 'Ready', status, reason, message: '', lastTransitionTime: toKubeTime(new Date()) }] },
      });
      return open.metadata.name;
    }, `a checkpoint of ${name} ends`);

  it('are taken of a machine whose policy says so, belong to it, and go with it', async () => {
    await stack.admin.create(virtualMachines, aVm('demo', policy({ everySeconds: 3600 })));
    await say('demo', {});
    const name = await end('demo', 'True');
    const vm = await stack.admin.get(virtualMachines, 'default', 'demo');
    expect(vm?.spec?.checkpointPolicy).toEqual({ everySeconds: 3600, keepLast: 5 });
    expect((await checkpointsOf('demo'))[0]?.metadata).toMatchObject({ name, ownerReferences: [{ uid: vm?.metadata.uid, controller: true }] });
    await stack.admin.delete(virtualMachines, 'default', 'demo');
    await eventually(async () => (await checkpointsOf('demo')).length === 0, 'they are gone');
  });

  it('are kept as many as the policy says, the newest always; what somebody took by hand stays', async () => {
    await stack.admin.create(virtualMachines, aVm('counted', policy({ everySeconds: 10, keepLast: 1 })));
    await say('counted', {});
    await stack.admin.create(virtualMachineSnapshots, { metadata: { name: 'by-hand', namespace: 'default' }, spec: { virtualMachine: 'counted' } });
    await eventually(async () => (await stack.admin.get(virtualMachineSnapshots, 'default', 'by-hand'))?.spec?.nodeName, 'it is bound');
    const byHand = await stack.admin.get(virtualMachineSnapshots, 'default', 'by-hand');
    if (!byHand) throw new Error('by-hand is gone');
    await stack.agent.replaceStatus(virtualMachineSnapshots, { ...byHand, status: { ...byHand.status, incarnation: 1, completedAt: ago(HOUR_MS), conditions: [{ type: 'Ready', status: 'False', reason: 'UploadFailed', message: '', lastTransitionTime: ago(HOUR_MS) }] } });
    const first = await end('counted', 'True');
    const next = await eventually(async () => (await checkpointsOf('counted')).find(({ metadata }) => metadata.name !== first), 'the next', 30_000);
    await end('counted', 'True');
    await eventually(async () => (await checkpointsOf('counted')).map(({ metadata }) => metadata.name).join() === next.metadata.name, 'only the newest is left');
    expect(await stack.admin.get(virtualMachineSnapshots, 'default', 'by-hand')).toBeDefined();
  }, 60_000);

  it('are kept as long as the policy says, and the newest longer', async () => {
    await stack.admin.create(virtualMachines, aVm('aged', policy({ everySeconds: 10, keepForSeconds: 60 })));
    await say('aged', {});
    const first = await end('aged', 'True');
    const next = await eventually(async () => (await checkpointsOf('aged')).find(({ metadata }) => metadata.name !== first), 'the next', 30_000);
    await end('aged', 'True');
    expect((await checkpointsOf('aged')).map(({ metadata }) => metadata.name)).toEqual(expect.arrayContaining([first, next.metadata.name]));
    // The same controller, in two minutes: both are too old then.
    const clock = { now: () => new Date(Date.now() + 120_000) };
    const later = new CheckpointReconciler(stack.app.get(OBJECT_CLIENT), stack.app.get(Informers), stack.app.get(EventRecorder), { add: () => undefined } as never, clock);
    await eventually(async () => {
      await later.reconcile({ namespace: 'default', name: 'aged' });
      return !(await checkpointsOf('aged')).some(({ metadata }) => metadata.name === first);
    }, 'the older one is gone');
    expect((await checkpointsOf('aged')).map(({ metadata }) => metadata.name)).toContain(next.metadata.name);
    await stack.admin.delete(virtualMachines, 'default', 'aged');
  }, 60_000);

  it('that fail are told of, and are not tried again at once', async () => {
    await stack.admin.create(virtualMachines, aVm('failing', policy({ everySeconds: 10 })));
    await say('failing', {});
    await end('failing', 'False', 'StorageFull');
    await eventually(
      async () => (await stack.admin.list(events, { namespace: 'default', fieldSelector: 'involvedObject.name=failing' })).items.some((event) => (event as Event).reason === 'CheckpointFailed'),
      'it says so',
    );
    expect(await checkpointsOf('failing')).toHaveLength(1);
  });

  it('that a quota does not allow are told of, and keep the controller from nothing else', async () => {
    await stack.admin.create(resourceQuotas, { metadata: { name: 'few', namespace: 'default' }, spec: { hard: { 'count/virtualmachinesnapshots.corral.dev': '0' } } } as never);
    try {
      await stack.admin.create(virtualMachines, aVm('poor', policy({ everySeconds: 10 })));
      await say('poor', {});
      await eventually(
        async () => (await stack.admin.list(events, { namespace: 'default', fieldSelector: 'involvedObject.name=poor' })).items.some((event) => (event as Event).reason === 'CheckpointFailed'),
        'it says so',
      );
      expect(await checkpointsOf('poor')).toEqual([]);
    } finally {
      await stack.admin.delete(resourceQuotas, 'default', 'few');
    }
  });

  it.each<[string, unknown, string]>([
    ['says when', { keepLast: 3 }, 'spec.checkpointPolicy'],
    ['is no more often than every 10 seconds', { everySeconds: 9 }, 'spec.checkpointPolicy.everySeconds'],
    ['keeps one at least', { everySeconds: 60, keepLast: 0 }, 'spec.checkpointPolicy.keepLast'],
    ['keeps them for a minute at least', { everySeconds: 60, keepForSeconds: 59 }, 'spec.checkpointPolicy.keepForSeconds'],
    ['has no field of another name', { everySeconds: 60, every: 1 }, 'spec.checkpointPolicy.every'],
  ])('a policy %s', async (_what, wrong, field) => {
    await expect(stack.admin.create(virtualMachines, aVm('wrong', policy(wrong as CheckpointPolicy)))).rejects.toMatchObject({ details: { causes: [{ field }] } });
  });
});
