import type { Change, RequestAttributes } from '@corral/api-machinery';
import {
  asBinding, asClusterRole, clusterRoleBindings, clusterRoles, qualifiedResource, roleBindings, roles, selectsLabels,
  type KindDefinition, type KubeObject, type PolicyRule,
} from '@corral/contracts';
import fc from 'fast-check';
import { AccessPolicy, type Principal } from './access-policy.ts';
import { rulesAllow } from './policy-rule.ts';

type Kind = Pick<KindDefinition, 'kind' | 'plural' | 'group' | 'scope'>;

function anObject(kind: Kind, name: string, namespace: string | undefined, body: object, labels: Record<string, string> = {}): KubeObject {
  const metadata = { name, ...(namespace ? { namespace } : {}), labels, uid: 'u', resourceVersion: '1', generation: 1, creationTimestamp: '2026-01-01T00:00:00Z' };
  return { apiVersion: 'rbac.authorization.k8s.io/v1', kind: kind.kind, metadata, ...body };
}

const added = (kind: Kind, object: KubeObject): Omit<Change, 'resourceVersion'> => ({ type: 'ADDED', resource: qualifiedResource(kind), object, previous: undefined });
const allow = (...verbs: string[]): PolicyRule => ({ verbs, apiGroups: [''], resources: ['pods'] });
const ref = (kind: Kind, name: string) => ({ apiGroup: 'rbac.authorization.k8s.io', kind: kind.kind, name });
const ask = (verb: string, namespace: string): RequestAttributes => ({ isResource: true, verb, group: '', version: 'v1', resource: 'pods', subresource: '', namespace, name: '' });
const ann: Principal = { name: 'ann', groups: ['devs'] };

function policyOf(...changes: Omit<Change, 'resourceVersion'>[]): AccessPolicy {
  const policy = new AccessPolicy();
  for (const change of changes) policy.apply(change);
  return policy;
}

describe('an access policy', () => {
  const reader = added(clusterRoles, anObject(clusterRoles, 'reader', undefined, { rules: [allow('get')] }));

  it('allows nothing to nobody', () => {
    expect(policyOf(reader).allows(ann, ask('get', 'a')).isAllowed).toBe(false);
  });

  it('holds a ClusterRole in the namespace of a RoleBinding, and nowhere else', () => {
    const policy = policyOf(reader, added(roleBindings, anObject(roleBindings, 'b', 'a', { roleRef: ref(clusterRoles, 'reader'), subjects: [{ kind: 'User', name: 'ann' }] })));
    expect(policy.allows(ann, ask('get', 'a'))).toEqual({ isAllowed: true, reason: 'RBAC: allowed by RoleBinding "b/a" of ClusterRole "reader" to User "ann"' });
    for (const namespace of ['b', '']) expect(policy.allows(ann, ask('get', namespace)).isAllowed).toBe(false);
    expect(policy.namespacesOf(ann)).toEqual(['a']);
  });

  it('holds a ClusterRoleBinding everywhere, through groups too', () => {
    const policy = policyOf(reader, added(clusterRoleBindings, anObject(clusterRoleBindings, 'b', undefined, { roleRef: ref(clusterRoles, 'reader'), subjects: [{ kind: 'Group', name: 'devs' }] })));
    for (const namespace of ['a', '']) expect(policy.allows(ann, ask('get', namespace))).toMatchObject({ isAllowed: true });
    expect(policy.allows({ name: 'devs', groups: [] }, ask('get', 'a')).isAllowed).toBe(false);
    expect(policy.namespacesOf(ann)).toEqual([]);
  });

  it('takes a Role from the namespace of its binding', () => {
    const binding = added(roleBindings, anObject(roleBindings, 'b', 'a', { roleRef: ref(roles, 'r'), subjects: [{ kind: 'User', name: 'ann' }] }));
    const elsewhere = policyOf(added(roles, anObject(roles, 'r', 'b', { rules: [allow('get')] })), binding);
    expect(elsewhere.allows(ann, ask('get', 'a')).isAllowed).toBe(false);
    elsewhere.apply(added(roles, anObject(roles, 'r', 'a', { rules: [allow('get')] })));
    expect(elsewhere.allows(ann, ask('get', 'a')).isAllowed).toBe(true);
  });

  it('knows service accounts by the name they speak in, their namespace that of the binding where none is said', () => {
    const subjects = [{ kind: 'ServiceAccount', name: 'bot' }, { kind: 'ServiceAccount', name: 'bot', namespace: 'ci' }];
    const policy = policyOf(reader, added(roleBindings, anObject(roleBindings, 'b', 'a', { roleRef: ref(clusterRoles, 'reader'), subjects })));
    const asks = ['system:serviceaccount:a:bot', 'system:serviceaccount:ci:bot', 'system:serviceaccount:b:bot', 'bot'];
    expect(asks.map((name) => policy.allows({ name, groups: [] }, ask('get', 'a')).isAllowed)).toEqual([true, true, false, false]);
  });

  it('gathers an aggregated role from what its selectors select, at once when that changes, and never from itself', () => {
    const selecting = (label: string) => ({ aggregationRule: { clusterRoleSelectors: [{ matchLabels: { [label]: 'true' } }] }, rules: [allow('delete')] });
    const policy = policyOf(
      added(clusterRoles, anObject(clusterRoles, 'admin', undefined, selecting('to-admin'), { 'to-admin': 'true', 'to-edit': 'true' })),
      added(clusterRoles, anObject(clusterRoles, 'edit', undefined, selecting('to-edit'), { 'to-admin': 'true' })),
      added(clusterRoles, anObject(clusterRoles, 'reads', undefined, { rules: [allow('get')] }, { 'to-edit': 'true' })),
      added(clusterRoleBindings, anObject(clusterRoleBindings, 'b', undefined, { roleRef: ref(clusterRoles, 'admin'), subjects: [{ kind: 'User', name: 'ann' }] })),
    );
    const allowed = () => ['get', 'delete', 'watch'].filter((verb) => policy.allows(ann, ask(verb, 'a')).isAllowed);
    expect(allowed()).toEqual(['get']);
    policy.apply(added(clusterRoles, anObject(clusterRoles, 'watches', undefined, { rules: [allow('watch')] }, { 'to-edit': 'true' })));
    expect(allowed()).toEqual(['get', 'watch']);
  });
});

