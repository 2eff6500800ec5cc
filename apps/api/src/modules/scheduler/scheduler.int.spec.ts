import { events, findCondition, nodes, qualifiedResource, virtualMachineImages, virtualMachines, virtualMachineSnapshots, type Condition, type Event, type KindDefinition, type VirtualMachine } from '@corral/contracts';
import { PROCESS_OVERHEAD_BYTES } from '@corral/scheduling';
import { eventually, startApi, type ApiStack } from '../../../test/api-stack.ts';
import { bzImage } from '../../../test/boot-bytes.ts';
import { registerNode } from '../../../test/fake-node.ts';
import { anImage, aVm, edit, upload } from '../../../test/wishes.ts';
import { PostgresStore } from '../../platform/database/postgres-store.ts';

describe('the scheduler', () => {
  let stack: ApiStack;
  beforeAll(async () => {
    stack = await startApi();
    const kernel = await upload(stack, bzImage());
    await stack.admin.create(virtualMachineImages, anImage('tiny', { kernel: { url: kernel.url }, memory: '128Mi' }));
  }, 60_000);
  afterAll(() => stack.stop(), 30_000);

  const get = async (name: string): Promise<VirtualMachine | undefined> => stack.admin.get(virtualMachines, 'default', name);
  const scheduled = async (name: string): Promise<Condition | undefined> => findCondition((await get(name))?.status?.conditions, 'Scheduled');
  const bound = (name: string): Promise<string> => eventually(async () => (await get(name))?.spec?.nodeName, `${name} is bound`);
  const refused = (name: string, message: RegExp): Promise<Condition> =>
    eventually(async () => {
      const condition = await scheduled(name);
      return condition?.status === 'False' && message.test(condition.message) && condition;
    }, `${name} is refused: ${message}`);
  const eventReasons = async (name: string): Promise<(string | undefined)[]> =>
    (await stack.admin.list(events, { namespace: 'default', fieldSelector: `involvedObject.name=${name}` })).items.map((event) => (event as Event).reason);

  it('says why a machine waits, and binds it as soon as a node comes', async () => {
    await stack.admin.create(virtualMachines, aVm('first'));
    expect(await refused('first', /^0\/0 nodes: no worker has registered$/)).toMatchObject({ reason: 'Unschedulable' });
    expect((await get('first'))?.status?.phase).toBe('Pending');

    await registerNode(stack.agent, 'worker-1', { machines: 2 });
    expect(await bound('first')).toBe('worker-1');
    expect(await scheduled('first')).toMatchObject({ status: 'True', reason: 'Bound' });
    expect((await get('first'))?.status?.phase).toBe('Scheduled');
    await eventually(async () => (await eventReasons('first')).includes('Scheduled') && (await eventReasons('first')).includes('FailedScheduling'), 'both events');
  });

  it('binds with one write that says so', async () => {
    const { metadata } = await stack.admin.create(virtualMachines, aVm('plain'));
    await bound('plain');
    const [change] = await stack.app.get(PostgresStore).changesAfter(Number(metadata.resourceVersion), 1, qualifiedResource(virtualMachines as KindDefinition));
    expect(change?.object).toMatchObject({ metadata: { name: 'plain' }, spec: { nodeName: 'worker-1' }, status: { phase: 'Scheduled', conditions: [{ type: 'Scheduled', status: 'True' }] } });
    await stack.admin.delete(virtualMachines, 'default', 'plain');
  });

  it('leaves a stopped machine alone until it is started', async () => {
    await stack.admin.create(virtualMachines, aVm('asleep', { powerState: 'Stopped' as const }));
    await stack.admin.create(virtualMachines, aVm('awake'));
    await bound('awake');
    expect((await get('asleep'))?.spec?.nodeName).toBeUndefined();
    await stack.admin.delete(virtualMachines, 'default', 'awake');
    await edit(stack, virtualMachines, 'default', 'asleep', (spec) => ({ ...spec, powerState: 'Running' as const }));
    expect(await bound('asleep')).toBe('worker-1');
  });

  it('gives the room a deleted machine leaves to one that waits', async () => {
    await stack.admin.create(virtualMachines, aVm('waiting'));
    await refused('waiting', /^0\/1 nodes: 1 too many machines$/);
    await stack.admin.delete(virtualMachines, 'default', 'asleep');
    await bound('waiting');
    await stack.admin.delete(virtualMachines, 'default', 'first');
    await stack.admin.delete(virtualMachines, 'default', 'waiting');
  });

  it('never books more memory than a node has, when many machines come at once', async () => {
    const room = 3 * (128 * 2 ** 20 + PROCESS_OVERHEAD_BYTES);
    await registerNode(stack.agent, 'worker-2', { machines: 100, memory: String(room), labels: { pool: 'small' } });
    const names = Array.from({ length: 8 }, (_, index) => `crowd-${index}`);
    await Promise.all(names.map((name) => stack.admin.create(virtualMachines, aVm(name, { nodeSelector: { pool: 'small' } }))));
    const settled = await eventually(async () => {
      const conditions = await Promise.all(names.map(scheduled));
      return conditions.every((condition) => condition !== undefined) && conditions;
    }, 'every machine is decided on');
    expect(settled.filter((condition) => condition?.status === 'True')).toHaveLength(3);
    expect(settled.find((condition) => condition?.status === 'False')?.message).toBe('0/2 nodes: 1 insufficient memory, 1 without the selected labels');
    await Promise.all(names.map((name) => stack.admin.delete(virtualMachines, 'default', name)));
  });

  it('keeps machines off cordoned nodes, and comes back when they are open again', async () => {
    for (const name of ['worker-1', 'worker-2']) await edit(stack, nodes, undefined, name, (spec) => ({ ...spec, unschedulable: true }));
    await stack.admin.create(virtualMachines, aVm('kept-out'));
    await refused('kept-out', /^0\/2 nodes: 2 cordoned$/);
    await edit(stack, nodes, undefined, 'worker-1', ({ unschedulable: _, ...spec }) => spec);
    expect(await bound('kept-out')).toBe('worker-1');
    await stack.admin.delete(virtualMachines, 'default', 'kept-out');
  });

  it('waits for the snapshot, and then takes only a node whose emulator took it', async () => {
    await stack.admin.create(virtualMachines, aVm('donor'));
    const nodeName = await bound('donor');
    await eventually(async () => {
      const vm = await stack.agent.get(virtualMachines, 'default', 'donor');
      return vm && stack.agent.replaceStatus(virtualMachines, { ...vm, status: { ...vm.status, phase: 'Running', nodeName, incarnation: 1 } });
    }, 'it runs');
    const snapshot = await stack.admin.create(virtualMachineSnapshots, { metadata: { name: 'moment', namespace: 'default' }, spec: { virtualMachine: 'donor' } });
    await eventually(async () => (await stack.admin.get(virtualMachineSnapshots, 'default', 'moment'))?.spec?.nodeName, 'its node takes it');
    await stack.admin.create(virtualMachines, aVm('continued', { source: { snapshot: snapshot.metadata.name } }));
    await refused('continued', /^Snapshot "moment" is not Ready: Taking/);
    const verified = { type: 'Ready', status: 'True', reason: 'Verified', message: '', lastTransitionTime: snapshot.metadata.creationTimestamp } as const;
    await eventually(async () => {
      const found = await stack.agent.get(virtualMachineSnapshots, 'default', 'moment');
      return found && stack.agent.replaceStatus(virtualMachineSnapshots, { ...found, status: { ...found.status, memoryMiB: 64, v86Build: 'build-9', conditions: [verified] } });
    }, 'the snapshot is Ready');
    await refused('continued', /1 with another v86 build than the snapshot/);
    await registerNode(stack.agent, 'worker-9', { v86Build: 'build-9' });
    expect(await bound('continued')).toBe('worker-9');
    // Its memory was not known when it was created.
    expect((await get('continued'))?.spec?.memory).toBe('64Mi');
  });

  it('waits for the image and says so', async () => {
    await stack.admin.create(virtualMachineImages, anImage('later', { kernel: { url: `artifact:${'0'.repeat(64)}` } }));
    await stack.admin.create(virtualMachines, aVm('early', { source: { image: 'later' } }));
    expect(await refused('early', /"later" is not Ready: ArtifactMissing/)).toMatchObject({ reason: 'ImageNotReady' });
    const kernel = await upload(stack, bzImage({ seed: 'later' }));
    await edit(stack, virtualMachineImages, undefined, 'later', (spec) => ({ ...spec, kernel: { url: kernel.url } }));
    await bound('early');
  });
});
