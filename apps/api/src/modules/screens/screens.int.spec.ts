import { Readable } from 'node:stream';
import { nodes, SNAPSHOT_SCREEN_FILE, virtualMachines, virtualMachineSnapshots, withCondition, type VirtualMachine, type VirtualMachineStatus } from '@corral/contracts';
import { ObjectStore } from '@corral/object-store';
import { eventually, startApi, type ApiStack } from '../../../test/api-stack.ts';
import { registerNode } from '../../../test/fake-node.ts';
import { addTinyImage, aVm } from '../../../test/wishes.ts';

const PNG = Buffer.from('89504e470d0a1a0a', 'hex');
const BASE = '/apis/corral.dev/v1/namespaces/default';

const ready = withCondition(undefined, { type: 'Ready', status: 'True', reason: 'AgentAnswered' }, new Date());

let stack: ApiStack;
let store: ObjectStore;
let vm: VirtualMachine;
beforeAll(async () => {
  stack = await startApi();
  store = stack.app.get(ObjectStore);
  await addTinyImage(stack);
  await registerNode(stack.agent, 'worker-1', { dataPlaneUrl: 'http://127.0.0.1:9', memory: '400Mi' });
  vm = await stack.admin.create(virtualMachines, aVm('demo', { memory: '64Mi' }));
  await told({ phase: 'Running', nodeName: 'worker-1', incarnation: 1, conditions: ready });
  await snapshot('seen', PNG);
  await snapshot('unseen');
}, 60_000);
afterAll(() => stack.stop(), 30_000);

/** As a node leaves one. */
async function snapshot(name: string, picture?: Buffer): Promise<void> {
  const created = await stack.admin.create(virtualMachineSnapshots, { metadata: { name, namespace: 'default' }, spec: { virtualMachine: 'demo' } });
  const folder = `snapshots/default/${created.metadata.uid}`;
  if (picture) await store.putStream(`${folder}/${SNAPSHOT_SCREEN_FILE}`, Readable.from([picture]));
  await eventually(async () => {
    const current = await stack.agent.get(virtualMachineSnapshots, 'default', name);
    return current && (await stack.agent.replaceStatus(virtualMachineSnapshots, { ...current, status: { ...current.status, manifestKey: `${folder}/manifest.json`, conditions: ready, completedAt: new Date().toISOString() } }).catch(() => undefined));
  }, `${name} is told of`);
}

async function told(change: VirtualMachineStatus): Promise<void> {
  await eventually(async () => {
    const current = await stack.agent.get(virtualMachines, 'default', vm.metadata.name);
    return current?.spec?.nodeName !== undefined && (await stack.agent.replaceStatus(virtualMachines, { ...current, status: { ...current.status, ...change } }).catch(() => undefined));
  }, 'the machine is told of');
}

const look = (path: string): Promise<Response> => stack.fetch(`${BASE}/${path}/screenshot`);
const reasonOf = async (response: Response): Promise<unknown> => ((await response.json()) as { reason?: unknown }).reason;

it('is kept beside a snapshot, and shown with the moment it is of, as nothing that a browser would run', async () => {
  const answer = await look('virtualmachinesnapshots/seen');
  expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'image/png']);
  expect(answer.headers.get('content-security-policy')).toContain('sandbox');
  const { metadata } = (await stack.admin.get(virtualMachineSnapshots, 'default', 'seen')) ?? {};
  expect(Date.parse(answer.headers.get('last-modified') ?? '')).toBe(Date.parse(metadata?.creationTimestamp ?? ''));
  expect(Buffer.from(await answer.arrayBuffer())).toEqual(PNG);
});

it('is missing where nothing was kept, and where there is no snapshot', async () => {
  const none = await look('virtualmachinesnapshots/unseen');
  expect([none.status, await reasonOf(none)]).toEqual([409, 'ScreenUnavailable']);
  expect((await look('virtualmachinesnapshots/never')).status).toBe(404);
});

describe('of a machine that no node can be asked about', () => {
  const show = async (): Promise<readonly [number, boolean]> => {
    const answer = await look('virtualmachines/demo');
    const body = Buffer.from(await answer.arrayBuffer());
    return [answer.status, body.equals(PNG)];
  };
  it('is what it showed when it was last kept, once its node is gone', async () => {
    await told({ lineage: { snapshot: 'seen', layers: [] } });
    // Its node is there, and only cannot be reached: it may show something else by now.
    expect((await look('virtualmachines/demo')).status).toBe(503);
    await stack.admin.delete(nodes, undefined, 'worker-1');
    expect(await show()).toEqual([200, true]);
    expect((await stack.fetch(`${BASE}/virtualmachines/demo/screenshot?format=text`)).status).toBe(503);
  });

  it('is nothing where nothing was kept', async () => {
    await told({ lineage: { snapshot: 'unseen', layers: [] } });
    expect((await look('virtualmachines/demo')).status).toBe(503);
  });
});
