import type { KindDefinition } from '../kind.ts';
import type { KubeObject } from '../metadata.ts';
import { clusterRoleBindings, clusterRoles, roleBindings, roles } from './access-control.ts';
import { selectsLabels, type LabelSelector } from './label-selector.ts';

const metadata = { name: 'x', uid: 'u', resourceVersion: '1', generation: 1, creationTimestamp: '2026-01-02T03:04:05Z' };
const object = (body: object): KubeObject => ({ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'X', metadata, ...body });

/** The bad fields of an object, with what is wrong with each. */
function problems(kind: Pick<KindDefinition, 'validate'>, body: object, previous?: object): string[] {
  const found = kind.validate?.(object(body), previous && object(previous)) ?? [];
  return found.map(({ field, reason }) => `${field} ${reason}`);
}

const READ = { verbs: ['get'], apiGroups: [''], resources: ['pods'] };

it.each<[string, object, string[]]>([
  ['whole', READ, []],
  ['without verbs', { ...READ, verbs: [] }, ['rules[0].verbs FieldValueRequired']],
  ['of nothing', { verbs: ['get'] }, ['rules[0].apiGroups FieldValueRequired', 'rules[0].resources FieldValueRequired']],
  ['of paths', { verbs: ['get'], nonResourceURLs: ['/metrics'] }, []],
  ['of paths and resources', { ...READ, nonResourceURLs: ['/metrics'] }, ['rules[0].nonResourceURLs FieldValueInvalid']],
])('a rule of a ClusterRole that is %s', (_title, rule, expected) => {
  expect(problems(clusterRoles, { rules: [rule] })).toEqual(expected);
});

it('a Role has no rules of paths', () => {
  expect(problems(roles, { rules: [{ verbs: ['get'], nonResourceURLs: ['/metrics'] }] })).toEqual(['rules[0].nonResourceURLs FieldValueInvalid']);
});

it('an aggregation rule selects by something, and by what labels can be', () => {
  const aggregated = (...clusterRoleSelectors: LabelSelector[]) => ({ rules: [], aggregationRule: { clusterRoleSelectors } });
  expect(problems(clusterRoles, aggregated({ matchLabels: { 'corral.dev/to-view': 'true' } }))).toEqual([]);
  expect(problems(clusterRoles, aggregated())).toEqual(['aggregationRule.clusterRoleSelectors FieldValueRequired']);
  expect(problems(clusterRoles, aggregated({ matchExpressions: [{ key: 'a', operator: 'In' }] }))).toEqual([
    'aggregationRule.clusterRoleSelectors[0].matchExpressions[0].values FieldValueRequired',
  ]);
});

const VIEW = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' };

it.each<[string, object, string[]]>([
  ['nobody', { roleRef: VIEW }, []],
  ['everybody', { roleRef: VIEW, subjects: [{ kind: 'User', name: 'u' }, { kind: 'Group', name: 'g' }, { kind: 'ServiceAccount', name: 's' }] }, []],
  ['somebody unheard of', { roleRef: VIEW, subjects: [{ kind: 'Robot', name: 'r' }] }, ['subjects[0].kind FieldValueNotSupported']],
  ['a user of another group', { roleRef: VIEW, subjects: [{ kind: 'User', apiGroup: 'x', name: 'u' }] }, ['subjects[0].apiGroup FieldValueNotSupported']],
  ['nobody by name', { roleRef: VIEW, subjects: [{ kind: 'Group', name: '' }] }, ['subjects[0].name FieldValueRequired']],
  ['nothing', { roleRef: { ...VIEW, name: '' } }, ['roleRef.name FieldValueRequired']],
  ['a name with a slash', { roleRef: { ...VIEW, name: 'a/b' } }, ['roleRef.name FieldValueInvalid']],
  ['no role', { roleRef: { ...VIEW, kind: 'Pod' } }, ['roleRef.kind FieldValueNotSupported']],
])('a RoleBinding of %s', (_title, body, expected) => {
  expect(problems(roleBindings, body)).toEqual(expected);
});

it('a ClusterRoleBinding binds ClusterRoles, and service accounts of some namespace', () => {
  expect(problems(clusterRoleBindings, { roleRef: { ...VIEW, kind: 'Role' }, subjects: [{ kind: 'ServiceAccount', name: 's' }] })).toEqual([
    'roleRef.kind FieldValueNotSupported',
    'subjects[0].namespace FieldValueRequired',
  ]);
});

it('the role of a binding never changes', () => {
  expect(problems(roleBindings, { roleRef: { ...VIEW, name: 'edit' } }, { roleRef: VIEW })).toEqual(['roleRef FieldValueInvalid']);
  expect(problems(roleBindings, { roleRef: { ...VIEW, apiGroup: '' }, subjects: [{ kind: 'User', name: 'u' }] }, { roleRef: VIEW })).toEqual([]);
});

it.each<[LabelSelector, Record<string, string>, boolean]>([
  [{}, {}, true],
  [{ matchLabels: { a: '1' } }, { a: '1', b: '2' }, true],
  [{ matchLabels: { a: '1' } }, { a: '2' }, false],
  [{ matchLabels: { toString: '1' } }, {}, false],
  [{ matchExpressions: [{ key: 'a', operator: 'NotIn', values: ['1'] }] }, {}, true],
  [{ matchExpressions: [{ key: 'a', operator: 'Exists' }, { key: 'b', operator: 'DoesNotExist' }] }, { a: '' }, true],
  [{ matchExpressions: [{ key: 'a', operator: 'In', values: ['1', '2'] }] }, { a: '3' }, false],
])('the selector %j on %j: %s', (selector, labels, expected) => {
  expect(selectsLabels(selector, labels)).toBe(expected);
});
