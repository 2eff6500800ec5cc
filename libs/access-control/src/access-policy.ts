import type { Change, RequestAttributes } from '@corral/api-machinery';
import {
  asBinding, asClusterRole, clusterRoleBindings, clusterRoles, qualifiedResource, roleBindings, roles, selectsLabels, serviceAccountUserName,
  type ClusterRole, type KubeObject, type PolicyRule, type RoleRef, type Subject,
} from '@corral/contracts';
import { rulesAllow } from './policy-rule.ts';

/** Whom rules are about. */
export interface Principal {
  readonly name: string;
  readonly groups: readonly string[];
}

export type Decision = { readonly isAllowed: false } | { readonly isAllowed: true; readonly reason: string };

/** One subject's share of a binding. */
interface Grant {
  readonly binding: string;
  /** Of the binding; empty for one that holds everywhere. */
  readonly namespace: string;
  readonly roleRef: RoleRef;
  readonly subject: string;
}

/** What one user or group was granted. */
class Grants {
  readonly everywhere = new Map<string, Grant>();
  readonly inNamespaces = new Map<string, Map<string, Grant>>();

  in(namespace: string): Iterable<Grant> {
    return this.inNamespaces.get(namespace)?.values() ?? [];
  }

  add(grant: Grant): void {
    if (grant.namespace === '') this.everywhere.set(grant.binding, grant);
    else this.inNamespaces.set(grant.namespace, (this.inNamespaces.get(grant.namespace) ?? new Map<string, Grant>()).set(grant.binding, grant));
  }

  remove({ namespace, binding }: Grant): void {
    if (namespace === '') this.everywhere.delete(binding);
    const held = this.inNamespaces.get(namespace);
    held?.delete(binding);
    if (held?.size === 0) this.inNamespaces.delete(namespace);
  }

  get isEmpty(): boolean {
    return this.everywhere.size === 0 && this.inNamespaces.size === 0;
  }
}

const NOT_ALLOWED: Decision = { isAllowed: false };
const [ROLES, ROLE_BINDINGS, CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS] = [roles, roleBindings, clusterRoles, clusterRoleBindings].map(qualifiedResource);
const [USER, GROUP] = ['User', 'Group'];

/**
 * Every role and binding, indexed by whom they are about: `allows` costs what the caller's own bindings cost, however many
 * others there are. Source: k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac.
 */
export class AccessPolicy {
  readonly #roles = new Map<string, readonly PolicyRule[]>();
  readonly #clusterRoles = new Map<string, ClusterRole>();
  /** Rules of aggregated ClusterRoles, as far as they were asked for since a ClusterRole changed. */
  readonly #aggregated = new Map<string, readonly PolicyRule[]>();
  readonly #users = new Map<string, Grants>();
  readonly #groups = new Map<string, Grants>();

