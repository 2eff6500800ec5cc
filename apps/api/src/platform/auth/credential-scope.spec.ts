import { requestAttributes } from '@corral/api-machinery';
import { CredentialScope } from '@corral/contracts';
import { isInScope } from './credential-scope.ts';

const may = (scope: object, method: string, target: string): boolean => {
  const url = new URL(target, 'http://localhost');
  return isInScope(CredentialScope.parse({ namespaces: ['team-a'], ...scope }), requestAttributes(method, url.pathname, (name) => url.searchParams.get(name) ?? undefined));
};
const VMS = '/apis/corral.dev/v1/namespaces/team-a/virtualmachines';
const READ = { verbs: ['get', 'list', 'watch'] };

it.each([
  [{}, 'POST', VMS, true],
  [{}, 'GET', '/api/v1/namespaces/team-a', true],
  [{}, 'GET', VMS.replace('team-a', 'team-b'), false],
  // All namespaces at once, and what is in none.
  [{}, 'GET', '/apis/corral.dev/v1/virtualmachines', false],
  [{}, 'GET', '/api/v1/nodes', false],
  [{ namespaces: ['*'] }, 'GET', '/api/v1/nodes', true],
  [READ, 'GET', `${VMS}?watch=true`, true],
  [READ, 'DELETE', `${VMS}/x`, false],
  [READ, 'PATCH', `${VMS}/x/status`, false],
  [{ resources: ['virtualmachines'] }, 'GET', `${VMS}/x`, true],
  [{ resources: ['virtualmachines'] }, 'POST', `${VMS}/x/exec`, false],
  [{ resources: ['virtualmachines/exec'] }, 'POST', `${VMS}/x/exec`, true],
  [{ resources: ['virtualmachines/*'] }, 'GET', `${VMS}/x/serial`, true],
  [{ resources: ['virtualmachines/*'] }, 'GET', `${VMS}/x`, false],
  [{ resources: ['virtualmachines'] }, 'GET', '/api/v1/namespaces/team-a/secrets', false],
  // Discovery and questions about oneself are for whoever signed in.
  [READ, 'GET', '/apis/corral.dev/v1', true],
  [READ, 'POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', true],
  [{}, 'GET', '/metrics', false],
  [{ namespaces: ['*'] }, 'GET', '/metrics', true],
  [{ namespaces: ['*'], verbs: ['get'] }, 'POST', '/admin/forget', false],
  [{ namespaces: ['*'], resources: ['nodes'] }, 'GET', '/metrics', false],
  // Not even the widest scope makes a credential without one.
  [{ namespaces: ['*'] }, 'POST', '/apis/corral.dev/v1/namespaces/team-a/apikeys', false],
  [{ namespaces: ['*'] }, 'POST', '/api/v1/namespaces/team-a/serviceaccounts/default/token', false],
  [{ namespaces: ['*'] }, 'DELETE', '/apis/corral.dev/v1/namespaces/team-a/apikeys/x', true],
])('scope %j: %s %s → %s', (scope, method, target, expected) => {
  expect(may(scope, method, target)).toBe(expected);
});
