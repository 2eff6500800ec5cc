import type { Node, NodeUsage, VirtualMachine } from '@corral/contracts';
import { nodeMetricsOf, podMetricsOf } from './usage-objects.ts';

const metadata = { name: 'demo', namespace: 'team-a', uid: 'u1', resourceVersion: '7', generation: 1, creationTimestamp: '2026-01-01T00:00:00Z', labels: { app: 'x' } };
const machine = { apiVersion: 'corral.dev/v1', kind: 'VirtualMachine', metadata } as VirtualMachine;
const node = { apiVersion: 'v1', kind: 'Node', metadata: { ...metadata, namespace: '', name: 'worker-1' } } as Node;
const used = { cpuCores: 0.25, memoryBytes: 3 * 2 ** 20, windowSeconds: 15 };
const usage: NodeUsage = { measuredAt: '2026-01-01T00:00:07.250Z', node: used, machines: [{ uid: 'u1', namespace: 'team-a', name: 'demo', usage: used }] };

it('a machine is the Pod of its name and labels, with what it uses in the units of metrics-server', () => {
  expect(podMetricsOf(machine, usage)).toMatchObject({
    apiVersion: 'metrics.k8s.io/v1beta1', kind: 'PodMetrics', metadata: { name: 'demo', namespace: 'team-a', labels: { app: 'x' } },
    timestamp: '2026-01-01T00:00:07Z', window: '15.000s', containers: [{ name: 'machine', usage: { cpu: '250000000n', memory: '3072Ki' } }],
  });
});

it('what a node says of a machine that had the name before is not this machine’s', () => {
  expect(podMetricsOf({ ...machine, metadata: { ...metadata, uid: 'u2' } }, usage)).toBeUndefined();
});

it('a node has figures once it was watched for long enough', () => {
  expect(nodeMetricsOf(node, usage)).toMatchObject({ kind: 'NodeMetrics', metadata: { name: 'worker-1' }, usage: { cpu: '250000000n', memory: '3072Ki' } });
  expect(nodeMetricsOf(node, { measuredAt: usage.measuredAt, machines: [] })).toBeUndefined();
});
