import fc from 'fast-check';
import { chargeOf, type ClusterView, type MachineRequest, type NodeView, type PlacedMachine } from '../src/machine.ts';

export const MIB = 2 ** 20;
export const GIB = 2 ** 30;

export const aMachine = (with_: Partial<MachineRequest> = {}): MachineRequest => ({
  key: 'default/m', namespace: 'default', labels: {}, memoryBytes: 128 * MIB, nodeSelector: {}, tolerations: [], spreadConstraints: [], priority: 0, ...with_,
});
/** What one machine of `aMachine` takes. */
export const ROOM = chargeOf(aMachine());

export const aNode = (name: string, with_: Partial<NodeView> = {}): NodeView => ({
  name, labels: {}, ready: true, cordoned: false, taints: [], v86Build: 'b1', images: new Set(), snapshots: new Set(),
  allocatable: { memoryBytes: 4 * GIB, machines: 10 }, requested: { memoryBytes: 0, machines: 0 }, nominated: [], ...with_,
});

export const placed = (key: string, nodeName: string, with_: Partial<PlacedMachine> = {}): PlacedMachine => ({
  key, namespace: 'default', labels: {}, nodeName, chargedBytes: ROOM, priority: 0, departure: 'Move', ...with_,
});

/** A cluster in which nodes are charged for the machines given, beside what they say themselves. */
export function aCluster(nodes: readonly NodeView[], machines: readonly PlacedMachine[] = []): ClusterView {
  const on = (name: string): PlacedMachine[] => machines.filter(({ nodeName }) => nodeName === name);
  return {
    nodes: nodes.map((node) => ({
      ...node,
      requested: {
        memoryBytes: node.requested.memoryBytes + on(node.name).reduce((sum, { chargedBytes }) => sum + chargedBytes, 0),
        machines: node.requested.machines + on(node.name).length,
      },
    })),
    machinesIn: (namespace) => machines.filter((machine) => machine.namespace === namespace),
    machinesOn: on,
  };
}

/** Small domains on purpose: they make ties, exact fits and conflicts common. */
export const machines: fc.Arbitrary<MachineRequest> = fc
  .record(
    {
      key: fc.constantFrom('default/a', 'default/b', 'other/c'),
      memoryBytes: fc.constantFrom(128 * MIB, 256 * MIB, 1024 * MIB),
      nodeSelector: fc.constantFrom<Record<string, string>>({}, {}, { zone: 'a' }, { zone: 'b' }),
      tolerations: fc.constantFrom<MachineRequest['tolerations']>([], [{ key: 't', operator: 'Exists' }], [{ operator: 'Exists', effect: 'NoExecute' }], [{ key: 'node.kubernetes.io/unschedulable', operator: 'Exists' }]),
      nodeAffinity: fc.constantFrom<NonNullable<MachineRequest['nodeAffinity']>>(
        { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'zone', operator: 'NotIn', values: ['a'] }] }] } },
        { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 3, preference: { matchExpressions: [{ key: 'disk', operator: 'Exists' }] } }, { weight: 1, preference: { matchFields: [{ key: 'metadata.name', operator: 'In', values: ['n3'] }] } }] },
      ),
      spreadConstraints: fc.constantFrom<MachineRequest['spreadConstraints']>(
        [],
        [],
        [{ maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule', labelSelector: {} }],
        [{ maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'ScheduleAnyway', labelSelector: { matchLabels: { app: 'x' } } }],
      ),
      priority: fc.constantFrom(0, 5, 10),
      v86Build: fc.constantFrom('b1', 'b2'),
      image: fc.constantFrom('i1', 'i2'),
      snapshotDigest: fc.constantFrom('s1', 's2'),
    },
    { requiredKeys: ['key', 'memoryBytes', 'nodeSelector', 'tolerations', 'spreadConstraints', 'priority'] },
  )
  .map((fields) => aMachine({ ...fields, namespace: fields.key.split('/')[0] ?? '', labels: { app: 'x' } }));

const NODE_NAMES = ['n1', 'n2', 'n3', 'n4'];
export const nodes: fc.Arbitrary<NodeView[]> = fc.uniqueArray(
  fc
    .record({
      name: fc.constantFrom(...NODE_NAMES),
      labels: fc.constantFrom<Record<string, string>>({}, { zone: 'a' }, { zone: 'b', disk: 'ssd' }),
      ready: fc.constantFrom(true, true, true, false),
      cordoned: fc.constantFrom(false, false, true),
      taints: fc.constantFrom<NodeView['taints']>([], [], [{ key: 't', effect: 'NoSchedule' }], [{ key: 't', effect: 'PreferNoSchedule' }], [{ key: 'u', value: 'v', effect: 'NoExecute' }]),
      v86Build: fc.constantFrom('b1', 'b2'),
      images: fc.constantFrom(new Set<string>(), new Set(['i1'])),
      snapshots: fc.constantFrom(new Set<string>(), new Set(['s1'])),
      // Exact fits of one and two machines are among them.
      allocatable: fc.record({ memoryBytes: fc.constantFrom(ROOM, 2 * ROOM, 3 * ROOM, 4 * GIB), machines: fc.constantFrom(0, 1, 2, 50) }),
    })
    .map(({ name, ...fields }) => aNode(name, fields)),
  { selector: ({ name }) => name },
);

export const placedMachines: fc.Arbitrary<PlacedMachine[]> = fc.uniqueArray(
  fc
    .record({
      key: fc.constantFrom(...Array.from({ length: 10 }, (_, index) => `default/p${index}`)),
      nodeName: fc.constantFrom(...NODE_NAMES),
      chargedBytes: fc.constantFrom(ROOM, 2 * ROOM),
      priority: fc.constantFrom(-1, 0, 3, 5, 10),
      labels: fc.constantFrom<Record<string, string>>({}, { app: 'x' }),
      departure: fc.constantFrom<PlacedMachine['departure']>('Move', 'Move', 'Unbind', 'Leaving', 'Never'),
    })
    .map(({ key, nodeName, ...fields }) => placed(key, nodeName, fields)),
  { selector: ({ key }) => key, maxLength: 10 },
);
