import { z } from 'zod';
import { apiVersionOf, type KindDefinition } from '../kind.ts';
import { Condition, findCondition, type KubeObject, type OwnerReference } from '../metadata.ts';
import type { FieldProblem } from '../problems.ts';
import { labelProblems } from './fields.ts';
import { LabelSelector, labelSelectorProblems, selectsLabels } from './label-selector.ts';
import { virtualMachines, VirtualMachineSpec, type VirtualMachine } from './virtual-machine.ts';

/** As many machines as one pool may have, warm and claimed. */
export const MAX_POOL_MACHINES = 1000;

/** On every machine that a pool makes: whoever takes it off a warm one has claimed it. */
export const POOL_LABEL = 'corral.dev/pool';

export const VirtualMachineTemplate = z.strictObject({
  metadata: z
    .strictObject({ labels: z.record(z.string(), z.string()).optional(), annotations: z.record(z.string(), z.string()).optional() })
    .optional()
    .describe('Labels and annotations of the pool’s machines.'),
  spec: VirtualMachineSpec.describe('What the pool’s machines are; source may be anything but a pool.'),
});
export type VirtualMachineTemplate = z.output<typeof VirtualMachineTemplate>;

export const VirtualMachinePoolSpec = z.strictObject({
  template: VirtualMachineTemplate.describe('What the pool’s machines are made from. A change replaces those that wait.'),
  warm: z.number().int().min(0).max(MAX_POOL_MACHINES).describe('How many machines wait, started, to be claimed.'),
  maximum: z.number().int().min(1).max(MAX_POOL_MACHINES).describe('The most machines there may be of this pool at once, warm and claimed together.'),
  selector: LabelSelector.optional().describe(`Which of its machines are still the pool’s: one whose labels are changed so that this no longer selects it is claimed. By default those with the label ${POOL_LABEL}.`),
});
export type VirtualMachinePoolSpec = z.output<typeof VirtualMachinePoolSpec>;

export const VirtualMachinePoolStatus = z.object({
  observedGeneration: z.number().int().optional(),
  warm: z.number().int().optional().describe('Machines that nobody has claimed, starting or Ready.'),
  ready: z.number().int().optional().describe('Of those, the Ready ones: a claim is answered by one of them.'),
  claimed: z.number().int().optional().describe('Machines claimed from this pool that are still there.'),
  machines: z.number().int().optional().describe('All machines of this pool; written with every machine that is added, so it never exceeds spec.maximum.'),
  coldFallbacks: z.number().int().optional().describe('Claims, ever, for which no machine was warm.'),
  conditions: z.array(Condition).optional(),
});
export type VirtualMachinePoolStatus = z.output<typeof VirtualMachinePoolStatus>;
export type VirtualMachinePool = KubeObject<VirtualMachinePoolSpec, VirtualMachinePoolStatus>;

export const virtualMachinePools: KindDefinition<VirtualMachinePoolSpec, VirtualMachinePoolStatus> = {
  group: 'corral.dev',
  version: 'v1',
  kind: 'VirtualMachinePool',
  plural: 'virtualmachinepools',
  singular: 'virtualmachinepool',
  shortNames: ['vmpool', 'vmpools'],
  categories: ['all', 'corral'],
  scope: 'Namespaced',
  nameRule: 'DnsLabel',
  builtIn: false,
  body: z.strictObject({ spec: VirtualMachinePoolSpec }),
  status: VirtualMachinePoolStatus,
  columns: [
    { name: 'Warm', type: 'integer', description: 'How many machines are to wait.', value: ({ spec }) => spec?.warm ?? 0 },
    { name: 'Ready', type: 'integer', description: 'How many can be claimed now.', value: ({ status }) => status?.ready ?? 0 },
    { name: 'Claimed', type: 'integer', description: 'Machines claimed that are still there.', value: ({ status }) => status?.claimed ?? 0 },
    { name: 'Maximum', type: 'integer', description: 'The most there may be of both.', value: ({ spec }) => spec?.maximum ?? 0 },
    { name: 'Cold', type: 'integer', description: 'Claims for which none was warm.', value: ({ status }) => status?.coldFallbacks ?? 0 },
    { name: 'Reason', type: 'string', description: 'Why it is Ready or not.', priority: 1, value: ({ status }) => findCondition(status?.conditions, 'Ready')?.reason ?? '' },
  ],
  selectableFields: {},
  validate(pool, previous) {
    const { template, warm, maximum, selector } = pool.spec ?? {};
    if (!template) return [];
    const problems: FieldProblem[] = [];
    if (warm !== undefined && maximum !== undefined && warm > maximum) {
      problems.push({ field: 'spec.warm', reason: 'FieldValueInvalid', message: `must be at most spec.maximum, ${maximum}` });
    }
    for (const { field, ...problem } of virtualMachines.validate?.(memberOf(template), undefined) ?? []) problems.push({ ...problem, field: `spec.template.${field}` });
    if (template.spec.source.pool !== undefined) {
      problems.push({ field: 'spec.template.spec.source.pool', reason: 'FieldValueForbidden', message: 'a pool’s machines cannot be claimed from a pool' });
    }
    if (template.spec.nodeName !== undefined) {
      problems.push({ field: 'spec.template.spec.nodeName', reason: 'FieldValueForbidden', message: 'the scheduler places the pool’s machines: use nodeSelector' });
    }
    if (template.spec.powerState !== 'Running') {
      problems.push({ field: 'spec.template.spec.powerState', reason: 'FieldValueInvalid', message: 'must be Running: only a machine that runs is warm' });
    }
    problems.push(...labelProblems(template.metadata?.labels ?? {}, 'spec.template.metadata.labels'));
    if (selector) {
      problems.push(...labelSelectorProblems(selector, 'spec.selector'));
      if (!selectsLabels(selector, memberLabels(pool))) {
        problems.push({ field: 'spec.template.metadata.labels', reason: 'FieldValueInvalid', message: 'spec.selector must select them' });
      }
    }
    if (previous && JSON.stringify(previous.spec?.selector) !== JSON.stringify(selector)) {
      problems.push({ field: 'spec.selector', reason: 'FieldValueForbidden', message: 'is immutable' });
    }
    return problems;
  },
};

const memberOf = ({ spec }: VirtualMachineTemplate): VirtualMachine => ({ spec }) as VirtualMachine;

/** The labels a pool's machines are made with. */
export const memberLabels = ({ metadata, spec }: Pick<VirtualMachinePool, 'metadata' | 'spec'>): Readonly<Record<string, string>> => ({
  ...spec?.template.metadata?.labels,
  [POOL_LABEL]: metadata.name,
});

/** Whether a machine with these labels still waits in the pool. */
export const isInPool = (pool: VirtualMachinePool, labels: Readonly<Record<string, string>> | undefined): boolean =>
  selectsLabels(pool.spec?.selector ?? { matchLabels: { [POOL_LABEL]: pool.metadata.name } }, labels);

/** The pool a machine was made by, and still waits in or was just taken from; undefined for everybody else's. */
export function poolOwnerOf({ metadata }: KubeObject): OwnerReference | undefined {
  return metadata.ownerReferences?.find(
    ({ kind, apiVersion, controller }) => controller === true && kind === virtualMachinePools.kind && apiVersion === apiVersionOf(virtualMachinePools),
  );
}

export const ownedByPool = ({ metadata }: VirtualMachinePool): OwnerReference => ({
  apiVersion: apiVersionOf(virtualMachinePools),
  kind: virtualMachinePools.kind,
  name: metadata.name,
  uid: metadata.uid,
  controller: true,
  blockOwnerDeletion: true,
});
