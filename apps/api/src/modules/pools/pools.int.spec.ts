import {
  findCondition, namespaces, POOL_LABEL, Problem, resourceQuotas, virtualMachineImages, virtualMachinePools, virtualMachines, virtualMachineSnapshots,
  type NewObject, type ObjectClient, type VirtualMachine, type VirtualMachinePool, type VirtualMachinePoolSpec,
} from '@corral/contracts';
import { eventually, startApi, type ApiPeer, type ApiStack } from '../../../test/api-stack.ts';
import { registerNode } from '../../../test/fake-node.ts';
import { addTinyImage, aVm, edit } from '../../../test/wishes.ts';

const aPool = (name: string, spec: Partial<VirtualMachinePoolSpec> = {}): NewObject<VirtualMachinePoolSpec> => ({
  metadata: { name, namespace: 'default' },
  spec: { template: { metadata: { labels: { app: 'ci' } }, spec: { source: { image: 'tiny' } } }, warm: 2, maximum: 4, ...spec } as VirtualMachinePoolSpec,
});
const claimOf = (pool: string, name: string): NewObject<VirtualMachine['spec'] & object> => aVm(name, { source: { pool } });

describe('VirtualMachinePools', () => {
  let stack: ApiStack;
  let peer: ApiPeer;
  let playing = true;
  let node: Promise<void>;
  beforeAll(async () => {
    stack = await startApi();
    peer = await stack.another({ CORRAL_ROLES: 'api' });
    await addTinyImage(stack);
    await eventually(async () => findCondition((await stack.admin.get(virtualMachineImages, undefined, 'tiny'))?.status?.conditions, 'Ready')?.status === 'True', 'the image is Ready');
    await registerNode(stack.agent, 'n1', { memory: '64Gi', machines: 200 });
    node = playNode();
  }, 60_000);
  afterAll(async () => {
    playing = false;
    await node;
    await stack.stop();
  }, 60_000);

  /** A node on which everything that is bound runs at once. */
  async function playNode(): Promise<void> {
    while (playing) {
      const { items } = await stack.agent.list(virtualMachines, { fieldSelector: 'spec.nodeName=n1' });
      await Promise.all(items.map((vm) => run(vm).catch(() => undefined)));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async function run(vm: VirtualMachine): Promise<void> {
    if (findCondition(vm.status?.conditions, 'Ready')?.status === 'True') return;
    await stack.agent.replaceStatus(virtualMachines, {
      ...vm,
      status: { ...vm.status, phase: 'Running', nodeName: 'n1', incarnation: vm.status?.incarnation ?? 1, conditions: [{ type: 'Ready', status: 'True', reason: 'AgentAnswered', message: '', lastTransitionTime: '2026-01-01T00:00:00Z' }] },
    });
  }

  const poolNamed = async (name: string): Promise<VirtualMachinePool> => {
    const pool = await stack.admin.get(virtualMachinePools, 'default', name);
    if (!pool) throw new Error(`pool ${name} is gone`);
    return pool;
  };
  const filled = (name: string): Promise<VirtualMachinePool> =>
    eventually(async () => {
      const pool = await poolNamed(name);
      return pool.status?.ready === pool.spec?.warm ? pool : undefined;
    }, `pool ${name} is warm`);
  const machinesOf = async (name: string): Promise<readonly VirtualMachine[]> => (await stack.admin.list(virtualMachines, { namespace: 'default', labelSelector: `${POOL_LABEL}=${name}` })).items;
  const problemOf = (promise: Promise<unknown>): Promise<Problem> => promise.then(() => Promise.reject(new Error('it was accepted')), (error: unknown) => error as Problem);

  it('keeps as many machines warm as it is told, made from its template and owned by it', async () => {
    await stack.admin.create(virtualMachinePools, aPool('warm'));
    const pool = await filled('warm');
    expect(pool.status).toMatchObject({ warm: 2, ready: 2, claimed: 0, machines: 2, coldFallbacks: 0 });
    expect(findCondition(pool.status?.conditions, 'Ready')).toMatchObject({ status: 'True', reason: 'Warm' });
    const machines = await machinesOf('warm');
    expect(machines).toHaveLength(2);
    for (const { metadata, spec } of machines) {
      expect(metadata).toMatchObject({ labels: { app: 'ci', [POOL_LABEL]: 'warm' }, ownerReferences: [{ kind: 'VirtualMachinePool', name: 'warm', uid: pool.metadata.uid, controller: true }] });
      expect(spec).toMatchObject({ source: { image: 'tiny' }, memory: '128Mi' });
    }
    await stack.admin.delete(virtualMachinePools, 'default', 'warm');
    await eventually(async () => (await machinesOf('warm')).length === 0, 'its machines go with it');
  });

  it('answers a claim with the machine that has waited longest: bound, and running, in the write that creates it', async () => {
    await stack.admin.create(virtualMachinePools, aPool('claims'));
    await filled('claims');
    const waiting = (await machinesOf('claims')).toSorted((a, b) => (a.metadata.creationTimestamp + a.metadata.name < b.metadata.creationTimestamp + b.metadata.name ? -1 : 1));
    const claim = await stack.admin.create(virtualMachines, claimOf('claims', 'mine'));
    expect(claim.spec).toMatchObject({ source: { pool: 'claims' }, nodeName: 'n1', memory: '128Mi' });
    expect(claim.status).toMatchObject({ incarnation: 1, claim: { type: 'Warm', source: { image: 'tiny' }, virtualMachine: { name: waiting[0]?.metadata.name, uid: waiting[0]?.metadata.uid } } });
    expect(findCondition(claim.status?.conditions, 'Ready')).toMatchObject({ status: 'False', reason: 'Claiming' });
    expect(await stack.admin.get(virtualMachines, 'default', waiting[0]?.metadata.name ?? '')).toBeUndefined();
    const refilled = await filled('claims');
    expect(refilled.status).toMatchObject({ warm: 2, claimed: 1, machines: 3, coldFallbacks: 0 });
    await stack.admin.delete(virtualMachinePools, 'default', 'claims');
    await eventually(async () => (await machinesOf('claims')).length === 0, 'the warm ones go with the pool');
    expect(await stack.admin.get(virtualMachines, 'default', 'mine')).toBeDefined();
  });

  it('starts a claim cold when none is warm, counts it, and refuses one beyond its maximum', async () => {
    await stack.admin.create(virtualMachinePools, aPool('empty', { warm: 0, maximum: 2 }));
    const claims = await Promise.all(['cold-1', 'cold-2'].map((name) => stack.admin.create(virtualMachines, claimOf('empty', name))));
    for (const { status, spec } of claims) expect([status?.claim, spec?.nodeName]).toEqual([expect.objectContaining({ type: 'Cold', source: { image: 'tiny' } }), undefined]);
    await eventually(async () => (await stack.admin.get(virtualMachines, 'default', 'cold-1'))?.status?.phase === 'Running', 'it is placed and runs like any machine of the template');
    expect((await poolNamed('empty')).status).toMatchObject({ claimed: 2, machines: 2, coldFallbacks: 2 });
    expect(await problemOf(stack.admin.create(virtualMachines, claimOf('empty', 'cold-3')))).toMatchObject({ code: 'request.forbidden', message: expect.stringMatching(/pool "empty" has the 2 machines it may have/) as unknown });
    await stack.admin.delete(virtualMachines, 'default', 'cold-1');
    await eventually(async () => (await poolNamed('empty')).status?.machines === 1, 'its place is free again');
    await stack.admin.create(virtualMachines, claimOf('empty', 'cold-4'));
    expect((await poolNamed('empty')).status).toMatchObject({ coldFallbacks: 3 });
  });

  it('never gives one machine to two, and never has more than its maximum, though two API processes claim at once', async () => {
    await stack.admin.create(virtualMachinePools, aPool('race', { warm: 6, maximum: 14 }));
    await filled('race');
    const clients: readonly ObjectClient[] = [stack.admin, peer.admin];
    const outcomes = await Promise.all(Array.from({ length: 24 }, (_, index) => (clients[index % 2] ?? stack.admin).create(virtualMachines, claimOf('race', `race-${index}`)).catch((error: unknown) => error as Problem)));
    const claims = outcomes.filter((outcome): outcome is VirtualMachine => !(outcome instanceof Problem));
    const refused = outcomes.filter((outcome) => outcome instanceof Problem);
    expect(new Set(refused.map(({ code }) => code))).toEqual(new Set(['request.forbidden']));
    const warm = claims.filter(({ status }) => status?.claim?.type === 'Warm');
    expect(new Set(warm.map(({ status }) => status?.claim?.virtualMachine?.uid)).size).toBe(warm.length);
    expect(warm.length).toBeGreaterThanOrEqual(6);
    expect(claims.length).toBeLessThanOrEqual(14);
    const all = (await stack.admin.list(virtualMachines, { namespace: 'default' })).items.filter(({ metadata, status }) => status?.claim?.pool === 'race' || metadata.labels?.[POOL_LABEL] === 'race');
    expect(all.length).toBeLessThanOrEqual(14);
    const { status } = await poolNamed('race');
    expect([status?.coldFallbacks, status?.machines]).toEqual([claims.length - warm.length, all.length]);
  }, 60_000);

  it('lets a warm machine go to whoever takes its label off, under its own name, and makes another', async () => {
    await stack.admin.create(virtualMachinePools, aPool('labels', { warm: 1 }));
    await filled('labels');
    const [taken] = await machinesOf('labels');
    if (!taken) throw new Error('there is a warm machine');
    const { [POOL_LABEL]: _pool, ...labels } = taken.metadata.labels ?? {};
    for (;;) {
      const current = await stack.admin.get(virtualMachines, 'default', taken.metadata.name);
      if (!current) throw new Error('the machine stays');
      try {
        await stack.admin.replace(virtualMachines, { ...current, metadata: { ...current.metadata, labels } });
        break;
      } catch (error) {
        if (!(error instanceof Problem) || error.code !== 'object.conflict') throw error;
      }
    }
    const released = await eventually(async () => {
      const vm = await stack.admin.get(virtualMachines, 'default', taken.metadata.name);
      return vm?.status?.claim ? vm : undefined;
    }, 'it is claimed');
    expect([released.metadata.uid, released.metadata.ownerReferences ?? [], released.status?.claim?.type]).toEqual([taken.metadata.uid, [], 'Label']);
    expect((await filled('labels')).status).toMatchObject({ warm: 1, claimed: 1, machines: 2 });
  });

  it('claims only what is Ready, where it is to stay, of the template as it is now', async () => {
    await stack.admin.create(virtualMachinePools, aPool('gate', { warm: 1 }));
    await filled('gate');
    await edit(stack, virtualMachinePools, 'default', 'gate', (spec) => ({ ...spec, template: { ...spec.template, metadata: { labels: { app: 'new' } } } }));
    const claim = await stack.admin.create(virtualMachines, claimOf('gate', 'gated'));
    expect(claim.status?.claim?.type).toBe('Cold');
    await eventually(async () => (await machinesOf('gate')).every(({ metadata }) => metadata.labels?.['app'] === 'new'), 'the old one is replaced');
  });

  it('takes a claim’s shape from its template, and refuses another', async () => {
    await stack.admin.create(virtualMachinePools, aPool('shape', { warm: 0, template: { spec: { source: { image: 'tiny' }, memory: '96Mi', bootPolicy: 'Cold', tolerations: [{ key: 'a', operator: 'Exists' }] } } as never }));
    const claim = await stack.admin.create(virtualMachines, aVm('shaped', { source: { pool: 'shape' }, restartPolicy: 'Never' }));
    expect(claim.spec).toMatchObject({ memory: '96Mi', bootPolicy: 'Cold', tolerations: [{ key: 'a' }], restartPolicy: 'Never' });
    const refused = await problemOf(stack.admin.create(virtualMachines, aVm('other', { source: { pool: 'shape' }, memory: '256Mi', nodeSelector: { a: 'b' } })));
    expect([refused.code, refused.details?.causes?.map(({ field }) => field)]).toEqual(['object.invalid', ['spec.memory', 'spec.nodeSelector']]);
  });

  it('is judged by the rules of its machines: every bad field is named at once', async () => {
    const refused = await problemOf(
      stack.admin.create(virtualMachinePools, aPool('bad', { warm: 5, template: { metadata: { labels: { 'bad key': 'x' } }, spec: { source: { image: 'never-made' }, memory: '1Mi', powerState: 'Stopped', nodeName: 'n1' } } as never })),
    );
    expect([refused.code, refused.details?.causes?.map(({ field }) => field).toSorted()]).toEqual([
      'object.invalid',
      ['spec.template.metadata.labels', 'spec.template.spec.memory', 'spec.template.spec.nodeName', 'spec.template.spec.powerState', 'spec.template.spec.source.image', 'spec.warm'],
    ]);
    expect(await problemOf(stack.admin.create(virtualMachines, claimOf('never-made', 'lost')))).toMatchObject({ code: 'object.invalid', details: { causes: [{ field: 'spec.source.pool', reason: 'FieldValueNotFound' }] } });
  });

  it('counts its warm machines against the quota, says what was refused, and a claim needs no room of its own', async () => {
    const namespace = 'tight';
    await stack.admin.create(namespaces, { metadata: { name: namespace } });
    await stack.admin.create(resourceQuotas, { metadata: { name: 'q', namespace }, spec: { hard: { 'count/virtualmachines.corral.dev': '2', 'requests.memory': '256Mi' } } });
    await stack.admin.create(virtualMachinePools, { ...aPool('small', { warm: 3, maximum: 9 }), metadata: { name: 'small', namespace } });
    const pool = await eventually(async () => {
      const found = await stack.admin.get(virtualMachinePools, namespace, 'small');
      return found?.status?.ready === 2 && findCondition(found.status.conditions, 'Ready')?.reason === 'MachinesRefused' ? found : undefined;
    }, 'the third is refused');
    expect(findCondition(pool.status?.conditions, 'Ready')?.message).toMatch(/exceeded quota: q/);
    const claim = await stack.admin.create(virtualMachines, aVm('fits', { source: { pool: 'small' } }, namespace));
    expect(claim.status?.claim?.type).toBe('Warm');
  });

  describe('of forks', () => {
    let keeping: Promise<void>;
    let isOver = false;
    /** What the node says of the moments that it is to take, and how many there were. */
    let outcome: 'Held' | 'NodeDiskFull' = 'Held';
    const asked = new Set<string>();
    beforeAll(async () => {
      await stack.admin.create(virtualMachines, aVm('origin'));
      await eventually(async () => (await stack.admin.get(virtualMachines, 'default', 'origin'))?.status?.phase === 'Running', 'the source runs');
      keeping = keepMoments();
    });
    afterAll(async () => {
      isOver = true;
      await keeping;
    });

    async function keepMoments(): Promise<void> {
      while (!isOver) {
        const { items } = await stack.admin.list(virtualMachineSnapshots, { namespace: 'default' });
        for (const moment of items.filter(({ spec, status }) => spec?.fork && findCondition(status?.conditions, 'Ready')?.reason === 'Taking')) {
          asked.add(moment.metadata.name);
          const now = new Date().toISOString();
          const said = { conditions: [{ type: 'Ready', status: 'False', reason: outcome, message: 'as it is', lastTransitionTime: now } as const], incarnation: 1, ...(outcome === 'Held' ? {} : { completedAt: now }) };
          await stack.agent.replaceStatus(virtualMachineSnapshots, { ...moment, status: { ...moment.status, ...said } }).catch(unlessConflict);
        }
        await new Promise((next) => setTimeout(next, 20));
      }
    }
    const unlessConflict = (error: unknown): void => {
      if (!(error instanceof Problem)) throw error;
    };
    const aForkPool = (name: string, spec: Partial<VirtualMachinePoolSpec> = {}) => aPool(name, { template: { spec: { source: { virtualMachine: 'origin' } } } as never, warm: 4, maximum: 12, ...spec });
    const momentOf = ({ status }: VirtualMachine): string | undefined => status?.fork?.snapshot;
    const whenReady = (name: string, reason: string) =>
      eventually(async () => {
        const ready = findCondition((await poolNamed(name)).status?.conditions, 'Ready');
        return ready?.reason === reason ? ready : undefined;
      }, `pool ${name} is ${reason}`, 30_000);
    async function tellOrigin(phase: 'Running' | 'Stopped'): Promise<void> {
      for (;;) {
        const vm = await stack.admin.get(virtualMachines, 'default', 'origin');
        if (!vm) throw new Error('the source is there');
        const isTold = await stack.agent.replaceStatus(virtualMachines, { ...vm, status: { ...vm.status, phase } }).then(() => true, unlessConflict);
        if (isTold) return;
      }
    }

    it('makes its machines from one moment of their source, as many of them as it is to fill, which is let go of when it is full', async () => {
      asked.clear();
      await stack.admin.create(virtualMachinePools, aForkPool('twins', { warm: 10 }));
      expect((await filled('twins')).status).toMatchObject({ warm: 10, machines: 10 });
      const machines = await machinesOf('twins');
      expect(new Set(machines.map(momentOf)).size).toBe(1);
      expect(asked.size).toBe(1);
      expect(findCondition((await poolNamed('twins')).status?.conditions, 'SourceRunning')).toMatchObject({ status: 'True' });
      await eventually(async () => (await stack.admin.get(virtualMachineSnapshots, 'default', momentOf(machines[0] as VirtualMachine) ?? '')) === undefined, 'the moment goes', 30_000);
      const claim = await stack.admin.create(virtualMachines, claimOf('twins', 'twin'));
      expect(claim.status).toMatchObject({ claim: { type: 'Warm', source: { virtualMachine: 'origin' } }, fork: { virtualMachine: 'origin' } });
      expect((await filled('twins')).status).toMatchObject({ warm: 10, claimed: 1 });
      // What fills the place of the claim is of a later moment.
      expect(asked.size).toBe(2);
      await stack.admin.delete(virtualMachinePools, 'default', 'twins');
      await eventually(async () => (await stack.admin.list(virtualMachineSnapshots, { namespace: 'default' })).items.every(({ metadata }) => metadata.ownerReferences === undefined), 'its moments go with it', 30_000);
    }, 90_000);

    it('waits for a source that does not run, or is not there, says so, and asks for nothing meanwhile', async () => {
      await tellOrigin('Stopped');
      asked.clear();
      await stack.admin.create(virtualMachinePools, aForkPool('patient', { warm: 2 }));
      expect(await whenReady('patient', 'SourceNotRunning')).toMatchObject({ status: 'False', message: expect.stringContaining('is Stopped') as unknown });
      const { resourceVersion } = (await poolNamed('patient')).metadata;
      const refused = await problemOf(stack.admin.create(virtualMachinePools, aForkPool('orphans', { template: { spec: { source: { virtualMachine: 'never-made' } } } as never })));
      expect(refused.details?.causes).toEqual([expect.objectContaining({ field: 'spec.template.spec.source.virtualMachine', reason: 'FieldValueNotFound' })]);
      expect([asked.size, (await poolNamed('patient')).metadata.resourceVersion]).toEqual([0, resourceVersion]);
      await tellOrigin('Running');
      expect((await filled('patient')).status).toMatchObject({ ready: 2 });
      expect(asked.size).toBe(1);
    }, 60_000);

    it('whose source cannot be kept says why, and asks again only after a while', async () => {
      outcome = 'NodeDiskFull';
      asked.clear();
      await stack.admin.create(virtualMachinePools, aForkPool('tight-disk', { warm: 1 }));
      expect(await whenReady('tight-disk', 'ForkFailed')).toMatchObject({ message: expect.stringContaining('NodeDiskFull') as unknown });
      expect([asked.size, (await machinesOf('tight-disk')).length]).toEqual([1, 0]);
      outcome = 'Held';
      await filled('tight-disk');
      expect(asked.size).toBe(2);
    }, 60_000);
  });
});
