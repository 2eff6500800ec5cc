import { clusterRoleBindings, clusterRoles, RBAC_GROUP, type ClusterRole, type KindDefinition, type PolicyRule, type RoleRef, type Subject } from '@corral/contracts';

/** A role or binding that exists from the first start. */
export interface BootstrapObject {
  readonly kind: KindDefinition;
  readonly object: {
    readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>>; readonly annotations: Readonly<Record<string, string>> };
    readonly rules?: readonly PolicyRule[];
    readonly aggregationRule?: NonNullable<ClusterRole['aggregationRule']>;
    readonly roleRef?: RoleRef;
    readonly subjects?: readonly Subject[];
  };
}

/** Set to "false", it keeps a role as its owner left it. Source: k8s.io/api/rbac/v1, AutoUpdateAnnotationKey. */
export const AUTOUPDATE = `rbac.authorization.kubernetes.io/autoupdate`;
const BOOTSTRAPPING = { 'kubernetes.io/bootstrapping': 'rbac-defaults' };
const aggregateTo = (role: string) => ({ [`${RBAC_GROUP}/aggregate-to-${role}`]: 'true' });

const READ = ['get', 'list', 'watch'];
const WRITE = ['create', 'delete', 'deletecollection', 'patch', 'update'];
const on = (apiGroup: string, resources: string[], verbs: string[]): PolicyRule => ({ apiGroups: [apiGroup], resources, verbs });
const paths = (...nonResourceURLs: string[]): PolicyRule => ({ nonResourceURLs, verbs: ['get'] });

const metadata = (name: string, labels: Readonly<Record<string, string>>) => ({ name, labels: { ...BOOTSTRAPPING, ...labels }, annotations: { [AUTOUPDATE]: 'true' } });
const role = (name: string, rules: readonly PolicyRule[], labels = {}): BootstrapObject => ({ kind: clusterRoles, object: { metadata: metadata(name, labels), rules } });
const gathering = (name: string, labels = {}): BootstrapObject => ({
  kind: clusterRoles,
  object: { metadata: metadata(name, labels), aggregationRule: { clusterRoleSelectors: [{ matchLabels: aggregateTo(name) }] }, rules: [] },
});
const binding = (name: string, ...groups: string[]): BootstrapObject => ({
  kind: clusterRoleBindings,
  object: {
    metadata: metadata(name, {}),
    roleRef: { apiGroup: RBAC_GROUP, kind: clusterRoles.kind, name },
    subjects: groups.map((group) => ({ kind: 'Group', apiGroup: RBAC_GROUP, name: group })),
  },
});

const CORRAL = 'corral.dev';
/** What is typed into a machine, read from its disk, or shown to whoever holds its console. */
const INSIDE = ['exec', 'serial', 'display', 'vnc', 'files', 'input', 'tickets'].map((name) => `virtualmachines/${name}`);
const MACHINES = ['virtualmachines', 'virtualmachinesnapshots', 'virtualmachinepools'];
const STATUSES = MACHINES.map((resource) => `${resource}/status`);

/** Kubernetes's own roles as far as there are such resources here. Source: k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac/bootstrappolicy. */
export const BOOTSTRAP_OBJECTS: readonly BootstrapObject[] = [
  role('cluster-admin', [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }, { nonResourceURLs: ['*'], verbs: ['*'] }]),
  role('system:discovery', [paths('/api', '/api/*', '/apis', '/apis/*', '/healthz', '/livez', '/openapi', '/openapi/*', '/readyz', '/version', '/version/')]),
  role('system:public-info-viewer', [paths('/healthz', '/livez', '/readyz', '/version', '/version/')]),
  role('system:basic-user', [
    on('authorization.k8s.io', ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'], ['create']),
    on('authentication.k8s.io', ['selfsubjectreviews'], ['create']),
  ]),
  // What everybody may choose from; none of it belongs to a tenant.
  role('system:catalog-viewer', [on(CORRAL, ['virtualmachineimages'], READ), on('scheduling.k8s.io', ['priorityclasses'], READ)]),
  // For whoever looks after the whole cluster's audit log; bind it where it is wanted.
  role('system:auditor', [on('audit.corral.dev', ['auditevents'], ['get', 'list'])]),
  role('system:auth-delegator', [on('authentication.k8s.io', ['tokenreviews'], ['create']), on('authorization.k8s.io', ['subjectaccessreviews'], ['create'])]),
  role('system:monitoring', [paths('/healthz', '/healthz/*', '/livez', '/livez/*', '/metrics', '/readyz', '/readyz/*')]),

  gathering('admin'),
  gathering('edit', aggregateTo('admin')),
  gathering('view', aggregateTo('edit')),
  role('system:aggregate-to-admin', [
    on('authorization.k8s.io', ['localsubjectaccessreviews'], ['create']),
    on(RBAC_GROUP, ['rolebindings', 'roles'], [...READ, ...WRITE]),
    // What was done in their namespace, and by whom.
    on('audit.corral.dev', ['auditevents'], ['get', 'list']),
  ], aggregateTo('admin')),
  role('system:aggregate-to-edit', [
    on(CORRAL, MACHINES, WRITE),
    // A key is good for no more than its maker is.
    on(CORRAL, ['apikeys'], [...READ, ...WRITE]),
    on(CORRAL, INSIDE, ['create', 'delete', 'get', 'update']),
    on(CORRAL, ['virtualmachines/fork', 'virtualmachines/hibernate', 'virtualmachines/wake'], ['create']),
    // Machines as kubectl's own verbs see them.
    on('', ['pods/attach', 'pods/exec', 'pods/portforward'], ['create', 'get']),
    on('', ['pods/eviction'], ['create']),
    on('', ['pods'], ['delete', 'deletecollection']),
    on('', ['secrets'], [...READ, ...WRITE]),
    on('', ['serviceaccounts'], [...WRITE, 'impersonate']),
    on('', ['serviceaccounts/token'], ['create']),
    on('', ['events'], WRITE),
    on('policy', ['poddisruptionbudgets'], WRITE),
    on('coordination.k8s.io', ['leases'], [...READ, ...WRITE]),
  ], aggregateTo('edit')),
  role('system:aggregate-to-view', [
    on(CORRAL, [...MACHINES, ...STATUSES, 'virtualmachines/screenshot', 'virtualmachinesnapshots/screenshot'], READ),
    on('', ['events', 'limitranges', 'namespaces', 'namespaces/status', 'pods', 'pods/log', 'pods/status', 'resourcequotas', 'resourcequotas/status', 'serviceaccounts'], READ),
    on('policy', ['poddisruptionbudgets', 'poddisruptionbudgets/status'], READ),
    on('metrics.k8s.io', ['pods'], READ),
  ], aggregateTo('view')),

  binding('cluster-admin', 'system:masters'),
  binding('system:discovery', 'system:authenticated'),
  binding('system:public-info-viewer', 'system:authenticated', 'system:unauthenticated'),
  binding('system:basic-user', 'system:authenticated'),
  binding('system:catalog-viewer', 'system:authenticated'),
  binding('system:monitoring', 'system:monitoring'),
];
