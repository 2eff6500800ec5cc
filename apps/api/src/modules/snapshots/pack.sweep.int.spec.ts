import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { PACK_GRACE_MS, virtualMachines, virtualMachineSnapshots, type ObjectClient } from '@corral/contracts';
import { ObjectStore } from '@corral/object-store';
import { systemTimers } from '@corral/reconcile';
import { eventually, startApi, type ApiStack } from '../../../test/api-stack.ts';
import { registerNode } from '../../../test/fake-node.ts';
import { addTinyImage, aVm } from '../../../test/wishes.ts';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { Informers } from '../controllers/informers.ts';
import { StorageMetrics } from './storage-metrics.ts';
import { PackSweep } from './pack.sweep.ts';

describe('The sweep of packs', () => {
  let stack: ApiStack;
  let store: ObjectStore;
  let hours: number;
  let sweeper: PackSweep;
  beforeAll(async () => {
    stack = await startApi();
    store = stack.app.get(ObjectStore);
    await addTinyImage(stack);
    await registerNode(stack.agent, 'worker-1');
  }, 60_000);
  afterAll(() => stack.stop(), 30_000);
  beforeEach(() => {
    hours = 0;
    const timers = { ...systemTimers, now: () => hours * PACK_GRACE_MS + systemTimers.now() };
    sweeper = new PackSweep(stack.app.get<ObjectClient>(OBJECT_CLIENT), store, stack.app.get(Informers), stack.app.get(StorageMetrics), timers);
  });

  /** Everything in the store is `hours` older than it is. */
  const sweep = (): Promise<number> => sweeper.sweep(new Date(Date.now() + hours * PACK_GRACE_MS));
  async function pack(namespace = 'default'): Promise<string> {
    const bytes = randomBytes(100);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    return (await store.putStream(`packs/${namespace}/${sha256}`, Readable.from([bytes]), { sha256 })).key;
  }
  const there = async (...keys: readonly string[]): Promise<boolean[]> => Promise.all(keys.map(async (key) => (await store.head(key)) !== undefined));

  async function snapshotOf(machine: string, name: string, layers: readonly string[]): Promise<void> {
    await stack.admin.create(virtualMachineSnapshots, { metadata: { name, namespace: 'default' }, spec: { virtualMachine: machine } });
    await eventually(async () => {
      const snapshot = await stack.admin.get(virtualMachineSnapshots, 'default', name);
      return snapshot && stack.agent.replaceStatus(virtualMachineSnapshots, { ...snapshot, status: { ...snapshot.status, layers: [...layers] } });
    }, 'its layers are named');
  }

  it('removes what nothing names, after the grace and no earlier; what a snapshot still under way, another namespace’s, or a machine names stays', async () => {
    const [base, own, held, garbage, foreign] = [await pack('corral-system'), await pack(), await pack(), await pack(), await pack('other')];
    await stack.admin.create(virtualMachines, aVm('demo'));
    await snapshotOf('demo', 'taken', [base, own]);
    await eventually(async () => {
      const vm = await stack.agent.get(virtualMachines, 'default', 'demo');
      return vm && stack.agent.replaceStatus(virtualMachines, { ...vm, status: { ...vm.status, lineage: { digest: 'd'.repeat(64), layers: [base, held] } } });
    }, 'its lineage is told');

    expect(await sweep()).toBe(0);
    hours = 0.9;
    expect(await sweep()).toBe(0);
    hours = 1.1;
    expect(await sweep()).toBe(2);
    expect(await there(base, own, held, garbage, foreign)).toEqual([true, true, true, false, false]);
    expect(await (await stack.fetch('/metrics')).text()).toMatch(/corral_pack_bytes\{state="needed"\} 300\n/);

    await stack.admin.delete(virtualMachineSnapshots, 'default', 'taken');
    await eventually(async () => !(await stack.admin.get(virtualMachineSnapshots, 'default', 'taken')), 'it is gone');
    hours = 2.2;
    expect(await sweep()).toBe(0);
    hours = 3.3;
    expect(await sweep()).toBe(1);
    expect(await there(base, own, held)).toEqual([true, false, true]);
  });

  it('counts the grace from when the last that named a pack went, also when nobody looked meanwhile', async () => {
    const shared = await pack();
    expect(await sweep()).toBe(0);
    await stack.admin.create(virtualMachines, aVm('brief'));
    await snapshotOf('brief', 'in-between', [shared]);
    await stack.admin.delete(virtualMachineSnapshots, 'default', 'in-between');
    await eventually(async () => !stack.app.get(Informers).of(virtualMachineSnapshots).get('default', 'in-between'), 'the process has heard of its end');
    hours = 1.1;
    expect(await sweep()).toBe(0);
    hours = 2.2;
    expect(await sweep()).toBe(1);
  });

  it('begins anew when this process begins to lead', async () => {
    const garbage = await pack();
    await sweep();
    hours = 1.1;
    sweeper.begin();
    expect(await sweep()).toBe(0);
    hours = 2.2;
    expect([await sweep(), await there(garbage)]).toEqual([1, [false]]);
  });

  it('spares what was named after it was found due', async () => {
    const again = await pack();
    await sweep();
    hours = 1.1;
    let looks = 0;
    const objects = stack.app.get<ObjectClient>(OBJECT_CLIENT);
    const named = { items: [{ status: { layers: [again] } }] };
    // The second look at what is named, right before the deletion, meets a snapshot that has just begun.
    const stale = Object.assign(Object.create(objects) as ObjectClient, { list: (...query: Parameters<ObjectClient['list']>) => (++looks > 2 ? Promise.resolve(named) : objects.list(...query)) });
    const lateSweep = new PackSweep(stale, store, stack.app.get(Informers), stack.app.get(StorageMetrics), { ...systemTimers, now: () => hours * PACK_GRACE_MS });
    hours = 0;
    await lateSweep.sweep(new Date());
    looks = 0;
    hours = 1.1;
    expect(await lateSweep.sweep(new Date(Date.now() + 1.1 * PACK_GRACE_MS))).toBe(0);
    expect(await there(again)).toEqual([true]);
  });
});
