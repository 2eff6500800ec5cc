import { leases, NODE_LEASE_NAMESPACE, nodes, toKubeMicroTime, toKubeTime, type Node, type ObjectClient } from '@corral/contracts';

export interface FakeNodeOptions {
  readonly memory?: string;
  readonly machines?: number;
  readonly v86Build?: string;
  readonly dataPlaneUrl?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

/** Registers a Node and its Lease as a node agent does. */
export async function registerNode(client: ObjectClient, name: string, options: FakeNodeOptions = {}): Promise<Node> {
  const { memory = '4Gi', machines = 10, v86Build = 'build-1', dataPlaneUrl = 'http://127.0.0.1:9', labels = {} } = options;
  const created = await client.create(nodes, { metadata: { name, labels: { 'corral.dev/v86-build': v86Build, ...labels } }, spec: {} });
  await client.create(leases, {
    metadata: { name, namespace: NODE_LEASE_NAMESPACE },
    spec: { holderIdentity: name, leaseDurationSeconds: 40, renewTime: toKubeMicroTime(new Date()) },
  });
  const now = toKubeTime(new Date());
  return client.replaceStatus(nodes, {
    ...created,
    status: {
      capacity: { memory, 'corral.dev/machines': String(machines) },
      allocatable: { memory, 'corral.dev/machines': String(machines) },
      conditions: [{ type: 'Ready', status: 'True', reason: 'AgentReady', message: '', lastTransitionTime: now }],
      corral: { dataPlaneUrl, v86Build, memoryMode: 'Copy' },
    },
  });
}
