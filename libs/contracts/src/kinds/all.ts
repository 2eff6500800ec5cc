import type { KindDefinition } from '../kind.ts';
import { clusterRoleBindings, clusterRoles, roleBindings, roles } from './access-control.ts';
import { REVIEWS } from './access-review.ts';
import { auditEvents } from './audit-event.ts';
import { apiKeys } from './api-key.ts';
import { events, leases, namespaces, nodes } from './core.ts';
import { pods } from './pod.ts';
import { podDisruptionBudgets } from './pod-disruption-budget.ts';
import { priorityClasses } from './priority-class.ts';
import { secrets } from './secret.ts';
import { serviceAccounts } from './service-account.ts';
import { limitRanges } from './limit-range.ts';
import { resourceQuotas } from './resource-quota.ts';
import { nodeMetrics, podMetrics } from './usage-metrics.ts';
import { virtualMachineImages } from './virtual-machine-image.ts';
import { virtualMachineSnapshots } from './virtual-machine-snapshot.ts';
import { virtualMachinePools } from './virtual-machine-pool.ts';
import { virtualMachines } from './virtual-machine.ts';

/** Every kind the API serves, in the order discovery lists them. */
export const KINDS: readonly KindDefinition[] = [
  namespaces, nodes, events, leases,
  serviceAccounts, secrets, apiKeys, resourceQuotas, limitRanges,
  roles, roleBindings, clusterRoles, clusterRoleBindings, priorityClasses, podDisruptionBudgets,
  virtualMachines, virtualMachineSnapshots, virtualMachinePools, virtualMachineImages,
];

/** Kinds that are computed and not stored: listed by discovery, served by routes of their own. */
export const COMPUTED_KINDS: readonly KindDefinition[] = [pods, auditEvents, nodeMetrics, podMetrics, ...REVIEWS];
