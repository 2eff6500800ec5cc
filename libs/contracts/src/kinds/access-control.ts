import { z } from 'zod';
import type { KindDefinition, TableColumn } from '../kind.ts';
import type { KubeObject } from '../metadata.ts';
import type { FieldProblem } from '../problems.ts';
import { ageText } from './core.ts';
import { isDnsSubdomain, isPathSegment } from './fields.ts';
import { LabelSelector, labelSelectorProblems } from './label-selector.ts';

/** Roles and who has them. Sources: k8s.io/api rbac/v1; k8s.io/kubernetes/pkg/apis/rbac/validation. */
export const RBAC_GROUP = 'rbac.authorization.k8s.io';

export const PolicyRule = z.strictObject({
  verbs: z.array(z.string()).describe('What may be done: get, list, watch, create, update, patch, delete, deletecollection, or "*" for everything.'),
  apiGroups: z.array(z.string()).optional().describe('Groups of the resources; "" is the core group, "*" any.'),
  resources: z.array(z.string()).optional().describe('Resources by their plural; a subresource is "virtualmachines/exec", "*/status" that of every resource, "*" everything.'),
  resourceNames: z.array(z.string()).optional().describe('Only objects with these names; empty: all.'),
  nonResourceURLs: z.array(z.string()).optional().describe('Paths that are no resources; "*" at the end stands for any rest. Only in ClusterRoles.'),
});
export type PolicyRule = z.output<typeof PolicyRule>;

export const Subject = z.strictObject({
  kind: z.string().describe('User, Group or ServiceAccount.'),
  apiGroup: z.string().optional().describe('"" for ServiceAccount, rbac.authorization.k8s.io for User and Group.'),
  name: z.string(),
  namespace: z.string().optional().describe('Of a ServiceAccount.'),
});
export type Subject = z.output<typeof Subject>;

export const RoleRef = z.strictObject({
  apiGroup: z.string().default(RBAC_GROUP),
  kind: z.string().describe('Role or ClusterRole.'),
  name: z.string(),
});
export type RoleRef = z.output<typeof RoleRef>;

const RoleBody = z.strictObject({ rules: z.array(PolicyRule).default([]) });
const AggregationRule = z.strictObject({
  clusterRoleSelectors: z.array(LabelSelector).optional().describe('The rules of every ClusterRole that one of these selects are this role’s rules.'),
});
const ClusterRoleBody = RoleBody.extend({ aggregationRule: AggregationRule.optional() });
const BindingBody = z.strictObject({ subjects: z.array(Subject).optional(), roleRef: RoleRef });

export type Role = KubeObject & z.output<typeof RoleBody>;
export type ClusterRole = KubeObject & z.output<typeof ClusterRoleBody>;
export type RoleBinding = KubeObject & z.output<typeof BindingBody>;
export type ClusterRoleBinding = RoleBinding;

// The machinery knows spec and status only; what else a body has was parsed by the kind's own schema.
export const asClusterRole = (object: KubeObject): ClusterRole => object as ClusterRole;
export const asBinding = (object: KubeObject): RoleBinding => object as RoleBinding;

/** kubectl's columns of roles and bindings. Source: k8s.io/kubernetes/pkg/printers/internalversion. */
const CREATED_AT: TableColumn = { name: 'Created At', type: 'date', description: 'When it was created.', value: ({ metadata }) => metadata.creationTimestamp };

const ofRbac = { group: RBAC_GROUP, version: 'v1', shortNames: [], categories: [], nameRule: 'PathSegment', builtIn: true, selectableFields: {} } as const;

export const roles: KindDefinition = {
  ...ofRbac, kind: 'Role', plural: 'roles', singular: 'role', scope: 'Namespaced',
  body: RoleBody,
  columns: [CREATED_AT],
  hasOwnAge: true,
  validate: (role) => ruleProblems(asClusterRole(role).rules, true),
};

