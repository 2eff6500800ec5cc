import { z } from 'zod';
import type { KindDefinition } from '../kind.ts';
import { Condition, findCondition, type KubeObject } from '../metadata.ts';
import type { FieldProblem } from '../problems.ts';
import { MIB, parseBytes } from '../quantity.ts';
import { CheckpointPolicy, checkpointPolicyProblems } from './checkpoint-policy.ts';
import { BytesQuantity, DnsName, labelProblems } from './fields.ts';
import { IdlePolicy, VmHibernation } from './hibernation.ts';
import { ImageParts } from './image-parts.ts';
import { LayerKeys } from './layers.ts';
import { rollbackOf } from './rollback.ts';
import { VmMemoryStatus } from './vm-memory.ts';
import { isSchedulerName, PLACEMENT_FIELDS, placementProblems, SCHEDULER_NAMES } from './placement.ts';

/** v86 clamps more than this silently; so Corral refuses it. */
export const MAX_MEMORY_MIB = 2047;
export const MIN_MEMORY_MIB = 16;

/** How the process of a machine is run: docs/adr/0017-classes-of-machines.md. */
export const VM_CLASSES = ['small', 'compute'] as const;
export type VmClass = (typeof VM_CLASSES)[number];
/** Of a machine that names none, whose image names none either. */
export const DEFAULT_VM_CLASS: VmClass = 'small';

export const VirtualMachineSource = z
  .strictObject({
    image: DnsName.optional().describe('Name of a VirtualMachineImage to start from.'),
    snapshot: DnsName.optional().describe('Name of a VirtualMachineSnapshot in this namespace to continue from.'),
    virtualMachine: DnsName.optional().describe('Name of a running VirtualMachine in this namespace to fork: the new machine goes on from the same moment, and the source runs on.'),
    pool: DnsName.optional().describe('Name of a VirtualMachinePool in this namespace to claim a warm machine of; where none is warm, the machine starts from what the pool’s template names.'),
  })
  .describe('Where the machine comes from: exactly one of image, snapshot, virtualMachine or pool.');
export type VirtualMachineSource = z.output<typeof VirtualMachineSource>;
const SOURCE_FIELDS = ['image', 'snapshot', 'virtualMachine', 'pool'] as const;

export const VirtualMachineSpec = z.strictObject({
  source: VirtualMachineSource,
  memory: BytesQuantity.optional().describe('Guest RAM. Defaults to the image’s or the snapshot’s; at most 2047Mi.'),
  residentMemory: BytesQuantity.optional().describe('How much of the node’s memory the guest’s RAM may take, from 16Mi to memory: what is beyond, and has not been used for longest, is swapped out. Defaults to that of the image it is created from, else to memory. The node and the machine’s place on it count this.'),
  class: z
    .enum(VM_CLASSES)
    .optional()
    .describe('How its process is run: small takes the least memory and starts fastest, compute is faster where a guest computes for long. Defaults to the image’s, else small. A change takes effect at the next start.'),
  powerState: z.enum(['Running', 'Paused', 'Stopped']).default('Running').describe('What the machine should be doing.'),
  restartPolicy: z.enum(['Always', 'OnFailure', 'Never']).default('Always').describe('When to start again after it ended.'),
  bootPolicy: z
    .enum(['Golden', 'Cold'])
    .default('Golden')
    .describe('Golden resumes the image’s golden snapshot where one fits; Cold always boots from the BIOS.'),
  checkpointPolicy: CheckpointPolicy.optional(),
  idlePolicy: IdlePolicy.optional(),
  ...PLACEMENT_FIELDS,
  nodeName: z.string().optional().describe('The node it is bound to. Written by the scheduler.'),
});
export type VirtualMachineSpec = z.output<typeof VirtualMachineSpec>;

export const VM_PHASES = [
  'Pending', 'Scheduled', 'Starting', 'Running', 'Paused', 'Hibernated', 'Stopping', 'Stopped', 'Failed', 'Terminating',
] as const;
export type VmPhase = (typeof VM_PHASES)[number];

