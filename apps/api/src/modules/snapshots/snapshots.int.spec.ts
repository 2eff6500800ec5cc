import { Readable } from 'node:stream';
import { events, findCondition, nodes, virtualMachines, virtualMachineSnapshots, type Condition, type Event, type VirtualMachineSnapshot } from '@corral/contracts';
import { ObjectStore } from '@corral/object-store';
import { eventually, startApi, type ApiStack } from '../../../test/api-stack.ts';
import { registerNode } from '../../../test/fake-node.ts';
import { addTinyImage, aVm } from '../../../test/wishes.ts';
import { ORPHAN_AGE_MS, StorageSweep } from './storage.sweep.ts';

describe('snapshots', () => {
  let stack: ApiStack;
  let store: ObjectStore;
  beforeAll(async () => {
    stack = await startApi();
    store = stack.app.get(ObjectStore);
    await addTinyImage(stack);
    await registerNode(stack.agent, 'worker-1');
  }, 60_000);
  afterAll(() => stack.stop(), 30_000);

  const get = (name: string): Promise<VirtualMachineSnapshot | undefined> => stack.admin.get(virtualMachineSnapshots, 'default', name);
  const take = (name: string, virtualMachine: string) => stack.admin.create(virtualMachineSnapshots, { metadata: { name, namespace: 'default' }, spec: { virtualMachine } });
  const ready = (name: string, is: (condition: Condition) => boolean): Promise<Condition> =>
    eventually(async () => {
      const found = findCondition((await get(name))?.status?.conditions, 'Ready');
      return found !== undefined && is(found) && found;
    }, `${name}: ${is.toString()}`);
  const put = (key: string) => store.putStream(key, Readable.from([Buffer.from('bytes')]));

  /** Labels it, whoever else writes to it meanwhile. */
  async function edited(name: string): Promise<void> {
    const response = await stack.fetch(`/apis/corral.dev/v1/namespaces/default/virtualmachinesnapshots/${name}`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/merge-patch+json' },
      body: '{"metadata":{"labels":{"edited":"yes"}}}',
    });
    expect(response.status).toBe(200);
  }

  async function running(name: string): Promise<string> {
    await stack.admin.create(virtualMachines, aVm(name));
    return eventually(async () => {
      const vm = await stack.agent.get(virtualMachines, 'default', name);
      if (vm?.spec?.nodeName === undefined) return undefined;
      await stack.agent.replaceStatus(virtualMachines, { ...vm, status: { ...vm.status, phase: 'Running', nodeName: vm.spec.nodeName, incarnation: 1, memoryMiB: 128 } });
      return vm.metadata.uid;
    }, `${name} runs`);
  }

  it('are given to the node that holds the machine', async () => {
    const uid = await running('demo');
    await take('demo-1', 'demo');
    await eventually(async () => (await get('demo-1'))?.spec?.nodeName === 'worker-1', 'it is bound');
    expect(await get('demo-1')).toMatchObject({ metadata: { finalizers: ['corral.dev/snapshot-data'] }, status: { virtualMachineUid: uid } });
    expect(await ready('demo-1', () => true)).toMatchObject({ status: 'False', reason: 'Taking' });
  });

  it('that a machine is to go on from stay until it runs, whoever deletes them', async () => {
    await running('returning');
    await take('returning-1', 'returning');
    const { uid } = (await get('returning-1'))!.metadata;
    await put(`snapshots/default/${uid}/manifest.json`);
    const said = (continues: boolean) =>
      eventually(async () => {
        const vm = await stack.admin.get(virtualMachines, 'default', 'returning');
        const { continueFrom: _before, ...status } = vm?.status ?? {};
        return vm && stack.admin.replaceStatus(virtualMachines, { ...vm, status: { ...status, ...(continues ? { continueFrom: { reason: 'NodeLost', snapshot: 'returning-1', incarnation: 1 } as const } : {}) } });
      }, 'its status');
    await said(true);
    await stack.admin.delete(virtualMachineSnapshots, 'default', 'returning-1');
    await eventually(
      async () => (await stack.admin.list(events, { namespace: 'default', fieldSelector: 'involvedObject.name=returning-1' })).items.some((event) => (event as Event).reason === 'KeptForMachine'),
      'it says why it stays',
    );
    expect(await get('returning-1')).toBeDefined();
    await said(false);
    await eventually(async () => !(await get('returning-1')), 'it is gone');
  });

  it('of a machine that does not exist are refused, and stay writable when it goes later', async () => {
    await expect(take('of-nothing', 'nothing')).rejects.toMatchObject({ code: 'object.invalid', details: { causes: [{ field: 'spec.virtualMachine', reason: 'FieldValueNotFound' }] } });
    await stack.admin.create(virtualMachines, aVm('brief', { powerState: 'Stopped' }));
    await take('of-brief', 'brief');
    await stack.admin.delete(virtualMachines, 'default', 'brief');
    await edited('of-brief');
  });

  it('fail with a reason when their machine does not run', async () => {
    await stack.admin.create(virtualMachines, aVm('asleep', { powerState: 'Stopped' }));
    await take('of-asleep', 'asleep');
    await ready('of-asleep', ({ status, reason }) => status === 'False' && reason === 'VirtualMachineNotRunning');
    expect((await get('of-asleep'))?.status?.completedAt).toBeDefined();
  });

  it('cannot be the source of a machine once they failed, are of another memory or an older version, or do not exist', async () => {
    const from = (name: string, snapshot: string, memory?: string) =>
      stack.admin.create(virtualMachines, aVm(name, { source: { snapshot }, ...(memory === undefined ? {} : { memory }) }));
    await expect(from('a', 'of-asleep')).rejects.toMatchObject({ code: 'object.invalid', details: { causes: [{ field: 'spec.source.snapshot', reason: 'FieldValueInvalid' }] } });
    await expect(from('a', 'never')).rejects.toMatchObject({ code: 'object.invalid', details: { causes: [{ field: 'spec.source.snapshot', reason: 'FieldValueNotFound' }] } });

    const snapshot = await get('demo-1');
    if (!snapshot) throw new Error('demo-1 is gone');
    const conditions: Condition[] = [{ type: 'Ready', status: 'True', reason: 'Verified', message: '', lastTransitionTime: snapshot.metadata.creationTimestamp }];
    const ofAnOlderVersion = await stack.agent.replaceStatus(virtualMachineSnapshots, { ...snapshot, status: { ...snapshot.status, memoryMiB: 192, v86Build: 'build-1', conditions } });
    await expect(from('a', 'demo-1')).rejects.toMatchObject({ code: 'object.invalid', details: { causes: [{ field: 'spec.source.snapshot', message: expect.stringContaining('older version') as unknown }] } });
    const imageParts = { artifacts: {}, commandLine: '', guestAgent: false, acpi: false };
    await stack.agent.replaceStatus(virtualMachineSnapshots, { ...ofAnOlderVersion, status: { ...ofAnOlderVersion.status, imageParts } });
    await expect(from('a', 'demo-1', '128Mi')).rejects.toMatchObject({ code: 'object.invalid', details: { causes: [{ field: 'spec.memory', reason: 'FieldValueInvalid' }] } });
    // Without a wish of its own it gets the snapshot's.
    expect((await from('copy', 'demo-1')).spec?.memory).toBe('192Mi');
    await eventually(async () => (await stack.admin.get(virtualMachines, 'default', 'copy'))?.spec?.nodeName === 'worker-1', 'it is bound');
  });

  it('outlive their machine, and take their bytes along when they go', async () => {
    const snapshot = await get('demo-1');
    const key = `snapshots/default/${snapshot?.metadata.uid}/manifest.json`;
    await put(key);
    await stack.admin.delete(virtualMachines, 'default', 'demo');
    await eventually(async () => (await stack.admin.get(virtualMachines, 'default', 'demo')) === undefined, 'the machine is gone');
    expect((await get('demo-1'))?.metadata.deletionTimestamp).toBeUndefined();
    expect(await store.head(key)).toBeDefined();

    await stack.admin.delete(virtualMachineSnapshots, 'default', 'demo-1');
    await eventually(async () => (await get('demo-1')) === undefined, 'the snapshot is gone');
    expect(await store.head(key)).toBeUndefined();
  });

  it('that are deleted leave their children whole, to what they were taken after themselves', async () => {
    await running('family');
    const taken = async (name: string, parent: string): Promise<void> => {
      await take(name, 'family');
      await eventually(async () => {
        const snapshot = await get(name);
        return snapshot?.spec?.nodeName && stack.agent.replaceStatus(virtualMachineSnapshots, { ...snapshot, status: { ...snapshot.status, parent } });
      }, `${name} is taken`);
    };
    await taken('grandparent', '');
    await taken('parent', 'grandparent');
    await taken('child', 'parent');
    const childrenOf = async (name: string): Promise<string[]> => (await stack.admin.list(virtualMachineSnapshots, { namespace: 'default', fieldSelector: `status.parent=${name}` })).items.map(({ metadata }) => metadata.name);
    expect(await childrenOf('parent')).toEqual(['child']);
    await stack.admin.delete(virtualMachineSnapshots, 'default', 'parent');
    await eventually(async () => (await childrenOf('grandparent')).join() === 'child', 'the child has another parent');
    await stack.admin.delete(virtualMachineSnapshots, 'default', 'grandparent');
    await eventually(async () => (await get('child'))?.status?.parent === '', 'the child has none');
  });

  it('fail when their node is lost', async () => {
    await running('doomed');
    await take('doomed-1', 'doomed');
    await eventually(async () => (await get('doomed-1'))?.spec?.nodeName, 'it is bound');
    await stack.admin.delete(nodes, undefined, 'worker-1');
    await ready('doomed-1', ({ reason }) => reason === 'NodeLost');
  });

  it('leave no bytes behind that no object names, and the sweep touches nothing else', async () => {
    const kept = await get('doomed-1');
    const [named, orphan, staged] = [`snapshots/default/${kept?.metadata.uid}/manifest.json`, 'snapshots/default/00000000-dead/manifest.json', 'uploads/abandoned'];
    await Promise.all([put(named), put(orphan), put(staged)]);
    const sweep = stack.app.get(StorageSweep);

    expect(await sweep.sweep(new Date())).toBe(0);
    expect(await sweep.sweep(new Date(Date.now() + ORPHAN_AGE_MS + 60_000))).toBe(1);
    expect([await store.head(orphan), (await store.head(named))?.key]).toEqual([undefined, named]);
    expect(await store.head(staged)).toBeDefined();
    expect(await sweep.sweep(new Date(Date.now() + 25 * ORPHAN_AGE_MS))).toBe(1);
    expect(await store.head(staged)).toBeUndefined();
  });
});
