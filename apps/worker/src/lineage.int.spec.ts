import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import {
  CHECKPOINT_LABEL, findCondition, PACK_GRACE_MS, virtualMachines, virtualMachineSnapshots,
  type KindDefinition, type ObjectClient, type VirtualMachine, type VirtualMachineSnapshot,
} from '@corral/contracts';
import { ObjectStore } from '@corral/object-store';
import { Informer, systemTimers, type Timers } from '@corral/reconcile';
import { until } from '@corral/testing';
import { jest } from '@jest/globals';
import { type Corral, IMAGE } from '../test/corral.ts';
import { type HerdWorker, SHORT_LEASE_SECONDS } from '../test/herd.ts';
import { WatchedHerd } from '../test/watched-herd.ts';

jest.setTimeout(240_000);

/** The sweep of the API as it was built: whoever tests with a whole Corral has no clock of another process to set. */
interface PackSweeper {
  sweep(now: Date): Promise<number>;
}
type PackSweepClass = new (objects: ObjectClient, store: ObjectStore, informers: object, metrics: object, timers: Timers) => PackSweeper;
const BUILT = resolve(import.meta.dirname, '../../api/dist/modules/snapshots/pack.sweep.js');

const herd = WatchedHerd.around(['worker-1', 'worker-2'], { leaseSeconds: SHORT_LEASE_SECONDS });
let corral: Corral;
let store: ObjectStore;
const ended = new AbortController();
beforeAll(async () => {
  corral = herd.corral;
  const { S3_ENDPOINT = '', S3_REGION = '', S3_ACCESS_KEY_ID = '', S3_SECRET_ACCESS_KEY = '' } = corral.env;
  store = new ObjectStore({ endpoint: S3_ENDPOINT, region: S3_REGION, bucket: 'corral', accessKeyId: S3_ACCESS_KEY_ID, secretAccessKey: S3_SECRET_ACCESS_KEY });
});
afterAll(() => {
  ended.abort();
  store?.close();
});

const [first, second] = [(): HerdWorker => herd.workers[0] as HerdWorker, (): HerdWorker => herd.workers[1] as HerdWorker];
const on = (worker: HerdWorker) => ({ source: { image: IMAGE }, nodeName: worker.name }) as const;
const mark = async (name: string, word: string): Promise<void> => void (await corral.execAnywhere(name, `echo ${word} > /tmp/mark`));
const marked = async (name: string): Promise<string> => (await corral.execAnywhere(name, 'cat /tmp/mark')).stdout.trim();
const isReady = ({ status }: VirtualMachineSnapshot | VirtualMachine): boolean => findCondition(status?.conditions, 'Ready')?.status === 'True';
async function kept(snapshot: string, name: string): Promise<VirtualMachineSnapshot> {
  await corral.takeSnapshot(snapshot, name);
  return corral.snapshotWhen(snapshot, 'Ready', isReady);
}
const packsOn = (worker: HerdWorker): string[] => {
  const folder = join(worker.home, 'packs');
  return existsSync(folder) ? readdirSync(folder) : [];
};

/** A sweep whose clock is moved; it sees the very objects and bytes that the API does. */
async function sweeper(): Promise<{ sweep(): Promise<number>; pass(graces: number): void }> {
  const { PackSweep } = (await import(BUILT)) as { readonly PackSweep: PackSweepClass };
  const informers = new Map([virtualMachines, virtualMachineSnapshots].map((kind) => [kind as unknown, new Informer({ client: corral.client, kind: kind as unknown as KindDefinition })]));
  for (const informer of informers.values()) informer.start(ended.signal);
  await Promise.all([...informers.values()].map((informer) => informer.synced()));
  let passedMs = 0;
  const metrics = { packBytes: { set: () => undefined }, packsRemoved: { inc: () => undefined } };
  const sweep = new PackSweep(corral.client, store, { of: (kind: unknown) => informers.get(kind) }, metrics, { ...systemTimers, now: () => systemTimers.now() + passedMs });
  return { sweep: () => sweep.sweep(new Date(Date.now() + passedMs)), pass: (graces) => void (passedMs += graces * PACK_GRACE_MS) };
}

