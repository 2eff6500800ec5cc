import { compactRules, describeRule, FULL_AUTHORITY, missingRights, quoteAll, smallestRights } from '@corral/access-control';
import { objectNotFound, sameJson, type RequestAttributes } from '@corral/api-machinery';
import {
  asBinding, asClusterRole, clusterRoleBindings, clusterRoles, Problem, qualifiedResource, RBAC_GROUP, roleBindings, roles,
  type KindDefinition, type KubeObject, type PolicyRule,
} from '@corral/contracts';
import { Inject, Injectable } from '@nestjs/common';
import { Authorizer } from '../../platform/auth/authorization.ts';
import { PolicyCopy } from '../../platform/auth/policy-copy.ts';
import { isInScope } from '../../platform/auth/credential-scope.ts';
import { ADMIN_GROUP, type Actor } from '../../platform/auth/user.ts';
import { Admission } from '../../platform/objects/admission.ts';

/**
 * Nobody gives rights away that they do not have. Source: k8s.io/kubernetes/pkg/registry/rbac, policybased storages;
 * docs "Privilege escalation prevention and bootstrapping".
 */
@Injectable()
export class RoleAdmission {
  constructor(
    @Inject(Admission) admission: Admission,
    @Inject(Authorizer) private readonly authorizer: Authorizer,
    @Inject(PolicyCopy) private readonly copy: PolicyCopy,
  ) {
    for (const kind of [roles, clusterRoles]) {
      admission.check(kind, async (role, previous, { user }) => this.#guard(role, previous, user, () => this.#checkRole(kind, role, previous, user)));
    }
    for (const kind of [roleBindings, clusterRoleBindings]) {
      admission.check(kind, async (binding, previous, { user }) => this.#guard(binding, previous, user, () => this.#checkBinding(kind, binding, user)));
    }
  }

  /** What only finishes a deletion gives nothing to anybody. */
  #guard(object: KubeObject, previous: KubeObject | undefined, user: Actor, check: () => void): [] {
    const isHousekeeping = previous !== undefined && sameJson(withoutOwnership(object), withoutOwnership(previous));
    if (!isHousekeeping && !(user.groups.includes(ADMIN_GROUP) && user.credential?.scope === undefined)) check();
    return [];
  }

  #checkRole(kind: KindDefinition, object: KubeObject, previous: KubeObject | undefined, user: Actor): void {
    if (this.#may('escalate', kind, object.metadata.name, object.metadata.namespace, user)) return;
    const role = asClusterRole(object);
    this.#requireRights(kind, object, role.rules ?? [], user);
    if (!role.aggregationRule && !(previous && asClusterRole(previous).aggregationRule)) return;
    // It gathers whatever will be labelled so, and whoever takes it away may loosen what others tightened.
    const missing = missingRights(this.authorizer.rulesFor(user, ''), FULL_AUTHORITY);
    if (missing.length > 0) throw refused(kind, object, 'must have cluster-admin privileges to use the aggregationRule');
  }

  #checkBinding(kind: KindDefinition, object: KubeObject, user: Actor): void {
    const { metadata, roleRef } = asBinding(object);
    // What is wrong with it is said elsewhere.
    if (!roleRef?.name || (roleRef.kind !== roles.kind && roleRef.kind !== clusterRoles.kind)) return;
    const bound = roleRef.kind === roles.kind ? roles : clusterRoles;
    if (this.#may('bind', bound, roleRef.name, metadata.namespace, user)) return;
    const rules = this.copy.policy.rulesOf(roleRef, metadata.namespace ?? '');
    if (!rules) throw objectNotFound(bound, roleRef.name);
    this.#requireRights(kind, object, rules, user);
  }

  #may(verb: string, kind: KindDefinition, name: string, namespace: string | undefined, user: Actor): boolean {
    const attributes: RequestAttributes = { isResource: true, verb, group: RBAC_GROUP, version: kind.version, resource: kind.plural, subresource: '', namespace: namespace ?? '', name };
    return this.authorizer.decide(user, attributes).isAllowed;
  }

  #requireRights(kind: KindDefinition, object: KubeObject, wanted: readonly PolicyRule[], user: Actor): void {
    const namespace = object.metadata.namespace ?? '';
    const missing = [...missingRights(this.authorizer.rulesFor(user, namespace), wanted), ...outOfScope(user, namespace, wanted)];
    if (missing.length === 0) return;
    const described = [...new Set(compactRules(missing).map(describeRule))].sort().join('\n');
    throw refused(kind, object, `user ${JSON.stringify(user.name)} (groups=${quoteAll(user.groups)}) is attempting to grant RBAC permissions not currently held:\n${described}`);
  }
}

/** What a credential is not good for cannot be had through a role either. */
function outOfScope({ credential }: Actor, namespace: string, wanted: readonly PolicyRule[]): PolicyRule[] {
  const scope = credential?.scope;
  return scope ? smallestRights(wanted).filter((right) => !isInScope(scope, attributesOf(right, namespace))) : [];
}

function attributesOf({ verbs: [verb = ''], apiGroups = [], resources = [], resourceNames = [], nonResourceURLs: [path] = [] }: PolicyRule, namespace: string): RequestAttributes {
  if (path !== undefined) return { isResource: false, verb, path };
  const [resource = '', subresource = ''] = (resources[0] ?? '').split('/', 2);
  return { isResource: true, verb, group: apiGroups[0] ?? '', version: '', resource, subresource, namespace, name: resourceNames[0] ?? '' };
}

function refused(kind: KindDefinition, { metadata: { name } }: KubeObject, why: string): Problem {
  return new Problem('request.forbidden', `${qualifiedResource(kind)} "${name}" is forbidden: ${why}`, { details: { ...(name ? { name } : {}), group: kind.group, kind: kind.plural } });
}

function withoutOwnership(object: KubeObject): unknown {
  const { finalizers: _finalizers, ownerReferences: _owners, managedFields: _managed, ...metadata } = object.metadata;
  return { ...object, metadata };
}
