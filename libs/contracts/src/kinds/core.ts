import { z } from 'zod';
import type { KindDefinition } from '../kind.ts';
import { Condition, findCondition, type KubeObject } from '../metadata.ts';
import { describeBytes, parseBytes } from '../quantity.ts';

/** The Kubernetes kinds Corral serves as they are. Sources: k8s.io/api core/v1, coordination/v1. */

/** Namespaces that exist from the first start. */
export const SYSTEM_NAMESPACES = ['default', 'kube-system', 'kube-node-lease', 'corral-system'] as const;

export const NamespaceSpec = z.strictObject({ finalizers: z.array(z.string()).default(['kubernetes']).describe('What must be done before the namespace may go: "kubernetes" while there is something in it.') });
export const NamespaceStatus = z.object({ phase: z.enum(['Active', 'Terminating']).optional(), conditions: z.array(Condition).optional() });
export type NamespaceSpec = z.output<typeof NamespaceSpec>;
export type NamespaceStatus = z.output<typeof NamespaceStatus>;
export type Namespace = KubeObject<NamespaceSpec, NamespaceStatus>;

export const namespaces: KindDefinition<NamespaceSpec, NamespaceStatus> = {
  group: '', version: 'v1', kind: 'Namespace', plural: 'namespaces', singular: 'namespace', shortNames: ['ns'], categories: [],
  scope: 'Cluster', nameRule: 'DnsLabel', builtIn: true,
  body: z.strictObject({ spec: NamespaceSpec.default({ finalizers: ['kubernetes'] }) }),
  status: NamespaceStatus,
  columns: [{ name: 'Status', type: 'string', description: 'Active or Terminating.', value: (namespace) => namespace.status?.phase ?? 'Active' }],
  undeletable: SYSTEM_NAMESPACES,
  selectableFields: { 'status.phase': (namespace) => namespace.status?.phase ?? '' },
};

export const NodeTaint = z.strictObject({
  key: z.string(), value: z.string().optional(), effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']), timeAdded: z.string().optional(),
});
export const NodeSpec = z.strictObject({
  unschedulable: z.boolean().optional().describe('No new machines are bound to it: cordoned.'),
  taints: z.array(NodeTaint).optional().describe('What keeps machines away that do not tolerate it.'),
  podCIDR: z.string().optional().describe('Kept for Kubernetes; nothing reads it.'),
  providerID: z.string().optional().describe('What the machine the node runs on is called by whoever provides it.'),
});
export type NodeSpec = z.output<typeof NodeSpec>;
const ResourceList = z.record(z.string(), z.string());
export const NodeStatus = z.object({
  /** `memory`: bytes for guests and their processes; `corral.dev/machines`: how many at most. */
  capacity: ResourceList.optional(),
  allocatable: ResourceList.optional(),
  conditions: z.array(Condition.extend({ lastHeartbeatTime: z.string().optional() })).optional(),
  addresses: z.array(z.object({ type: z.string(), address: z.string() })).meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] }).optional(),
  nodeInfo: z
    .object({
      architecture: z.string(), bootID: z.string(), containerRuntimeVersion: z.string(), kernelVersion: z.string(), kubeProxyVersion: z.string(),
      kubeletVersion: z.string(), machineID: z.string(), operatingSystem: z.string(), osImage: z.string(), systemUUID: z.string(),
    })
    .optional(),
  /** What only a Corral node has. */
  corral: z
    .object({
      /** Where gateways reach the node's data plane, e.g. `http://127.0.0.1:41234`. */
      dataPlaneUrl: z.string(),
      v86Build: z.string(),
      /** How guest RAM is held. Copy: each machine's own bytes. MapOnly: mapped, and shared until it is written to. Full: paged as well. */
      memoryMode: z.enum(['Copy', 'MapOnly', 'Full']),
      /** Why it is not a better mode. */
      memoryModeReason: z.string().optional(),
      machines: z.number().int().optional(),
      /** RAM that machines from the same snapshot share: how many bases there are, what they take, and how many machines map them. */
      bases: z.object({ count: z.number().int(), bytes: z.number().int(), users: z.number().int() }).optional(),
      /** What the RAM of its machines may take together, takes, and where the rest of it is; and what was swapped since the node agent began. As of the last heartbeat. */
      memory: z
        .object({
          budgetBytes: z.number().int(), heldBytes: z.number().int(), sharedBytes: z.number().int(), compressedBytes: z.number().int(), swappedBytes: z.number().int(),
          faults: z.number().int(), swapIns: z.number().int(), swapOuts: z.number().int(),
        })
        .optional(),
      /** Images whose machines start at once here: their golden snapshots are at hand. */
      images: z.array(z.string()).optional(),
      /** It stops, and would rather have its machines moved than suspend them. */
      isEmptying: z.boolean().optional(),
      /** Digests of the snapshots at hand, those most recently used: a machine that continues from one starts soonest here. */
      snapshots: z.array(z.string()).optional(),
    })
    .optional(),
});
export type NodeStatus = z.output<typeof NodeStatus>;
export type NodeMemoryStatus = NonNullable<NonNullable<NodeStatus['corral']>['memory']>;
export type Node = KubeObject<NodeSpec, NodeStatus>;