/** Why the last incarnation ended. Reasons are stable; messages are for people. */
export const VmTermination = z.object({
  reason: z.enum(['Stopped', 'GuestPoweredOff', 'GuestPanicked', 'ProcessExited', 'EmulatorFailed', 'StartFailed', 'NodeStopped', 'NodeLost', 'Moved', 'RolledBack', 'Hibernated', 'SwapLost', 'SuspendedStateLost', 'ContinuationLost', 'BaseLost']),
  message: z.string().default(''),
  /** Of ContinuationLost: the snapshot that it was to go on from. */
  snapshot: z.string().optional(),
  exitCode: z.number().int().optional(),
  signal: z.string().optional(),
  incarnation: z.number().int(),
  finishedAt: z.string(),
});
export type VmTermination = z.output<typeof VmTermination>;

/** Why a machine leaves a node that still answers. */
export const MOVE_REASONS = ['Evicted', 'Drained', 'Tainted', 'NodeStopping', 'Preempted'] as const;
export type MoveReason = (typeof MOVE_REASONS)[number];

/**
 * A move under way: while it stands here the node holds the machine still, so that the snapshot it leaves with is its last
 * moment. Removed when it has left, or when the move was given up and it runs on where it was.
 */
export const VmMove = z.object({
  reason: z.enum(MOVE_REASONS),
  from: z.string(),
  incarnation: z.number().int(),
  requestedAt: z.string(),
  /** The VirtualMachineSnapshot it leaves with, once that was asked for. */
  snapshot: z.string().optional(),
});
export type VmMove = z.output<typeof VmMove>;

/** Where the next start goes on, instead of at the machine's source: written when it left a node or was sent back, gone once it runs again. */
export const VmContinuation = z.object({
  reason: z.enum(['Moved', 'SwapLost', 'SuspendedStateLost', 'ContinuationLost', 'NodeLost', 'RolledBack']),
  snapshot: z.string(),
  /** The incarnation it left behind. */
  incarnation: z.number().int(),
});
export type VmContinuation = z.output<typeof VmContinuation>;

/** What the machine's next snapshot would be a delta of: what it was restored from, or its last snapshot since. */
export const VmLineage = z.object({
  /** Name of the snapshot, where it is one of this namespace. */
  snapshot: z.string().optional(),
  /** SHA-256 of the manifest of the last one that is in the object store; absent before there is any. */
  digest: z.string().optional(),
  /** The layers it lies on: none of them is deleted while the machine is there. */
  layers: LayerKeys,
});
export type VmLineage = z.output<typeof VmLineage>;
/** What a claim got from its pool. */
export const VmClaim = z.object({
  pool: z.string(),
  poolUid: z.string(),
  /** Warm: it took over a machine that ran; Cold: none was warm; Label: a warm machine was taken by its labels, under its own name. */
  type: z.enum(['Warm', 'Cold', 'Label']),
  /** What the pool's template named then: what the machine starts from when it has to start anew. */
  source: VirtualMachineSource,
  /** Of a warm claim: the machine it took over, which is gone since. Its node knows by the uid which process that is. */
  virtualMachine: z.object({ name: z.string(), uid: z.string() }).optional(),
});
export type VmClaim = z.output<typeof VmClaim>;

export const VmRollback = z.object({ snapshot: z.string(), incarnation: z.number().int(), requestedAt: z.string() });
export type VmRollback = z.output<typeof VmRollback>;
/** What a fork goes on from: a moment of the machine it was forked from. */
export const VmFork = z.object({
  virtualMachine: z.string(),
  uid: z.string(),
  /** Of the machine it was forked from: another life of that is another machine to fork. */
  incarnation: z.number().int(),
  /** The VirtualMachineSnapshot that holds the moment; deleted once every fork of it runs. */
  snapshot: z.string(),
  /** Of the node that held the machine then: forks start there soonest. */
  nodeName: z.string(),
  v86Build: z.string().optional(),
  memoryMiB: z.number().int().optional(),
});
export type VmFork = z.output<typeof VmFork>;