describe('The lineage of a machine', () => {
  it('names what came after what, and what each needs; a parent that is deleted leaves its child whole, to be restored where nothing of it was', async () => {
    const garbage = await store.putStream(`packs/default/${randomBytes(32).toString('hex')}`, Readable.from([randomBytes(100)]));
    const { sweep, pass } = await sweeper();
    await sweep();

    await corral.run('demo', on(first()));
    await mark('demo', 'one');
    const parent = await kept('parent', 'demo');
    await mark('demo', 'two');
    const child = await kept('child', 'demo');
    expect([parent.status?.parent, child.status?.parent]).toEqual(['', 'parent']);
    const demo = await corral.when('demo', 'it says what its next snapshot builds on', ({ status }) => status?.lineage?.snapshot === 'child');
    expect(demo.status?.lineage).toEqual({ snapshot: 'child', digest: child.status?.digest, layers: child.status?.layers });
    expect(child.status?.layers?.length).toBeGreaterThan(0);

    await corral.client.delete(virtualMachines, 'default', 'demo');
    await corral.client.delete(virtualMachineSnapshots, 'default', 'parent');
    await until(async () => !(await corral.client.get(virtualMachineSnapshots, 'default', 'parent')), { timeoutMs: 30_000, what: 'the parent is gone' });
    await corral.snapshotWhen('child', 'it is nobody’s child any more', ({ status }) => status?.parent === '');

    for (let looks = 0; looks < 3; looks++) {
      pass(1.1);
      await sweep();
    }
    expect(await store.head(garbage.key)).toBeUndefined();
    for (const key of child.status?.layers ?? []) expect(await store.head(key)).toBeDefined();

    const own = (child.status?.layers ?? []).filter((key) => key.startsWith('packs/default/')).map((key) => key.split('/').at(-1) ?? '');
    expect(own.length).toBeGreaterThan(0);
    for (const digest of own) expect(packsOn(second())).not.toContain(digest);
    const again = await corral.run('again', { source: { snapshot: 'child' }, nodeName: second().name });
    expect(again.status?.lineage).toMatchObject({ snapshot: 'child', layers: child.status?.layers });
    expect(await marked('again')).toBe('two');
    await corral.client.delete(virtualMachines, 'default', 'again');
  });

  it('goes on from its latest checkpoint when its node is lost, and what it checkpoints there comes after that', async () => {
    const checkpoints = async (): Promise<VirtualMachineSnapshot[]> =>
      ((await corral.client.list(virtualMachineSnapshots, { namespace: 'default', labelSelector: `${CHECKPOINT_LABEL}=true` })).items as VirtualMachineSnapshot[]).filter(isReady);
    await corral.run('watched', { source: { image: IMAGE }, checkpointPolicy: { everySeconds: 10, keepLast: 2 } });
    await mark('watched', 'remembered');
    const since = Date.now() + 1_000;
    await until(async () => (await checkpoints()).some(({ metadata }) => Date.parse(metadata.creationTimestamp) > since), { timeoutMs: 90_000, what: 'a checkpoint of what it was told' });

    const vm = await corral.get('watched');
    const lost = herd.workers.find(({ name }) => name === vm.status?.nodeName);
    await lost?.kill();
    const again = await corral.when('watched', 'Ready elsewhere', (seen) => seen.status?.nodeName !== lost?.name && isReady(seen));
    expect(again.status).toMatchObject({ lastTermination: { reason: 'NodeLost' }, startedFrom: { type: 'Snapshot', name: expect.stringContaining('watched-checkpoint-') as string } });
    expect(await marked('watched')).toBe('remembered');
    const next = await until(async () => (await checkpoints()).find(({ status }) => (status?.incarnation ?? 0) > (vm.status?.incarnation ?? 0)), { timeoutMs: 90_000, what: 'a checkpoint of its new life' });
    expect(next?.status?.parent).toBe(again.status?.startedFrom?.name);
    expect((await checkpoints()).length).toBeLessThanOrEqual(3);
  });
});