export const nodes: KindDefinition<NodeSpec, NodeStatus> = {
  group: '', version: 'v1', kind: 'Node', plural: 'nodes', singular: 'node', shortNames: ['no'], categories: [],
  scope: 'Cluster', nameRule: 'DnsSubdomain', builtIn: true,
  body: z.strictObject({ spec: NodeSpec.default({}) }),
  status: NodeStatus,
  columns: [
    { name: 'Status', type: 'string', description: 'Ready, NotReady or Unknown, and whether it takes new machines.', value: (node) => nodeStatusText(node) },
    { name: 'Machines', type: 'integer', description: 'Machines bound to it.', value: (node) => node.status?.corral?.machines ?? 0 },
    { name: 'Version', type: 'string', description: 'Corral version of the worker.', value: (node) => node.status?.nodeInfo?.kubeletVersion ?? '' },
    { name: 'Memory', type: 'string', description: 'Memory for machines.', priority: 1, value: (node) => describeBytes(parseBytes(node.status?.allocatable?.['memory'] ?? '') ?? 0) },
    { name: 'v86', type: 'string', description: 'Emulator build.', priority: 1, value: (node) => node.status?.corral?.v86Build ?? '' },
    { name: 'Internal-IP', type: 'string', description: 'Address.', priority: 1, value: (node) => node.status?.addresses?.find(({ type }) => type === 'InternalIP')?.address ?? '<none>' },
  ],
  selectableFields: { 'spec.unschedulable': (node) => String(node.spec?.unschedulable ?? false) },
  isRenewal: (node, previous) => withoutHeartbeats(node) === withoutHeartbeats(previous),
};

/** What a node says beside that it is there, as one text. */
const withoutHeartbeats = ({ metadata: { labels, annotations, deletionTimestamp }, spec, status }: Node): string =>
  JSON.stringify([labels, annotations, deletionTimestamp, spec, { ...status, conditions: status?.conditions?.map((condition) => ({ ...condition, lastHeartbeatTime: undefined })) }]);

function nodeStatusText(node: Node): string {
  const ready = findCondition(node.status?.conditions, 'Ready')?.status;
  const text = ready === 'True' ? 'Ready' : ready === undefined ? 'Unknown' : 'NotReady';
  return node.spec?.unschedulable ? `${text},SchedulingDisabled` : text;
}

const ObjectReference = z.object({
  kind: z.string().optional(), namespace: z.string().optional(), name: z.string().optional(), uid: z.string().optional(),
  apiVersion: z.string().optional(), resourceVersion: z.string().optional(), fieldPath: z.string().optional(),
});
export const EventBody = z.strictObject({
  involvedObject: ObjectReference,
  reason: z.string().optional(), message: z.string().optional(), type: z.string().default('Normal'),
  source: z.object({ component: z.string().optional(), host: z.string().optional() }).optional(),
  firstTimestamp: z.string().nullish(), lastTimestamp: z.string().nullish(), eventTime: z.string().nullish(), count: z.number().int().optional(),
  action: z.string().optional(), related: ObjectReference.optional(), reportingComponent: z.string().optional(), reportingInstance: z.string().optional(),
  series: z.object({ count: z.number().int().optional(), lastObservedTime: z.string().nullish() }).optional(),
});
export type EventBody = z.output<typeof EventBody>;
export type Event = KubeObject & EventBody;
const asEvent = (object: KubeObject): Event => object as Event;

