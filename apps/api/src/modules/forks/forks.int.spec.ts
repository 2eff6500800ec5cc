import {
  findCondition, nodes, Problem, resourceQuotas, virtualMachineImages, virtualMachines, virtualMachineSnapshots,
  type ForkResult, type VirtualMachine, type VirtualMachineSnapshot, type VirtualMachineStatus,
} from '@corral/contracts';
import { eventually, startApi, type ApiStack } from '../../../test/api-stack.ts';
import { registerNode } from '../../../test/fake-node.ts';
import { addTinyImage, aVm } from '../../../test/wishes.ts';

const NAMESPACE = 'default';

describe('Live forks', () => {
  let stack: ApiStack;
  let keeping: Promise<void>;
  let isOver = false;
  /** What a node says of the moments that it is to take. */
  let outcomeOf: (moment: VirtualMachineSnapshot) => 'Held' | 'NodeDiskFull' = () => 'Held';
  beforeAll(async () => {
    stack = await startApi();
    await addTinyImage(stack);
    await eventually(async () => findCondition((await stack.admin.get(virtualMachineImages, undefined, 'tiny'))?.status?.conditions, 'Ready')?.status === 'True', 'the image is Ready');
    await registerNode(stack.agent, 'n1', { memory: '64Gi', machines: 300 });
    await registerNode(stack.agent, 'n2', { memory: '64Gi', machines: 300 });
    await running('source', { nodeName: 'n1' });
    keeping = keepMoments();
  }, 60_000);
  afterAll(async () => {
    isOver = true;
    await keeping;
    await stack.stop();
  }, 30_000);

  const machine = async (name: string): Promise<VirtualMachine> => {
    const vm = await stack.admin.get(virtualMachines, NAMESPACE, name);
    if (!vm) throw new Error(`${name} is gone`);
    return vm;
  };

  /** As nodes do: they take the moments that are bound to them as soon as they hear of them. */
  async function keepMoments(): Promise<void> {
    while (!isOver) {
      const { items } = await stack.admin.list(virtualMachineSnapshots, { namespace: NAMESPACE });
      const asked = items.filter(({ spec, status }) => spec?.fork && findCondition(status?.conditions, 'Ready')?.reason === 'Taking');
      for (const moment of asked) {
        const reason = outcomeOf(moment);
        const now = new Date().toISOString();
        const condition = { type: 'Ready', status: 'False', reason, message: 'as it is', lastTransitionTime: now } as const;
        const said = { conditions: [condition], incarnation: 1, ...(reason === 'Held' ? {} : { completedAt: now }) };
        await stack.agent.replaceStatus(virtualMachineSnapshots, { ...moment, status: { ...moment.status, ...said } }).catch((error: unknown) => {
          if (!(error instanceof Problem)) throw error;
        });
      }
      await new Promise((next) => setTimeout(next, 20));
    }
  }

  /** As its node would say. */
  async function tell(name: string, status: VirtualMachineStatus): Promise<void> {
    for (;;) {
      const vm = await machine(name);
      try {
        await stack.agent.replaceStatus(virtualMachines, { ...vm, status: { ...vm.status, ...status } });
        return;
      } catch (error) {
        if (!(error instanceof Problem) || error.code !== 'object.conflict') throw error;
      }
    }
  }

  async function running(name: string, spec: Partial<NonNullable<VirtualMachine['spec']>> = {}): Promise<void> {
    await stack.admin.create(virtualMachines, aVm(name, spec));
    await eventually(async () => (await machine(name)).spec?.nodeName !== undefined, 'it is bound');
    await tell(name, { phase: 'Running', nodeName: (await machine(name)).spec?.nodeName, incarnation: 1, memoryMiB: 128, v86Build: 'build-1', startedFrom: { type: 'Boot', name: 'tiny' } });
  }

  async function fork(name: string, body: object = {}, headers: Record<string, string> = {}): Promise<{ readonly code: number; readonly replayed: boolean; readonly result: ForkResult }> {
    const answer = await stack.fetch(`/apis/corral.dev/v1/namespaces/${NAMESPACE}/virtualmachines/${name}/fork`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) });
    return { code: answer.status, replayed: answer.headers.get('idempotency-replayed') === 'true', result: (await answer.json()) as ForkResult };
  }
  const momentNamed = (name: string): Promise<VirtualMachineSnapshot | undefined> => stack.admin.get(virtualMachineSnapshots, NAMESPACE, name);
  const names = ({ items }: ForkResult): string[] => items.map(({ name }) => name);

  it('makes as many as are asked for, of one moment that the source’s node is to take, and places them there', async () => {
    const { code, result } = await fork('source', { count: 3, labels: { family: 'f' }, spec: { restartPolicy: 'Never' } });
    expect([code, result]).toMatchObject([201, { kind: 'ForkResult', requested: 3, created: 3 }]);
    const moment = await momentNamed(result.moment);
    expect(moment?.spec).toEqual({ virtualMachine: 'source', nodeName: 'n1', fork: { upload: false } });
    expect(moment?.status?.virtualMachineUid).toBe((await machine('source')).metadata.uid);
    for (const name of names(result)) {
      const child = await eventually(async () => ((await machine(name)).spec?.nodeName === undefined ? undefined : machine(name)), 'it is bound');
      expect(child.metadata).toMatchObject({ name: expect.stringMatching(/^source-[a-z0-9]{5}-[123]$/) as unknown, labels: { family: 'f' } });
      expect(child.spec).toMatchObject({ source: { virtualMachine: 'source' }, nodeName: 'n1', memory: '128Mi', restartPolicy: 'Never' });
      expect(child.status?.fork).toMatchObject({ virtualMachine: 'source', incarnation: 1, snapshot: result.moment, nodeName: 'n1', v86Build: 'build-1', memoryMiB: 128 });
    }
  });

  it('takes part in what fits a quota, and says of each other one why it does not: 207', async () => {
    const has = (await stack.admin.list(virtualMachines, { namespace: NAMESPACE })).items.length;
    const quota = await stack.admin.create(resourceQuotas, { metadata: { name: 'tight', namespace: NAMESPACE }, spec: { hard: { 'count/virtualmachines.corral.dev': String(has + 60) } } });
    const { code, result } = await fork('source', { count: 100, generateName: 'many-' });
    expect([code, result.requested, result.created, result.items.length]).toEqual([207, 100, 60, 100]);
    const refused = result.items.filter((item) => 'status' in item);
    expect(refused).toHaveLength(40);
    for (const item of refused) expect(item).toMatchObject({ code: 403, status: { kind: 'Status', reason: 'Forbidden', message: expect.stringMatching(/exceeded quota: tight/) as unknown } });
    await stack.admin.delete(resourceQuotas, NAMESPACE, quota.metadata.name);
    await Promise.all(names(result).map((name) => stack.admin.delete(virtualMachines, NAMESPACE, name)));
  }, 60_000);

  it('sent again with its Idempotency-Key is answered with the same machines, and makes no other moment', async () => {
    const headers = { 'idempotency-key': 'once-and-again' };
    const [first, second] = await Promise.all([fork('source', { count: 2 }, headers), fork('source', { count: 2 }, headers)]);
    const third = await fork('source', { count: 2 }, headers);
    const uids = ({ result }: typeof first) => result.items.map((item) => ('object' in item ? item.object.metadata.uid : item.status));
    expect([first.code, uids(second), uids(third)]).toEqual([201, uids(first), uids(first)]);
    expect(new Set([first, second, third].map(({ result }) => result.moment)).size).toBe(1);
    expect(await fork('source', { count: 3 }, headers)).toMatchObject({ code: 422, result: { reason: 'IdempotencyKeyReused' } });
  });

  it('after its moment is over makes none that it had not made then', async () => {
    const headers = { 'idempotency-key': 'half-done' };
    await stack.admin.create(virtualMachines, aVm('half-2', { powerState: 'Stopped' }));
    const first = await fork('source', { names: ['half-1', 'half-2'] }, headers);
    expect([first.code, first.result.items.map(({ code }) => code)]).toEqual([207, [201, 409]]);
    await stack.admin.delete(virtualMachines, NAMESPACE, 'half-2');
    await stack.admin.delete(virtualMachineSnapshots, NAMESPACE, first.result.moment);
    await eventually(async () => (await momentNamed(first.result.moment)) === undefined, 'the moment is gone');
    const again = await fork('source', { names: ['half-1', 'half-2'] }, headers);
    expect([again.code, again.result.items.map((item) => ('status' in item ? item.status.reason : 'Created'))]).toEqual([207, ['Created', 'ForkMomentGone']]);
  });

  it('is refused with a reason: of what does not run, is not there, or is asked for wrongly', async () => {
    await stack.admin.create(virtualMachines, aVm('resting', { powerState: 'Stopped' }));
    expect(await fork('resting')).toMatchObject({ code: 409, result: { reason: 'VirtualMachineNotRunning' } });
    expect(await fork('never-made')).toMatchObject({ code: 404, result: { reason: 'NotFound' } });
    expect(await fork('source', { count: 101 })).toMatchObject({ code: 422 });
    expect(await fork('source', { count: 2, names: ['a'] })).toMatchObject({ code: 422, result: { details: { causes: [{ field: 'count' }] } } });
    const refused = await fork('source', { names: ['bad'], spec: { memory: '256Mi' } });
    expect(refused).toMatchObject({ code: 207, result: { created: 0, items: [{ code: 422, status: { details: { causes: [{ field: 'spec.memory' }] } } }] } });
    await eventually(async () => (await momentNamed(refused.result.moment)) === undefined, 'a moment that nobody joined is not kept');
  });

  it('is answered once its moment is held, or with why it could not be kept, one by one, and leaves nothing then', async () => {
    outcomeOf = () => 'NodeDiskFull';
    try {
      const { code, result } = await fork('source', { names: ['full-1', 'full-2'] });
      expect([code, result.created]).toEqual([207, 0]);
      for (const item of result.items) expect(item).toMatchObject({ code: 409, status: { reason: 'ForkFailed', message: expect.stringContaining('NodeDiskFull') as unknown } });
      await eventually(async () => (await momentNamed(result.moment)) === undefined, 'a moment that was not kept goes');
      await expect(stack.admin.create(virtualMachines, aVm('full-3', { source: { virtualMachine: 'source' } }))).rejects.toMatchObject({ code: 'fork.failed' });
      for (const name of ['full-1', 'full-2', 'full-3']) await eventually(async () => (await stack.admin.get(virtualMachines, NAMESPACE, name)) === undefined, `${name} is not there`);
    } finally {
      outcomeOf = () => 'Held';
    }
    const { result } = await fork('source', { names: ['held'] });
    expect(findCondition((await momentNamed(result.moment))?.status?.conditions, 'Ready')?.reason).toBe('Held');
  });

  it('goes on from a machine that sleeps, which sleeps on; from one that sleeps without a node through its snapshot', async () => {
    await running('sleeper', { nodeName: 'n1' });
    await tell('sleeper', { phase: 'Hibernated', hibernation: { reason: 'Requested', requestedAt: new Date().toISOString(), incarnation: 1, since: new Date().toISOString() } });
    const { code, result } = await fork('sleeper', { names: ['dream'] });
    expect([code, result.created]).toEqual([201, 1]);
    expect((await machine('dream')).status?.fork).toMatchObject({ virtualMachine: 'sleeper', incarnation: 1, snapshot: result.moment });
    expect((await machine('sleeper')).status).toMatchObject({ phase: 'Hibernated' });
    expect((await machine('sleeper')).status?.hibernation?.wakeRequestedAt).toBeUndefined();
  });

  it('created by its source alone has a moment of its own, in the same transaction', async () => {
    const child = await stack.admin.create(virtualMachines, aVm('alone', { source: { virtualMachine: 'source' } }));
    expect(child.spec?.memory).toBe('128Mi');
    expect((await momentNamed(child.status?.fork?.snapshot ?? ''))?.spec).toMatchObject({ virtualMachine: 'source', fork: { upload: false } });
    const problem = await stack.admin.create(virtualMachines, aVm('wrong', { source: { virtualMachine: 'resting' } })).catch((error: unknown) => error);
    expect(problem).toMatchObject({ code: 'object.invalid', details: { causes: [{ field: 'spec.source.virtualMachine', reason: 'VirtualMachineNotRunning' }] } });
    const forged = await stack.admin.create(virtualMachineSnapshots, { metadata: { name: 'forged', namespace: NAMESPACE }, spec: { virtualMachine: 'source', fork: { upload: false } } }).catch((error: unknown) => error);
    expect(forged).toMatchObject({ details: { causes: [{ field: 'spec.fork', reason: 'FieldValueForbidden' }] } });
  });

  it('whose child is on another node has its moment uploaded', async () => {
    const { result } = await fork('source', { names: ['far'], spec: { nodeSelector: { zone: 'nowhere-yet' } } });
    expect((await momentNamed(result.moment))?.spec?.fork).toEqual({ upload: false });
    const n2 = await stack.admin.get(nodes, undefined, 'n2');
    if (!n2) throw new Error('n2 is there');
    await stack.admin.replace(nodes, { ...n2, metadata: { ...n2.metadata, labels: { ...n2.metadata.labels, zone: 'nowhere-yet' } } });
    await eventually(async () => (await machine('far')).spec?.nodeName === 'n2', 'it is bound there');
    await eventually(async () => (await momentNamed(result.moment))?.spec?.fork?.upload, 'its moment is to be uploaded');
  });

  it('lets its moment go once all of them run', async () => {
    const { result } = await fork('source', { names: ['soon'] });
    await tell('soon', { phase: 'Running', incarnation: 1, nodeName: 'n1' });
    await eventually(async () => (await momentNamed(result.moment)) === undefined, 'the moment is gone', 30_000);
  }, 60_000);
});
