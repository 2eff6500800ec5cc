import { z } from 'zod';
import type { KindDefinition } from '../kind.ts';
import { Condition, findCondition, type KubeObject } from '../metadata.ts';
import { describeBytes } from '../quantity.ts';
import { DnsName } from './fields.ts';
import { ImageParts } from './image-parts.ts';
import { LayerKeys } from './layers.ts';

export const VirtualMachineSnapshotSpec = z.strictObject({
  virtualMachine: DnsName.describe('The machine, in this namespace, to take a snapshot of.'),
  nodeName: z.string().optional().describe('The node that takes it. Written by the snapshot controller.'),
  fork: z
    .strictObject({ upload: z.boolean().describe('Whether a machine on another node needs it.') })
    .optional()
    .describe('Of the moment of a live fork: it stays on its node unless a machine elsewhere needs it, and is deleted once its forks run. Written by the server.'),
});
export type VirtualMachineSnapshotSpec = z.output<typeof VirtualMachineSnapshotSpec>;

export const VirtualMachineSnapshotStatus = z.object({
  observedGeneration: z.number().int().optional(),
  conditions: z.array(Condition).optional(),
  /** Snapshot of this namespace that it was taken after, on the same line of time; empty where there was none. Whoever deletes that gives its own parent to the children. */
  parent: z.string().optional(),
  /** Object keys of all packs it needs, its own and inherited ones: none of them is deleted while it is there. Named before the first byte is sent. */
  layers: LayerKeys.optional(),
  virtualMachineUid: z.string().optional(),
  incarnation: z.number().int().optional(),
  /** SHA-256 of the manifest: names every byte of the snapshot. */
  digest: z.string().optional(),
  /** Object key of the manifest in the snapshot bucket. */
  manifestKey: z.string().optional(),
  /** Bytes this snapshot added to S3. */
  sizeBytes: z.number().int().optional(),
  pauseMilliseconds: z.number().optional(),
  memoryMiB: z.number().int().optional(),
  v86Build: z.string().optional(),
  imageDigest: z.string().optional(),
  /** Image the machine was first started from. */
  image: z.string().optional(),
  /** What that image was then; its artifacts are kept while the snapshot is there. */
  imageParts: ImageParts.optional(),
  uploadedBytes: z.number().int().optional(),
  totalBytes: z.number().int().optional(),
  completedAt: z.string().optional(),
});
export type VirtualMachineSnapshotStatus = z.output<typeof VirtualMachineSnapshotStatus>;
export type VirtualMachineSnapshot = KubeObject<VirtualMachineSnapshotSpec, VirtualMachineSnapshotStatus>;

/** How long a snapshot is tried for, counted from its creation. */
export const SNAPSHOT_DEADLINE_MS = 10 * 60_000;

/** Whether it is Ready, or never will be: nothing more is done about it. */
export function isSnapshotOver({ status }: Pick<VirtualMachineSnapshot, 'status'>): boolean {
  return status?.completedAt !== undefined || findCondition(status?.conditions, 'Ready')?.status === 'True';
}

/** Holds a deleted snapshot until its bytes are gone from S3. */
export const SNAPSHOT_DATA_FINALIZER = 'corral.dev/snapshot-data';

export const virtualMachineSnapshots: KindDefinition<VirtualMachineSnapshotSpec, VirtualMachineSnapshotStatus> = {
  group: 'corral.dev',
  version: 'v1',
  kind: 'VirtualMachineSnapshot',
  plural: 'virtualmachinesnapshots',
  singular: 'virtualmachinesnapshot',
  shortNames: ['vmsnap', 'vmsnaps'],
  categories: ['all', 'corral'],
  scope: 'Namespaced',
  nameRule: 'DnsSubdomain',
  builtIn: false,
  body: z.strictObject({ spec: VirtualMachineSnapshotSpec }),
  status: VirtualMachineSnapshotStatus,
  columns: [
    { name: 'Machine', type: 'string', description: 'What it is a snapshot of.', value: (snapshot) => snapshot.spec?.virtualMachine ?? '' },
    { name: 'Ready', type: 'string', description: 'True once every byte is verified in S3.', value: (snapshot) => findCondition(snapshot.status?.conditions, 'Ready')?.status ?? 'Unknown' },
    { name: 'Reason', type: 'string', description: 'Why it is Ready or not.', value: (snapshot) => findCondition(snapshot.status?.conditions, 'Ready')?.reason ?? '' },
    { name: 'Size', type: 'string', description: 'Bytes it added to S3.', value: (snapshot) => (snapshot.status?.sizeBytes === undefined ? '' : describeBytes(snapshot.status.sizeBytes)) },
    { name: 'Parent', type: 'string', description: 'The snapshot it was taken after.', priority: 1, value: (snapshot) => snapshot.status?.parent ?? '' },
    { name: 'Pause', type: 'string', description: 'How long the machine stood still.', priority: 1, value: (snapshot) => (snapshot.status?.pauseMilliseconds === undefined ? '' : `${Math.round(snapshot.status.pauseMilliseconds)}ms`) },
  ],
  indexedFields: ['spec.nodeName'],
  selectableFields: {
    'spec.virtualMachine': (snapshot) => snapshot.spec?.virtualMachine ?? '',
    'spec.nodeName': (snapshot) => snapshot.spec?.nodeName ?? '',
    'status.parent': (snapshot) => snapshot.status?.parent ?? '',
  },
  validate(snapshot, previous) {
    if (previous && previous.spec?.virtualMachine !== snapshot.spec?.virtualMachine) {
      return [{ field: 'spec.virtualMachine', reason: 'FieldValueForbidden', message: 'is immutable: create another snapshot' }];
    }
    return [];
  },
};
