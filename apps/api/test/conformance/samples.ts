import type { KindDefinition } from '@corral/contracts';

/** The least that is an object of each kind, for cases that go through all of them. */
const SAMPLES: Readonly<Record<string, object>> = {
  Namespace: {},
  Node: {},
  Event: { involvedObject: { kind: 'Node', name: 'x' }, reason: 'Test' },
  Secret: { stringData: { key: 'value' } },
  ServiceAccount: {},
  ResourceQuota: { spec: { hard: { 'count/virtualmachines.corral.dev': '700' } } },
  LimitRange: { spec: { limits: [] } },
  Lease: { spec: { holderIdentity: 'me' } },
  Role: { rules: [{ verbs: ['get'], apiGroups: ['corral.dev'], resources: ['virtualmachines'] }] },
  ClusterRole: { rules: [{ verbs: ['get'], apiGroups: ['corral.dev'], resources: ['virtualmachines'] }] },
  RoleBinding: { subjects: [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: 'jane' }], roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'described' } },
  ClusterRoleBinding: { subjects: [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: 'jane' }], roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'described' } },
  PriorityClass: { value: 1000 },
  PodDisruptionBudget: { spec: { minAvailable: 1, selector: { matchLabels: { app: 'x' } } } },
  VirtualMachine: { spec: { source: { image: 'linux-minimal' } } },
  VirtualMachineSnapshot: { spec: { virtualMachine: 'sample' } },
  VirtualMachineImage: { spec: { kernel: { url: `artifact:${'0'.repeat(64)}` } } },
  VirtualMachinePool: { spec: { template: { spec: { source: { image: 'linux-minimal' } } }, warm: 0, maximum: 1 } },
  APIKey: { spec: {} },
};

/** Undefined for a kind that has no sample yet. */
export function sampleOf({ group, version, kind }: KindDefinition, name: string): object | undefined {
  const sample = SAMPLES[kind];
  return sample && { apiVersion: group === '' ? version : `${group}/${version}`, kind, metadata: { name }, ...sample };
}