const names = fc.constantFrom('x', 'y');
const namespace = fc.constantFrom('a', 'b');
const subject = fc.record({ kind: fc.constantFrom('User', 'Group', 'ServiceAccount'), name: fc.constantFrom('ann', 'devs') });
const label = fc.constantFrom<Record<string, string>[]>({}, { gather: 'x' });
const roleBody = fc.oneof(
  fc.record({ rules: fc.array(fc.constantFrom(allow('get'), allow('list'), allow('*')), { maxLength: 2 }) }),
  fc.constant({ rules: [], aggregationRule: { clusterRoleSelectors: [{ matchLabels: { gather: 'x' } }] } }),
);
const bindingBody = fc.record({ roleRef: fc.tuple(fc.constantFrom(roles, clusterRoles), names).map(([kind, name]) => ref(kind, name)), subjects: fc.array(subject, { maxLength: 2 }) });
const anyObject: fc.Arbitrary<readonly [Kind, KubeObject]> = fc.oneof(
  fc.tuple(names, namespace, roleBody).map(([name, where, { rules }]) => [roles, anObject(roles, name, where, { rules })] as const),
  fc.tuple(names, roleBody, label).map(([name, body, labels]) => [clusterRoles, anObject(clusterRoles, name, undefined, body, labels)] as const),
  fc.tuple(names, namespace, bindingBody).map(([name, where, body]) => [roleBindings, anObject(roleBindings, name, where, body)] as const),
  fc.tuple(names, bindingBody).map(([name, body]) => [clusterRoleBindings, anObject(clusterRoleBindings, name, undefined, body)] as const),
);
const step = fc.record({ object: anyObject, isRemoval: fc.boolean() });

/** The definition of RBAC, read off the objects one by one. */
function allowsByDefinition(state: readonly (readonly [Kind, KubeObject])[], { name, groups }: Principal, attributes: RequestAttributes & { isResource: true }): boolean {
  const find = (kind: Kind, namespace: string | undefined, wanted: string) =>
    state.find(([other, { metadata }]) => other === kind && metadata.name === wanted && (kind.scope === 'Cluster' || metadata.namespace === namespace))?.[1];
  const gathered = (role: KubeObject): PolicyRule[] => {
    const { aggregationRule, rules } = asClusterRole(role);
    if (!aggregationRule) return [...rules];
    const selected = state.filter(([kind, other]) => kind === clusterRoles && other !== role && aggregationRule.clusterRoleSelectors?.some((selector) => selectsLabels(selector, other.metadata.labels)));
    // Two aggregated roles at most, so one step further is all there is.
    return selected.flatMap(([, other]) => (asClusterRole(other).aggregationRule ? [] : asClusterRole(other).rules));
  };
  return state.some(([kind, object]) => {
    if (kind !== roleBindings && kind !== clusterRoleBindings) return false;
    const where = object.metadata.namespace;
    if (where !== undefined && where !== attributes.namespace) return false;
    const { roleRef, subjects = [] } = asBinding(object);
    const isMeant = subjects.some((one) => (one.kind === 'User' ? one.name === name : one.kind === 'Group' ? groups.includes(one.name) : name === `system:serviceaccount:${where ?? ''}:${one.name}`));
    const role = roleRef.kind === 'Role' ? find(roles, where, roleRef.name) : find(clusterRoles, undefined, roleRef.name);
    return isMeant && role !== undefined && rulesAllow(roleRef.kind === 'Role' ? asClusterRole(role).rules : gathered(role), attributes);
  });
}

it('after any writes in any order decides as the definition says of what is there', () => {
  const principals: Principal[] = [ann, { name: 'devs', groups: [] }, { name: 'system:serviceaccount:a:ann', groups: ['ann'] }];
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const policy = new AccessPolicy();
      const state = new Map<string, readonly [Kind, KubeObject]>();
      for (const { object: [kind, object], isRemoval } of steps) {
        const key = `${kind.plural}/${object.metadata.namespace ?? ''}/${object.metadata.name}`;
        const previous = state.get(key)?.[1];
        if (isRemoval && !previous) continue;
        if (isRemoval) state.delete(key);
        else state.set(key, [kind, object]);
        policy.apply({ type: isRemoval ? 'DELETED' : previous ? 'MODIFIED' : 'ADDED', resource: qualifiedResource(kind), object: (isRemoval ? previous : undefined) ?? object, previous });
      }
      for (const principal of principals) {
        for (const [verb, where] of [['get', 'a'], ['list', 'b'], ['list', ''], ['bind', 'a']] as const) {
          const attributes = ask(verb, where) as RequestAttributes & { isResource: true };
          expect(policy.allows(principal, attributes).isAllowed).toBe(allowsByDefinition([...state.values()], principal, attributes));
        }
      }
    }),
    { numRuns: 500 },
  );
});