export const VirtualMachineStatus = z.object({
  phase: z.enum(VM_PHASES).optional(),
  nodeName: z.string().optional(),
  /** The node on which machines of lower priority make room for this one; it is bound there, or elsewhere, once it fits. */
  nominatedNodeName: z.string().optional(),
  /** One higher each time it starts anew; every effect of a node is fenced by it. */
  incarnation: z.number().int().optional(),
  observedGeneration: z.number().int().optional(),
  conditions: z.array(Condition).optional(),
  memoryMiB: z.number().int().optional(),
  /** Bytes of the VM process resident on its node. */
  residentBytes: z.number().int().optional(),
  memory: VmMemoryStatus.optional(),
  v86Build: z.string().optional(),
  /** Of the current incarnation. */
  class: z.enum(VM_CLASSES).optional(),
  /** What the current incarnation was started from. */
  startedFrom: z
    .object({ type: z.enum(['Boot', 'GoldenSnapshot', 'Snapshot', 'Fork', 'Suspended']), name: z.string(), digest: z.string().optional() })
    .optional(),
  /** What it was first started from; its artifacts are kept while the machine is there. */
  imageParts: ImageParts.optional(),
  startedAt: z.string().optional(),
  /** Process start → Ready, of the current incarnation. */
  startMilliseconds: z.number().int().optional(),
  restartCount: z.number().int().optional(),
  /** While backing off: when the next start is due. */
  nextStartTime: z.string().optional(),
  lastTermination: VmTermination.optional(),
  lineage: VmLineage.optional(),
  /** The last time it was sent back: what it was in that incarnation and before is never what it goes on from again, but for that snapshot. */
  lastRollback: VmRollback.optional(),
  move: VmMove.optional(),
  continueFrom: VmContinuation.optional(),
  hibernation: VmHibernation.optional(),
  /** Since when nobody used it and its guest rested; absent while it is used, and where nothing depends on it. */
  idleSince: z.string().optional(),
  claim: VmClaim.optional(),
  fork: VmFork.optional(),
});
export type VirtualMachineStatus = z.output<typeof VirtualMachineStatus>;
export type VirtualMachine = KubeObject<VirtualMachineSpec, VirtualMachineStatus>;

