import { requestAttributes } from '@corral/api-machinery';
import type { PolicyRule } from '@corral/contracts';
import { rulesAllow } from './policy-rule.ts';

const VM = '/apis/corral.dev/v1/namespaces/a/virtualmachines';
const vms = (more: Partial<PolicyRule>): PolicyRule => ({ verbs: ['*'], apiGroups: ['corral.dev'], resources: ['virtualmachines'], ...more });
const paths = (...nonResourceURLs: string[]): PolicyRule => ({ verbs: ['get'], nonResourceURLs });

it.each<[PolicyRule, string, string, boolean]>([
  [vms({ verbs: ['get'] }), 'GET', `${VM}/x`, true],
  [vms({ verbs: ['get'] }), 'GET', VM, false],
  [vms({ verbs: ['list'] }), 'GET', VM, true],
  [vms({ verbs: ['list'] }), 'GET', `${VM}?watch=true`, false],
  [vms({}), 'DELETE', VM, true],
  [vms({ apiGroups: [''] }), 'GET', `${VM}/x`, false],
  [vms({ apiGroups: ['*'] }), 'GET', `${VM}/x`, true],
  // A resource is not its subresources, nor the other way round.
  [vms({}), 'POST', `${VM}/x/exec`, false],
  [vms({ resources: ['virtualmachines/exec'] }), 'POST', `${VM}/x/exec`, true],
  [vms({ resources: ['virtualmachines/exec'] }), 'POST', VM, false],
  [vms({ resources: ['*/exec'] }), 'POST', `${VM}/x/exec`, true],
  [vms({ resources: ['*/status'] }), 'POST', `${VM}/x/exec`, false],
  [vms({ resources: ['*/exec'] }), 'GET', `${VM}/x`, false],
  [vms({ resources: ['*/'] }), 'GET', `${VM}/x`, false],
  [vms({ resources: ['virtualmachines/*'] }), 'POST', `${VM}/x/exec`, false],
  [vms({ resources: ['*'] }), 'POST', `${VM}/x/exec`, true],
  // Names: of one object, or of a list that can only show that one.
  [vms({ resourceNames: ['x'] }), 'GET', `${VM}/x`, true],
  [vms({ resourceNames: ['x'] }), 'GET', `${VM}/y`, false],
  [vms({ resourceNames: ['x'] }), 'GET', VM, false],
  [vms({ resourceNames: ['x'] }), 'GET', `${VM}?fieldSelector=metadata.name%3Dx`, true],
  [vms({ resourceNames: ['x'] }), 'GET', `${VM}?watch=1&fieldSelector=metadata.name%3Dx`, true],
  [vms({ resourceNames: ['x'] }), 'GET', `${VM}?fieldSelector=metadata.name!%3Dx`, false],
  [vms({ resourceNames: ['x'] }), 'GET', `${VM}?fieldSelector=spec.nodeName%3Dn,metadata.name%3D%3Dx`, true],
  [vms({ resourceNames: ['x'] }), 'POST', VM, false],
  [vms({ resourceNames: ['x'] }), 'POST', `${VM}?fieldSelector=metadata.name%3Dx`, false],
  [vms({ resourceNames: ['x'] }), 'DELETE', `${VM}?fieldSelector=metadata.name%3Dx`, false],
  [vms({ resources: ['virtualmachines/exec'], resourceNames: ['x'] }), 'POST', `${VM}/x/exec`, true],
  // Paths.
  [paths('/metrics'), 'GET', '/metrics', true],
  [paths('/metrics'), 'GET', '/metrics/x', false],
  [paths('/openapi/*'), 'GET', '/openapi/v3/api/v1', true],
  [paths('/openapi/*'), 'GET', '/openapi', false],
  [paths('*'), 'GET', '/anything', true],
  [paths('/a*c'), 'GET', '/abc', false],
  [paths('*'), 'POST', '/metrics', false],
  [paths('*'), 'GET', VM, false],
  [vms({ resources: ['*'], apiGroups: ['*'] }), 'GET', '/metrics', false],
])('%j, %s %s: %s', (rule, method, target, expected) => {
  const { pathname, searchParams } = new URL(target, 'http://localhost');
  const attributes = requestAttributes(method, pathname, (name) => searchParams.get(name) ?? undefined);
  expect(rulesAllow([rule], attributes)).toBe(expected);
  expect(rulesAllow([], attributes)).toBe(false);
});