  /** Takes in what was written; objects of other kinds are nothing to it. */
  apply({ type, resource, object, previous }: Pick<Change, 'type' | 'resource' | 'object' | 'previous'>): void {
    const next = type === 'DELETED' ? undefined : object;
    const last = previous ?? (type === 'DELETED' ? object : undefined);
    switch (resource) {
      case ROLES:
        return void (next ? this.#roles.set(roleKey(object.metadata), asClusterRole(next).rules) : this.#roles.delete(roleKey(object.metadata)));
      case CLUSTER_ROLES:
        this.#aggregated.clear();
        return void (next ? this.#clusterRoles.set(object.metadata.name, asClusterRole(next)) : this.#clusterRoles.delete(object.metadata.name));
      case ROLE_BINDINGS:
      case CLUSTER_ROLE_BINDINGS:
        if (last) for (const [grants, name, grant] of this.#grantsOf(last)) removeGrant(grants, name, grant);
        if (next) for (const [grants, name, grant] of this.#grantsOf(next)) addGrant(grants, name, grant);
    }
  }

  allows(principal: Principal, attributes: RequestAttributes): Decision {
    const namespace = attributes.isResource ? attributes.namespace : '';
    for (const grant of this.#grants(principal, namespace)) {
      const rules = this.rulesOf(grant.roleRef, grant.namespace);
      if (rules && rulesAllow(rules, attributes)) return { isAllowed: true, reason: reasonOf(grant) };
    }
    return NOT_ALLOWED;
  }

  /** Everything somebody may do in a namespace; with an empty one, what they may do everywhere. */
  rulesFor(principal: Principal, namespace: string): PolicyRule[] {
    return [...this.#grants(principal, namespace)].flatMap(({ roleRef, namespace: bound }) => this.rulesOf(roleRef, bound) ?? []);
  }

  /** The namespaces in which somebody was granted anything by a RoleBinding. */
  namespacesOf({ name, groups }: Principal): string[] {
    const held = [this.#users.get(name), ...groups.map((group) => this.#groups.get(group))];
    return [...new Set(held.flatMap((grants) => [...(grants?.inNamespaces.keys() ?? [])]))].sort();
  }

  /** The rules of a role; `namespace` is where a Role is looked for. Undefined when there is none. */
  rulesOf({ kind, name }: RoleRef, namespace: string): readonly PolicyRule[] | undefined {
    if (kind === roles.kind) return this.#roles.get(roleKey({ namespace, name }));
    const role = this.#clusterRoles.get(name);
    if (!role?.aggregationRule) return role?.rules;
    const known = this.#aggregated.get(name) ?? aggregatedRules(role, this.#clusterRoles.values());
    this.#aggregated.set(name, known);
    return known;
  }

  *#grants({ name, groups }: Principal, namespace: string): Iterable<Grant> {
    const own = this.#users.get(name);
    if (own) yield* own.everywhere.values();
    for (const group of groups) {
      const shared = this.#groups.get(group);
      if (shared) yield* shared.everywhere.values();
    }
    if (namespace === '') return;
    if (own) yield* own.in(namespace);
    for (const group of groups) {
      const shared = this.#groups.get(group);
      if (shared) yield* shared.in(namespace);
    }
  }

  #grantsOf(object: KubeObject): (readonly [Map<string, Grants>, string, Grant])[] {
    const { metadata, roleRef, subjects = [] } = asBinding(object);
    const namespace = metadata.namespace ?? '';
    return subjects.map((subject) => {
      const grant = { binding: metadata.name, namespace, roleRef, subject: `${subject.kind} "${subjectName(subject, namespace)}"` };
      if (subject.kind === GROUP) return [this.#groups, subject.name, grant];
      return [this.#users, subject.kind === USER ? subject.name : serviceAccountUserName(subject.namespace || namespace, subject.name), grant];
    });
  }
}

/** The rules of every other ClusterRole that an aggregated one selects, in order of their names. Aggregated ones may feed each other. */
export function aggregatedRules(role: ClusterRole, all: Iterable<ClusterRole>): PolicyRule[] {
  const others = [...all].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  const found = new Map<string, ClusterRole>();
  const waiting = [role];
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const selectors = next.aggregationRule?.clusterRoleSelectors ?? [];
    for (const other of others) {
      const { name, labels } = other.metadata;
      if (found.has(name) || !selectors.some((selector) => selectsLabels(selector, labels))) continue;
      found.set(name, other);
      if (other.aggregationRule) waiting.push(other);
    }
  }
  const rules = others.filter(({ metadata, aggregationRule }) => found.has(metadata.name) && !aggregationRule).flatMap((other) => other.rules);
  return [...new Map(rules.map((rule) => [JSON.stringify(rule), rule])).values()];
}

function addGrant(all: Map<string, Grants>, name: string, grant: Grant): void {
  const grants = all.get(name) ?? new Grants();
  grants.add(grant);
  all.set(name, grants);
}

function removeGrant(all: Map<string, Grants>, name: string, grant: Grant): void {
  const grants = all.get(name);
  grants?.remove(grant);
  if (grants?.isEmpty) all.delete(name);
}

const roleKey = ({ namespace = '', name }: { readonly namespace?: string; readonly name: string }): string => `${namespace}/${name}`;
const subjectName = ({ kind, name, namespace }: Subject, ofBinding: string): string => (kind === USER || kind === GROUP ? name : `${name}/${namespace || ofBinding}`);

/** Source: k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac, clusterRoleBindingDescriber. */
function reasonOf({ binding, namespace, roleRef, subject }: Grant): string {
  const where = namespace === '' ? `ClusterRoleBinding "${binding}"` : `RoleBinding "${binding}/${namespace}"`;
  return `RBAC: allowed by ${where} of ${roleRef.kind} "${roleRef.name}" to ${subject}`;
}
