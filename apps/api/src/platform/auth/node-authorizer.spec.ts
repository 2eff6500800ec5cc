import { requestAttributes } from '@corral/api-machinery';
import { isAllowedToNode } from './node-authorizer.ts';
import type { Identity } from './user.ts';

const NODE: Identity = { name: 'system:node:n1', groups: ['system:nodes'] };
const BOOTSTRAP: Identity = { name: 'system:node', groups: ['system:bootstrappers'] };
const MACHINES = '/apis/corral.dev/v1/virtualmachines';
const MACHINE = '/apis/corral.dev/v1/namespaces/a/virtualmachines/x';
const SNAPSHOT = '/apis/corral.dev/v1/namespaces/a/virtualmachinesnapshots/x';
const LEASES = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases';

const asks = (user: Identity, method: string, target: string): boolean => {
  const { pathname, searchParams } = new URL(target, 'http://api');
  return isAllowedToNode(user, requestAttributes(method, pathname, (name) => searchParams.get(name) ?? undefined));
};

describe('A node', () => {
  it.each([
    ['GET', '/api/v1/nodes/n1'], ['POST', '/api/v1/nodes'], ['PUT', '/api/v1/nodes/n1'], ['PUT', '/api/v1/nodes/n1/status'],
    ['GET', `${LEASES}/n1`], ['POST', LEASES], ['PUT', `${LEASES}/n1`],
    ['GET', `${MACHINES}?fieldSelector=spec.nodeName%3Dn1`], ['GET', `${MACHINES}?watch=true&fieldSelector=spec.nodeName%3Dn1`],
    ['GET', '/apis/corral.dev/v1/namespaces/a/virtualmachines?fieldSelector=spec.nodeName%3Dn1,metadata.name%3Dx'],
    ['PUT', MACHINE], ['PUT', `${MACHINE}/status`], ['GET', SNAPSHOT], ['PUT', `${SNAPSHOT}/status`],
    ['GET', '/apis/corral.dev/v1/virtualmachineimages'], ['GET', '/apis/corral.dev/v1/virtualmachineimages?watch=1'],
    ['POST', '/api/v1/namespaces/a/events'], ['GET', '/api/v1/namespaces/a/events/e'], ['PUT', '/api/v1/namespaces/a/events/e'],
  ])('may %s %s', (method, target) => {
    expect(asks(NODE, method, target)).toBe(true);
  });

  it.each([
    ['GET', '/api/v1/nodes'], ['GET', '/api/v1/nodes/n2'], ['PUT', '/api/v1/nodes/n2'], ['PUT', '/api/v1/nodes/n2/status'], ['DELETE', '/api/v1/nodes/n1'],
    ['GET', `${LEASES}/n2`], ['PUT', `${LEASES}/n2`], ['GET', LEASES], ['POST', '/apis/coordination.k8s.io/v1/namespaces/a/leases'],
    ['GET', MACHINES], ['GET', `${MACHINES}?fieldSelector=spec.nodeName%3Dn2`], ['GET', `${MACHINES}?watch=true`], ['GET', `${MACHINES}?fieldSelector=spec.nodeName!%3Dn1`],
    ['GET', MACHINE], ['DELETE', MACHINE], ['POST', '/apis/corral.dev/v1/namespaces/a/virtualmachines'], ['POST', `${MACHINE}/exec`], ['DELETE', MACHINES],
    ['GET', '/apis/corral.dev/v1/virtualmachinesnapshots'], ['PUT', SNAPSHOT], ['DELETE', SNAPSHOT], ['POST', '/apis/corral.dev/v1/namespaces/a/virtualmachinesnapshots'],
    ['GET', '/api/v1/secrets'], ['GET', '/api/v1/namespaces/a/secrets/s'], ['GET', '/api/v1/namespaces/a/serviceaccounts'], ['GET', '/api/v1/namespaces'],
    ['GET', '/apis/rbac.authorization.k8s.io/v1/clusterroles'], ['GET', '/api/v1/namespaces/a/events'], ['DELETE', '/api/v1/namespaces/a/events/e'],
    ['PUT', '/apis/corral.dev/v1/virtualmachineimages/i'], ['POST', '/auth/node-credentials'], ['POST', '/api/v1/namespaces/a/pods/x/eviction'],
  ])('may not %s %s', (method, target) => {
    expect(asks(NODE, method, target)).toBe(false);
  });

  it('is somebody only by name and group together', () => {
    expect(asks({ name: 'system:node:n1', groups: [] }, 'GET', '/api/v1/nodes/n1')).toBe(false);
    expect(asks({ name: 'system:node', groups: ['system:nodes'] }, 'GET', '/api/v1/nodes/n1')).toBe(false);
  });
});

it('the deployment’s node token is good for becoming a node and nothing else', () => {
  expect(asks(BOOTSTRAP, 'POST', '/auth/node-credentials')).toBe(true);
  for (const [method, target] of [['GET', '/auth/node-credentials'], ['GET', '/api/v1/nodes/n1'], ['POST', '/api/v1/nodes'], ['PUT', `${LEASES}/n1`], ['GET', MACHINES]] as const) {
    expect([target, asks(BOOTSTRAP, method, target)]).toEqual([target, false]);
  }
});
