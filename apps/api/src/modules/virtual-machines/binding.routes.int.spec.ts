import { virtualMachines, type VirtualMachine } from '@corral/contracts';
import { startApi, type ApiStack } from '../../../test/api-stack.ts';
import { registerNode } from '../../../test/fake-node.ts';
import { addTinyImage, aVm } from '../../../test/wishes.ts';

describe('the binding of a machine', () => {
  let stack: ApiStack;
  beforeAll(async () => {
    stack = await startApi({ CORRAL_ROLES: 'api,controllers' });
    await addTinyImage(stack, { memory: '64Mi' });
    await registerNode(stack.agent, 'here', { machines: 1 });
    await registerNode(stack.agent, 'there');
  }, 60_000);
  afterAll(() => stack.stop(), 30_000);

  const create = (name: string): Promise<VirtualMachine> => stack.admin.create(virtualMachines, aVm(name, { schedulerName: 'of-the-test' }));
  const get = (name: string): Promise<VirtualMachine | undefined> => stack.admin.get(virtualMachines, 'default', name);
  const bindingOf = (name: string, node: string, metadata = {}) => ({ apiVersion: 'v1', kind: 'Binding', metadata: { name, ...metadata }, target: { apiVersion: 'v1', kind: 'Node', name: node } });
  async function post(name: string, body: unknown, query = ''): Promise<{ readonly status: number; readonly body: unknown }> {
    const response = await stack.fetch(`/apis/corral.dev/v1/namespaces/default/virtualmachines/${name}/binding${query}`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body),
    });
    return { status: response.status, body: await response.json() };
  }

  it('puts it on the node and says so, once: of two schedulers one is told 409', async () => {
    await create('wanted');
    const answers = await Promise.all(['here', 'there'].map((node) => post('wanted', bindingOf('wanted', node))));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409]);
    const won = answers[0]?.status === 201 ? 'here' : 'there';
    expect(answers.find(({ status }) => status === 201)?.body).toMatchObject({ kind: 'Status', status: 'Success' });
    expect(answers.find(({ status }) => status === 409)?.body).toMatchObject({ reason: 'Conflict', message: expect.stringContaining(`is already assigned to node "${won}"`) as unknown });
    const vm = await get('wanted');
    expect(vm?.spec?.nodeName).toBe(won);
    expect(vm?.status?.conditions).toContainEqual(expect.objectContaining({ type: 'Scheduled', status: 'True', message: `Bound to ${won}.` }));
    await stack.admin.delete(virtualMachines, 'default', 'wanted');
  });

  it('is refused as every other way to bind is: a node that is full, or not there', async () => {
    await create('first');
    await create('second');
    expect((await post('first', bindingOf('first', 'here'))).status).toBe(201);
    expect(await post('second', bindingOf('second', 'here'))).toMatchObject({ status: 409, body: { reason: 'NodeFull' } });
    expect(await post('second', bindingOf('second', 'nowhere'))).toMatchObject({ status: 422, body: { details: { causes: [{ field: 'spec.nodeName' }] } } });
  });

  it.each([
    ['another machine than the path', 400, bindingOf('other', 'there')],
    ['another kind of target', 422, { metadata: { name: 'unmoved' }, target: { kind: 'Pod', name: 'there' } }],
    ['no target', 422, { metadata: { name: 'unmoved' } }],
    ['another uid', 409, bindingOf('unmoved', 'there', { uid: '00000000-0000-4000-8000-000000000000' })],
    ['another version', 409, bindingOf('unmoved', 'there', { resourceVersion: '1' })],
  ])('that names %s is refused with %i', async (_what, status, body) => {
    if (!(await get('unmoved'))) await create('unmoved');
    expect((await post('unmoved', body)).status).toBe(status);
    expect((await get('unmoved'))?.spec?.nodeName).toBeUndefined();
  });

  it('may be tried, and is 404 for a machine that is not there', async () => {
    await create('tried');
    expect((await post('tried', bindingOf('tried', 'there'), '?dryRun=All')).status).toBe(201);
    expect((await get('tried'))?.spec?.nodeName).toBeUndefined();
    expect((await post('absent', bindingOf('absent', 'there'))).status).toBe(404);
  });

  it('is listed where clients look for it', async () => {
    const { resources } = (await (await stack.fetch('/apis/corral.dev/v1')).json()) as { resources: { name: string }[] };
    expect(resources).toContainEqual(expect.objectContaining({ name: 'virtualmachines/binding', kind: 'Binding', version: 'v1', verbs: ['create'] }));
    const openApi = await (await stack.fetch('/openapi/v3/apis/corral.dev/v1')).json();
    expect(openApi).toMatchObject({ paths: { '/apis/corral.dev/v1/namespaces/{namespace}/virtualmachines/{name}/binding': { post: { responses: { 201: {} } } } } });
  });
});
