import { z } from 'zod';
import type { KindDefinition } from '../kind.ts';
import type { KubeObject } from '../metadata.ts';
import type { FieldProblem } from '../problems.ts';
import { parseQuantity } from '../quantity.ts';
import { ResourceList } from './resource-list.ts';

/** How many machines run or may start by themselves: Corral's own name for what Kubernetes counts as pods. */
export const RUNNING_MACHINES = 'corral.dev/running-virtualmachines';
/** Bytes that snapshots hold in the object store. */
export const SNAPSHOT_BYTES = 'corral.dev/snapshot-bytes';
/** Guest RAM of running machines, under Kubernetes's names for it. */
export const MEMORY_RESOURCES = ['memory', 'requests.memory', 'limits.memory'] as const;

/** What a quota can limit beside counts of objects. */
export const MEASURED_RESOURCES: readonly string[] = [...MEMORY_RESOURCES, 'pods', RUNNING_MACHINES, SNAPSHOT_BYTES];
/** Kubernetes's names for what no object here uses: a quota may name them, and their use is nothing. */
export const UNUSED_RESOURCES: readonly string[] = [
  'cpu', 'requests.cpu', 'limits.cpu', 'storage', 'requests.storage', 'ephemeral-storage', 'requests.ephemeral-storage', 'limits.ephemeral-storage',
  'services', 'services.loadbalancers', 'services.nodeports', 'replicationcontrollers', 'persistentvolumeclaims', 'configmaps',
];

export const ResourceQuotaSpec = z.strictObject({
  hard: ResourceList.default({}).describe('The most of each resource that the namespace may use: count/<resource>.<group>, pods, requests.memory, limits.memory, corral.dev/running-virtualmachines, corral.dev/snapshot-bytes.'),
  scopes: z.array(z.string()).optional().describe('Not supported: a quota counts everything in its namespace.'),
  scopeSelector: z.record(z.string(), z.unknown()).optional().describe('Not supported: a quota counts everything in its namespace.'),
});
export type ResourceQuotaSpec = z.output<typeof ResourceQuotaSpec>;

export const ResourceQuotaStatus = z.object({
  hard: ResourceList.optional().describe('The limits in force.'),
  used: ResourceList.optional().describe('What is used of them.'),
});
export type ResourceQuotaStatus = z.output<typeof ResourceQuotaStatus>;
export type ResourceQuota = KubeObject<ResourceQuotaSpec, ResourceQuotaStatus>;

/** Source: k8s.io/api core/v1, ResourceQuota. */
export const resourceQuotas: KindDefinition<ResourceQuotaSpec, ResourceQuotaStatus> = {
  group: '', version: 'v1', kind: 'ResourceQuota', plural: 'resourcequotas', singular: 'resourcequota', shortNames: ['quota'], categories: [],
  scope: 'Namespaced', nameRule: 'DnsSubdomain', builtIn: true,
  body: z.strictObject({ spec: ResourceQuotaSpec.default({ hard: {} }) }),
  status: ResourceQuotaStatus,
  columns: [
    { name: 'Request', type: 'string', description: 'Used and hard, of what is no limit.', value: (quota) => usageText(quota, (name) => !name.startsWith('limits.')) },
    { name: 'Limit', type: 'string', description: 'Used and hard, of limits.', value: (quota) => usageText(quota, (name) => name.startsWith('limits.')) },
  ],
  selectableFields: {},
  validate: (quota) => [...scopeProblems(quota), ...Object.entries(quota.spec?.hard ?? {}).flatMap(([name, text]) => limitProblems(name, text))],
  warnings: ({ spec }) =>
    Object.keys(spec?.hard ?? {})
      .filter((name) => UNUSED_RESOURCES.includes(name))
      .map((name) => `spec.hard: nothing here uses ${name}: its use is always 0`),
};

/** Source: kubectl's printer of quotas. */
function usageText({ status }: ResourceQuota, isShown: (name: string) => boolean): string {
  const names = Object.keys(status?.hard ?? {}).filter(isShown).sort();
  return names.map((name) => `${name}: ${status?.used?.[name] ?? '0'}/${status?.hard?.[name] ?? ''}`).join(', ');
}

function scopeProblems({ spec }: ResourceQuota): FieldProblem[] {
  const unsupported = [
    { field: 'spec.scopes', isSet: (spec?.scopes?.length ?? 0) > 0 },
    { field: 'spec.scopeSelector', isSet: Object.keys(spec?.scopeSelector ?? {}).length > 0 },
  ];
  return unsupported.filter(({ isSet }) => isSet).map(({ field }) => ({ field, reason: 'FieldValueNotSupported', message: 'scopes are not supported: a quota counts everything in its namespace' }));
}

const SMALLEST_NUMBERS = /^(count\/|pods$|corral\.dev\/)/;

function limitProblems(name: string, text: string): FieldProblem[] {
  const field = `spec.hard[${name}]`;
  const amount = parseQuantity(text) ?? 0;
  if (amount < 0) return [{ field, reason: 'FieldValueInvalid', message: 'must be greater than or equal to 0' }];
  if (SMALLEST_NUMBERS.test(name) && !Number.isInteger(amount)) return [{ field, reason: 'FieldValueInvalid', message: 'must be an integer' }];
  return [];
}