export const clusterRoles: KindDefinition = {
  ...ofRbac, kind: 'ClusterRole', plural: 'clusterroles', singular: 'clusterrole', scope: 'Cluster',
  body: ClusterRoleBody,
  columns: [CREATED_AT],
  hasOwnAge: true,
  validate: (role) => [...ruleProblems(asClusterRole(role).rules, false), ...aggregationProblems(asClusterRole(role))],
};

const BINDING_COLUMNS: readonly TableColumn[] = [
  { name: 'Role', type: 'string', description: 'The role that is bound.', value: (binding) => `${asBinding(binding).roleRef.kind}/${asBinding(binding).roleRef.name}` },
  { name: 'Age', type: 'string', description: 'Time since it was created.', value: ({ metadata }, now) => ageText(metadata.creationTimestamp, now) },
  { name: 'Users', type: 'string', description: 'Users in it.', priority: 1, value: (binding) => namesOf(binding, 'User') },
  { name: 'Groups', type: 'string', description: 'Groups in it.', priority: 1, value: (binding) => namesOf(binding, 'Group') },
  { name: 'ServiceAccounts', type: 'string', description: 'Service accounts in it.', priority: 1, value: (binding) => namesOf(binding, 'ServiceAccount') },
];

function namesOf(binding: KubeObject, kind: Subject['kind']): string {
  const subjects = (asBinding(binding).subjects ?? []).filter((subject) => subject.kind === kind);
  return subjects.map(({ name, namespace }) => (kind === 'ServiceAccount' ? `${namespace ?? binding.metadata.namespace ?? ''}/${name}` : name)).join(', ');
}

export const roleBindings: KindDefinition = {
  ...ofRbac, kind: 'RoleBinding', plural: 'rolebindings', singular: 'rolebinding', scope: 'Namespaced',
  body: BindingBody,
  columns: BINDING_COLUMNS,
  hasOwnAge: true,
  normalize: withGroups,
  validate: (binding, previous) => bindingProblems(asBinding(binding), previous && asBinding(previous), ['Role', 'ClusterRole']),
};

export const clusterRoleBindings: KindDefinition = {
  ...ofRbac, kind: 'ClusterRoleBinding', plural: 'clusterrolebindings', singular: 'clusterrolebinding', scope: 'Cluster',
  body: BindingBody,
  columns: BINDING_COLUMNS,
  hasOwnAge: true,
  normalize: withGroups,
  validate: (binding, previous) => bindingProblems(asBinding(binding), previous && asBinding(previous), ['ClusterRole']),
};

function ruleProblems(rules: readonly PolicyRule[], isNamespaced: boolean): FieldProblem[] {
  return rules.flatMap((rule, index): FieldProblem[] => {
    const field = `rules[${index}]`;
    const { verbs, apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] } = rule;
    const problems: FieldProblem[] = verbs.length > 0 ? [] : [{ field: `${field}.verbs`, reason: 'FieldValueRequired', message: 'verbs must contain at least one value' }];
    if (nonResourceURLs.length > 0) {
      if (isNamespaced) problems.push({ field: `${field}.nonResourceURLs`, reason: 'FieldValueInvalid', message: 'namespaced rules cannot apply to non-resource URLs' });
      if (apiGroups.length + resources.length + resourceNames.length > 0) {
        problems.push({ field: `${field}.nonResourceURLs`, reason: 'FieldValueInvalid', message: 'rules cannot apply to both regular resources and non-resource URLs' });
      }
      return problems;
    }
    if (apiGroups.length === 0) problems.push({ field: `${field}.apiGroups`, reason: 'FieldValueRequired', message: 'resource rules must supply at least one api group' });
    if (resources.length === 0) problems.push({ field: `${field}.resources`, reason: 'FieldValueRequired', message: 'resource rules must supply at least one resource' });
    return problems;
  });
}

function aggregationProblems({ aggregationRule }: ClusterRole): FieldProblem[] {
  if (!aggregationRule) return [];
  const field = 'aggregationRule.clusterRoleSelectors';
  const selectors = aggregationRule.clusterRoleSelectors ?? [];
  if (selectors.length === 0) return [{ field, reason: 'FieldValueRequired', message: 'at least one clusterRoleSelector required if aggregationRule is non-nil' }];
  return selectors.flatMap((selector, index) => labelSelectorProblems(selector, `${field}[${index}]`));
}