export const virtualMachines: KindDefinition<VirtualMachineSpec, VirtualMachineStatus> = {
  group: 'corral.dev',
  version: 'v1',
  kind: 'VirtualMachine',
  plural: 'virtualmachines',
  singular: 'virtualmachine',
  shortNames: ['vm', 'vms'],
  categories: ['all', 'corral'],
  scope: 'Namespaced',
  nameRule: 'DnsLabel',
  builtIn: false,
  body: z.strictObject({ spec: VirtualMachineSpec }),
  status: VirtualMachineStatus,
  columns: [
    { name: 'Phase', type: 'string', description: 'A summary for people; conditions are the truth.', value: (vm) => vm.status?.phase ?? 'Pending' },
    { name: 'Ready', type: 'string', description: 'Whether the guest answers.', value: (vm) => findCondition(vm.status?.conditions, 'Ready')?.status ?? 'Unknown' },
    { name: 'Memory', type: 'string', description: 'Guest RAM.', value: (vm) => vm.spec?.memory ?? (vm.status?.memoryMiB ? `${vm.status.memoryMiB}Mi` : '') },
    { name: 'Node', type: 'string', description: 'Where it runs.', value: (vm) => vm.status?.nodeName ?? vm.spec?.nodeName ?? '<none>' },
    { name: 'Source', type: 'string', description: 'Image, snapshot, machine or pool it came from.', priority: 1, value: (vm) => namesOf(vm.spec?.source)[0] ?? '' },
    { name: 'Incarnation', type: 'integer', description: 'How often it was started.', priority: 1, value: (vm) => vm.status?.incarnation ?? 0 },
    { name: 'Reason', type: 'string', description: 'Why it is not Ready.', priority: 1, value: (vm) => findCondition(vm.status?.conditions, 'Ready')?.reason ?? '' },
  ],
  indexedFields: ['spec.nodeName'],
  selectableFields: {
    'spec.nodeName': (vm) => vm.spec?.nodeName ?? '',
    'spec.powerState': (vm) => vm.spec?.powerState ?? '',
    'spec.source.image': (vm) => vm.spec?.source.image ?? '',
    'spec.source.snapshot': (vm) => vm.spec?.source.snapshot ?? '',
    'spec.source.virtualMachine': (vm) => vm.spec?.source.virtualMachine ?? '',
    'spec.source.pool': (vm) => vm.spec?.source.pool ?? '',
    'status.phase': (vm) => vm.status?.phase ?? '',
  },
  warnings: ({ spec, status }) => [
    ...(spec?.class === undefined || status?.class === undefined || spec.class === status.class ? [] : [`spec.class takes effect at the next start: the machine runs as ${status.class}`]),
    ...(spec?.schedulerName === undefined || isSchedulerName(spec.schedulerName)
      ? []
      : [`spec.schedulerName: no scheduler of this server is called "${spec.schedulerName}" (${SCHEDULER_NAMES.join(', ')} are): the machine waits until something else binds it`]),
  ],
  validate(vm, previous) {
    const problems: FieldProblem[] = [];
    const { source, memory } = vm.spec ?? { source: {} };
    if (namesOf(source).length !== 1) {
      problems.push({ field: 'spec.source', reason: 'FieldValueInvalid', message: `exactly one of ${SOURCE_FIELDS.join(', ')} must be set` });
    }
    const bytes = memory === undefined ? undefined : parseBytes(memory);
    if (bytes !== undefined && (bytes > MAX_MEMORY_MIB * MIB || bytes < MIN_MEMORY_MIB * MIB || bytes % MIB !== 0)) {
      problems.push({
        field: 'spec.memory',
        reason: 'FieldValueInvalid',
        message: `must be a whole number of MiB from ${MIN_MEMORY_MIB}Mi to ${MAX_MEMORY_MIB}Mi`,
      });
    }
    const { nodeSelector = {}, residentMemory } = vm.spec ?? {};
    // What was stored before there were these rules must not keep a node or a controller from writing.
    if (JSON.stringify(previous?.spec?.nodeSelector) !== JSON.stringify(nodeSelector)) problems.push(...labelProblems(nodeSelector, 'spec.nodeSelector'));
    if (residentMemory !== undefined && residentMemory !== previous?.spec?.residentMemory && (parseBytes(residentMemory) ?? 0) < MIN_MEMORY_MIB * MIB) {
      problems.push({ field: 'spec.residentMemory', reason: 'FieldValueInvalid', message: `must be at least ${MIN_MEMORY_MIB}Mi` });
    }
    problems.push(...checkpointPolicyProblems(vm.spec?.checkpointPolicy, 'spec.checkpointPolicy'));
    if (JSON.stringify(placementOf(previous)) !== JSON.stringify(placementOf(vm))) problems.push(...placementProblems(placementOf(vm)));
    // Absent is not changed: the server fills in what a manifest leaves to it, again.
    if (previous) {
      if (JSON.stringify(previous.spec?.source) !== JSON.stringify(source) && rollbackOf(vm, previous) === undefined) {
        problems.push({ field: 'spec.source', reason: 'FieldValueForbidden', message: 'is immutable, but for a snapshot to roll back to: create another machine from the other source' });
      }
      if (memory !== undefined && previous.spec?.memory !== undefined && parseBytes(previous.spec.memory) !== bytes) {
        problems.push({ field: 'spec.memory', reason: 'FieldValueForbidden', message: 'is immutable: a running guest cannot change its RAM' });
      }
      if (vm.spec?.nodeName !== undefined && previous.spec?.nodeName !== undefined && previous.spec.nodeName !== vm.spec.nodeName) {
        problems.push({ field: 'spec.nodeName', reason: 'FieldValueForbidden', message: 'is immutable once the machine is bound' });
      }
      for (const field of ['priorityClassName', 'priority', 'preemptionPolicy', 'schedulerName'] as const) {
        if (previous.spec?.[field] === undefined || vm.spec?.[field] === undefined || previous.spec[field] === vm.spec[field]) continue;
        problems.push({ field: `spec.${field}`, reason: 'FieldValueForbidden', message: 'is immutable' });
      }
    }
    return problems;
  },
};

const namesOf = (source: VirtualMachineSource | undefined): string[] => SOURCE_FIELDS.flatMap((field) => source?.[field] ?? []);

/** What a machine starts from when it starts anew: of a claim, what its pool's template named. */
export const startSourceOf = ({ spec, status }: Pick<VirtualMachine, 'spec' | 'status'>): VirtualMachineSource =>
  spec?.source.pool === undefined ? (spec?.source ?? {}) : (status?.claim?.source ?? {});

function placementOf(vm: VirtualMachine | undefined) {
  const { tolerations, affinity, topologySpreadConstraints, schedulerName, priorityClassName } = vm?.spec ?? {};
  return { tolerations, affinity, topologySpreadConstraints, schedulerName, priorityClassName };
}
