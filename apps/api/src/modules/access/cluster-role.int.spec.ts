import { clusterRoles, asClusterRole, type KindDefinition, type NewObject, type PolicyRule } from '@corral/contracts';
import { eventually, startApi, type ApiStack } from '../../../test/api-stack.ts';

let stack: ApiStack;
beforeAll(async () => {
  stack = await startApi();
}, 60_000);
afterAll(() => stack.stop(), 30_000);

const GATHERED: PolicyRule = { verbs: ['get'], apiGroups: ['example.com'], resources: ['widgets'] };

async function resourcesOf(name: string): Promise<string[]> {
  const role = await stack.admin.get(clusterRoles as KindDefinition, undefined, name);
  return role ? asClusterRole(role).rules.flatMap(({ resources = [] }) => resources) : [];
}

it('aggregated roles show the rules they gather, and no longer those of a role that is gone', async () => {
  await eventually(async () => (await resourcesOf('admin')).includes('virtualmachines/exec') && (await resourcesOf('admin')).includes('rolebindings'), 'the rules of admin');
  expect(await resourcesOf('view')).not.toContain('virtualmachines/exec');

  const labels = { 'rbac.authorization.k8s.io/aggregate-to-view': 'true' };
  await stack.admin.create(clusterRoles as KindDefinition, { metadata: { name: 'widgets', labels }, rules: [GATHERED] } as NewObject);
  await eventually(async () => (await resourcesOf('view')).includes('widgets') && (await resourcesOf('admin')).includes('widgets'), 'the gathered rule');
  await stack.admin.delete(clusterRoles as KindDefinition, undefined, 'widgets');
  await eventually(async () => !(await resourcesOf('view')).includes('widgets') && !(await resourcesOf('admin')).includes('widgets'), 'its end');
});
