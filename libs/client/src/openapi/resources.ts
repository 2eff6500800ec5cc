// Written by `npm run client` from the OpenAPI document; edit the schemas of libs/contracts instead.
import type { Resource } from '../resource.ts';
import type { components } from './schemas.ts';

export type Namespace = components['schemas']['io.k8s.api.core.v1.Namespace'];
export type Node = components['schemas']['io.k8s.api.core.v1.Node'];
export type Event = components['schemas']['io.k8s.api.core.v1.Event'];
export type Lease = components['schemas']['io.k8s.api.coordination.v1.Lease'];
export type ServiceAccount = components['schemas']['io.k8s.api.core.v1.ServiceAccount'];
export type Secret = components['schemas']['io.k8s.api.core.v1.Secret'];
export type APIKey = components['schemas']['dev.corral.v1.APIKey'];
export type ResourceQuota = components['schemas']['io.k8s.api.core.v1.ResourceQuota'];
export type LimitRange = components['schemas']['io.k8s.api.core.v1.LimitRange'];
export type Role = components['schemas']['io.k8s.api.rbac.v1.Role'];
export type RoleBinding = components['schemas']['io.k8s.api.rbac.v1.RoleBinding'];
export type ClusterRole = components['schemas']['io.k8s.api.rbac.v1.ClusterRole'];
export type ClusterRoleBinding = components['schemas']['io.k8s.api.rbac.v1.ClusterRoleBinding'];
export type PriorityClass = components['schemas']['io.k8s.api.scheduling.v1.PriorityClass'];
export type VirtualMachine = components['schemas']['dev.corral.v1.VirtualMachine'];
export type VirtualMachineSnapshot = components['schemas']['dev.corral.v1.VirtualMachineSnapshot'];
export type VirtualMachineImage = components['schemas']['dev.corral.v1.VirtualMachineImage'];

export const namespaces: Resource<Namespace> = { group: '', version: 'v1', kind: 'Namespace', plural: 'namespaces', scope: 'Cluster', hasStatus: true };
export const nodes: Resource<Node> = { group: '', version: 'v1', kind: 'Node', plural: 'nodes', scope: 'Cluster', hasStatus: true };
export const events: Resource<Event> = { group: '', version: 'v1', kind: 'Event', plural: 'events', scope: 'Namespaced', hasStatus: false };
export const leases: Resource<Lease> = { group: 'coordination.k8s.io', version: 'v1', kind: 'Lease', plural: 'leases', scope: 'Namespaced', hasStatus: false };
export const serviceAccounts: Resource<ServiceAccount> = { group: '', version: 'v1', kind: 'ServiceAccount', plural: 'serviceaccounts', scope: 'Namespaced', hasStatus: false };
export const secrets: Resource<Secret> = { group: '', version: 'v1', kind: 'Secret', plural: 'secrets', scope: 'Namespaced', hasStatus: false };
export const apiKeys: Resource<APIKey> = { group: 'corral.dev', version: 'v1', kind: 'APIKey', plural: 'apikeys', scope: 'Namespaced', hasStatus: true };
export const resourceQuotas: Resource<ResourceQuota> = { group: '', version: 'v1', kind: 'ResourceQuota', plural: 'resourcequotas', scope: 'Namespaced', hasStatus: true };
export const limitRanges: Resource<LimitRange> = { group: '', version: 'v1', kind: 'LimitRange', plural: 'limitranges', scope: 'Namespaced', hasStatus: false };
export const roles: Resource<Role> = { group: 'rbac.authorization.k8s.io', version: 'v1', kind: 'Role', plural: 'roles', scope: 'Namespaced', hasStatus: false };
export const roleBindings: Resource<RoleBinding> = { group: 'rbac.authorization.k8s.io', version: 'v1', kind: 'RoleBinding', plural: 'rolebindings', scope: 'Namespaced', hasStatus: false };
export const clusterRoles: Resource<ClusterRole> = { group: 'rbac.authorization.k8s.io', version: 'v1', kind: 'ClusterRole', plural: 'clusterroles', scope: 'Cluster', hasStatus: false };
export const clusterRoleBindings: Resource<ClusterRoleBinding> = { group: 'rbac.authorization.k8s.io', version: 'v1', kind: 'ClusterRoleBinding', plural: 'clusterrolebindings', scope: 'Cluster', hasStatus: false };
export const priorityClasses: Resource<PriorityClass> = { group: 'scheduling.k8s.io', version: 'v1', kind: 'PriorityClass', plural: 'priorityclasses', scope: 'Cluster', hasStatus: false };
export const virtualMachines: Resource<VirtualMachine> = { group: 'corral.dev', version: 'v1', kind: 'VirtualMachine', plural: 'virtualmachines', scope: 'Namespaced', hasStatus: true };
export const virtualMachineSnapshots: Resource<VirtualMachineSnapshot> = { group: 'corral.dev', version: 'v1', kind: 'VirtualMachineSnapshot', plural: 'virtualmachinesnapshots', scope: 'Namespaced', hasStatus: true };
export const virtualMachineImages: Resource<VirtualMachineImage> = { group: 'corral.dev', version: 'v1', kind: 'VirtualMachineImage', plural: 'virtualmachineimages', scope: 'Cluster', hasStatus: true };
