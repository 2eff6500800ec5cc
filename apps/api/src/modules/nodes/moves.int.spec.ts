import { findCondition, podDisruptionBudgets, virtualMachines } from '@corral/contracts';
import { eventually, startApi, type ApiStack } from '../../../test/api-stack.ts';
import { registerNode } from '../../../test/fake-node.ts';
import { addTinyImage, aVm } from '../../../test/wishes.ts';

describe('an eviction', () => {
  let stack: ApiStack;
  beforeAll(async () => {
    stack = await startApi({ CORRAL_ROLES: 'api,controllers' });
    await addTinyImage(stack, { memory: '64Mi' });
    await registerNode(stack.agent, 'only');
  }, 60_000);
  afterAll(() => stack.stop(), 30_000);

  const budget = async () => (await stack.admin.get(podDisruptionBudgets, 'default', 'one-away'))?.status;
  const evict = (name: string, query = '') =>
    stack.fetch(`/api/v1/namespaces/default/pods/${name}/eviction${query}`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name } }),
    });

  it('of a machine that has nowhere to go costs its budget nothing, and a dry run says so too', async () => {
    const vm = await stack.admin.create(virtualMachines, aVm('kept', { nodeName: 'only' }));
    await stack.admin.replace(virtualMachines, { ...vm, metadata: { ...vm.metadata, labels: { app: 'kept' } } });
    await stack.admin.create(podDisruptionBudgets, { metadata: { name: 'one-away', namespace: 'default' }, spec: { maxUnavailable: 1, selector: { matchLabels: { app: 'kept' } } } });
    await eventually(async () => {
      const bound = await stack.agent.get(virtualMachines, 'default', 'kept');
      const ready = { type: 'Ready', status: 'True', reason: 'AgentAnswered', message: '', lastTransitionTime: vm.metadata.creationTimestamp } as const;
      return bound && stack.agent.replaceStatus(virtualMachines, { ...bound, status: { ...bound.status, phase: 'Running', nodeName: 'only', incarnation: 1, conditions: [...(bound.status?.conditions ?? []), ready] } });
    }, 'it runs');
    await eventually(async () => (await budget())?.disruptionsAllowed === 1, 'one may leave');

    for (const query of ['?dryRun=All', '']) {
      const answer = await evict('kept', query);
      expect({ status: answer.status, body: (await answer.json()) as unknown }).toMatchObject({ status: 429, body: { details: { causes: [{ reason: 'NoOtherNode' }] } } });
    }
    expect(await budget()).toMatchObject({ disruptionsAllowed: 1 });
    expect((await budget())?.disruptedPods).toBeUndefined();
    expect(findCondition((await stack.admin.get(virtualMachines, 'default', 'kept'))?.status?.conditions, 'Ready')?.status).toBe('True');
  });

  it.each(['?dryRun=nonsense', '?dryRun=all'])('whose dry run is mistyped (%s) is refused, as deleting its Pod is, and moves nothing', async (query) => {
    await registerNode(stack.agent, `other${query.length}`);
    const pod = '/api/v1/namespaces/default/pods/kept';
    const body = JSON.stringify({ apiVersion: 'v1', kind: 'DeleteOptions', dryRun: [query.slice(8)] });
    const answers = [await stack.fetch(`${pod}${query}`, { method: 'DELETE' }), await stack.fetch(pod, { method: 'DELETE', headers: { 'content-type': 'application/json' }, body }), await evict('kept', query)];
    for (const answer of answers) expect([answer.status, await answer.text()]).toEqual([422, expect.stringContaining('dryRun')]);
    await stack.fetch(`${pod}?dryRun=All`, { method: 'DELETE' });
    const vm = await stack.admin.get(virtualMachines, 'default', 'kept');
    expect([vm?.status?.move, vm?.spec?.nodeName]).toEqual([undefined, 'only']);
  });
});