export const events: KindDefinition = {
  group: '', version: 'v1', kind: 'Event', plural: 'events', singular: 'event', shortNames: ['ev'], categories: [],
  scope: 'Namespaced', nameRule: 'DnsSubdomain', builtIn: true,
  body: EventBody,
  columns: [
    { name: 'Last Seen', type: 'string', description: 'How long ago it last happened.', value: (event, now) => ageText(asEvent(event).lastTimestamp ?? event.metadata.creationTimestamp, now) },
    { name: 'Type', type: 'string', description: 'Normal or Warning.', value: (event) => asEvent(event).type },
    { name: 'Reason', type: 'string', description: 'What happened, for programs.', value: (event) => asEvent(event).reason ?? '' },
    { name: 'Object', type: 'string', description: 'Whom it happened to.', value: (event) => `${(asEvent(event).involvedObject.kind ?? '').toLowerCase()}/${asEvent(event).involvedObject.name ?? ''}` },
    { name: 'Message', type: 'string', description: 'What happened, for people.', value: (event) => asEvent(event).message ?? '' },
    { name: 'Count', type: 'integer', description: 'How often.', priority: 1, value: (event) => asEvent(event).count ?? 1 },
  ],
  selectableFields: {
    'involvedObject.kind': (event) => asEvent(event).involvedObject.kind ?? '',
    'involvedObject.namespace': (event) => asEvent(event).involvedObject.namespace ?? '',
    'involvedObject.name': (event) => asEvent(event).involvedObject.name ?? '',
    'involvedObject.uid': (event) => asEvent(event).involvedObject.uid ?? '',
    'involvedObject.apiVersion': (event) => asEvent(event).involvedObject.apiVersion ?? '',
    'involvedObject.fieldPath': (event) => asEvent(event).involvedObject.fieldPath ?? '',
    'involvedObject.resourceVersion': (event) => asEvent(event).involvedObject.resourceVersion ?? '',
    reason: (event) => asEvent(event).reason ?? '',
    type: (event) => asEvent(event).type,
    reportingComponent: (event) => asEvent(event).reportingComponent ?? '',
    source: (event) => asEvent(event).source?.component ?? '',
  },
};

export const LeaseSpec = z.strictObject({
  holderIdentity: z.string().optional().describe('Who holds it.'),
  leaseDurationSeconds: z.number().int().optional().describe('For how long after renewTime it is held.'),
  acquireTime: z.string().optional().describe('When its holder got it.'),
  renewTime: z.string().optional().describe('When its holder renewed it last.'),
  leaseTransitions: z.number().int().optional().describe('How often it went to another holder.'),
});
export type LeaseSpec = z.output<typeof LeaseSpec>;
export type Lease = KubeObject<LeaseSpec, never>;

/** Where nodes keep their Leases, as in Kubernetes. */
export const NODE_LEASE_NAMESPACE = 'kube-node-lease';

export const leases: KindDefinition<LeaseSpec, never> = {
  group: 'coordination.k8s.io', version: 'v1', kind: 'Lease', plural: 'leases', singular: 'lease', shortNames: [], categories: [],
  scope: 'Namespaced', nameRule: 'DnsSubdomain', builtIn: true,
  body: z.strictObject({ spec: LeaseSpec.default({}) }),
  columns: [{ name: 'Holder', type: 'string', description: 'Who holds it.', value: (lease) => lease.spec?.holderIdentity ?? '' }],
  selectableFields: {},
  isRenewal: (lease, previous) =>
    lease.spec?.holderIdentity !== undefined && lease.spec.renewTime !== previous.spec?.renewTime && withoutRenewal(lease) === withoutRenewal(previous),
};

/** What a Lease says beside when it was renewed, as one text. */
const withoutRenewal = ({ metadata: { labels, annotations, finalizers, ownerReferences, deletionTimestamp }, spec }: Lease): string =>
  JSON.stringify([labels, annotations, finalizers, ownerReferences, deletionTimestamp, { ...spec, renewTime: undefined }]);

/** How long ago, as kubectl writes it: `5s`, `3m`, `2h`, `4d`. Source: k8s.io/apimachinery/pkg/util/duration, HumanDuration. */
export function ageText(timestamp: string, now: Date): string {
  const seconds = Math.max(0, Math.floor((now.getTime() - Date.parse(timestamp)) / 1000));
  if (Number.isNaN(seconds)) return '<unknown>';
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return seconds % 60 === 0 ? `${minutes}m` : `${minutes}m${seconds % 60}s`;
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8) return minutes % 60 === 0 ? `${hours}h` : `${hours}h${minutes % 60}m`;
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(hours / 24);
  if (days < 8) return hours % 24 === 0 ? `${days}d` : `${days}d${hours % 24}h`;
  return days < 730 ? `${days}d` : `${Math.floor(days / 365)}y`;
}