/** What a subject's apiGroup is where it is not said. Source: k8s.io/kubernetes/pkg/apis/rbac/v1, SetDefaults_Subject. */
export const defaultSubjectGroup = (kind: string): string => (kind === 'User' || kind === 'Group' ? RBAC_GROUP : '');

/** Groups that go without saying, said. */
function withGroups(object: KubeObject): KubeObject {
  const { roleRef, subjects } = asBinding(object);
  const named = subjects?.map(({ apiGroup, ...subject }) => {
    const group = apiGroup || defaultSubjectGroup(subject.kind);
    return group === '' ? subject : { ...subject, apiGroup: group };
  });
  const binding: RoleBinding = { ...object, roleRef: { ...roleRef, apiGroup: groupOf(roleRef) }, ...(named ? { subjects: named } : {}) };
  return binding;
}

function bindingProblems({ roleRef, subjects = [] }: RoleBinding, previous: RoleBinding | undefined, kinds: readonly string[]): FieldProblem[] {
  return [...roleRefProblems(roleRef, kinds), ...(previous && !isSameRole(roleRef, previous.roleRef) ? [CHANGED_ROLE] : []), ...subjectProblems(subjects, kinds.includes('Role'))];
}

const CHANGED_ROLE: FieldProblem = { field: 'roleRef', reason: 'FieldValueInvalid', message: 'cannot change roleRef' };
const groupOf = ({ apiGroup }: RoleRef): string => apiGroup || RBAC_GROUP;
const isSameRole = (a: RoleRef, b: RoleRef): boolean => groupOf(a) === groupOf(b) && a.kind === b.kind && a.name === b.name;
const supported = (values: readonly string[]): string => `supported values: ${values.map((value) => JSON.stringify(value)).join(', ')}`;

function roleRefProblems(roleRef: RoleRef, kinds: readonly string[]): FieldProblem[] {
  const { kind, name } = roleRef;
  return [
    ...(groupOf(roleRef) === RBAC_GROUP ? [] : [{ field: 'roleRef.apiGroup', reason: 'FieldValueNotSupported' as const, message: supported([RBAC_GROUP]) }]),
    ...(kinds.includes(kind) ? [] : [{ field: 'roleRef.kind', reason: 'FieldValueNotSupported' as const, message: supported(kinds) }]),
    ...(name === '' ? [{ field: 'roleRef.name', reason: 'FieldValueRequired' as const, message: '' }] : []),
    ...(name !== '' && !isPathSegment(name) ? [{ field: 'roleRef.name', reason: 'FieldValueInvalid' as const, message: `may not be "." or "..", nor contain "/" or "%"` }] : []),
  ];
}

function subjectProblems(subjects: readonly Subject[], isNamespaced: boolean): FieldProblem[] {
  return subjects.flatMap(({ kind, apiGroup, name, namespace }, index): FieldProblem[] => {
    const field = `subjects[${index}]`;
    const problems: FieldProblem[] = name === '' ? [{ field: `${field}.name`, reason: 'FieldValueRequired', message: '' }] : [];
    if (!SUBJECT_KINDS.includes(kind)) return [...problems, { field: `${field}.kind`, reason: 'FieldValueNotSupported', message: supported(SUBJECT_KINDS) }];
    const group = defaultSubjectGroup(kind);
    if (apiGroup !== undefined && apiGroup !== '' && apiGroup !== group) problems.push({ field: `${field}.apiGroup`, reason: 'FieldValueNotSupported', message: supported([group]) });
    if (kind !== 'ServiceAccount') return problems;
    if (name !== '' && !isDnsSubdomain(name)) problems.push({ field: `${field}.name`, reason: 'FieldValueInvalid', message: 'must be the name of a service account' });
    if (!isNamespaced && !namespace) problems.push({ field: `${field}.namespace`, reason: 'FieldValueRequired', message: '' });
    return problems;
  });
}
const SUBJECT_KINDS: readonly string[] = ['ServiceAccount', 'User', 'Group'];
