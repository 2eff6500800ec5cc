import { z } from 'zod';
import type { KindDefinition } from '../kind.ts';
import type { KubeObject } from '../metadata.ts';
import { describeBytes, parseBytes } from '../quantity.ts';

/** What nodes and machines use now, as `kubectl top` asks for it. Source: k8s.io/metrics/pkg/apis/metrics/v1beta1. */
const Usage = z.strictObject({
  cpu: z.string().describe('Cores, as a quantity: 250m is a quarter of one.'),
  memory: z.string().describe('Bytes that would be free without it, as a quantity.'),
});
const Measured = { timestamp: z.string().describe('End of the time it was measured over.'), window: z.string().describe('How long that was, as 15s.') };
export const NodeMetricsBody = z.strictObject({ ...Measured, usage: Usage });
export const PodMetricsBody = z.strictObject({ ...Measured, containers: z.array(z.strictObject({ name: z.string(), usage: Usage })) });
export type NodeMetrics = KubeObject & z.output<typeof NodeMetricsBody>;
export type PodMetrics = KubeObject & z.output<typeof PodMetricsBody>;

/** The one container of a machine seen as a Pod. */
export const MACHINE_CONTAINER = 'machine';

const usageOf = (object: KubeObject): z.output<typeof Usage> | undefined => ('usage' in object ? (object as NodeMetrics).usage : (object as PodMetrics).containers[0]?.usage);
const columns: KindDefinition['columns'] = [
  { name: 'CPU', type: 'string', description: 'Cores.', value: (metrics) => usageOf(metrics)?.cpu ?? '' },
  { name: 'Memory', type: 'string', description: 'Memory of its own.', value: (metrics) => describeBytes(parseBytes(usageOf(metrics)?.memory ?? '') ?? 0) },
];
const shared = {
  group: 'metrics.k8s.io', version: 'v1beta1', shortNames: [], categories: [], nameRule: 'DnsSubdomain', builtIn: true, verbs: ['get', 'list'], columns, selectableFields: {},
} as const;

export const nodeMetrics: KindDefinition = { ...shared, kind: 'NodeMetrics', plural: 'nodes', singular: '', scope: 'Cluster', body: NodeMetricsBody };
/** A machine is seen as the Pod of its name. */
export const podMetrics: KindDefinition = { ...shared, kind: 'PodMetrics', plural: 'pods', singular: '', scope: 'Namespaced', body: PodMetricsBody };
