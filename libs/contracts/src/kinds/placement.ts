import { z } from 'zod';
import type { FieldProblem } from '../problems.ts';
import { isDnsSubdomain, isLabelValue, isQualifiedName } from './fields.ts';
import { LabelSelector, labelSelectorProblems } from './label-selector.ts';

/** Where a machine may go, in Kubernetes's own shapes. Sources: k8s.io/api/core/v1; rules of k8s.io/kubernetes/pkg/apis/core/validation. */

export const Toleration = z.strictObject({
  key: z.string().optional().describe('Key of the taints tolerated; empty with Exists tolerates every key.'),
  operator: z.enum(['Exists', 'Equal']).optional().describe('Exists needs no value; Equal, the default, needs the taint’s.'),
  value: z.string().optional().describe('Value of the taints tolerated.'),
  effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']).optional().describe('Effect of the taints tolerated; every effect when empty.'),
  tolerationSeconds: z.number().int().optional().describe('How long a NoExecute taint is tolerated; for ever when empty.'),
});
export type Toleration = z.output<typeof Toleration>;

export const NodeSelectorRequirement = z.strictObject({
  key: z.string().describe('A label, or in matchFields metadata.name.'),
  operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist', 'Gt', 'Lt']).describe('How the value of the node relates to values.'),
  values: z.array(z.string()).optional().describe('One or more for In and NotIn, one integer for Gt and Lt, none otherwise.'),
});
export type NodeSelectorRequirement = z.output<typeof NodeSelectorRequirement>;

export const NodeSelectorTerm = z.strictObject({
  matchExpressions: z.array(NodeSelectorRequirement).optional().describe('Requirements on the labels of the node; all must hold.'),
  matchFields: z.array(NodeSelectorRequirement).optional().describe('Requirements on metadata.name of the node; all must hold.'),
});
export type NodeSelectorTerm = z.output<typeof NodeSelectorTerm>;

export const PreferredSchedulingTerm = z.strictObject({
  weight: z.number().int().describe('From 1 to 100: what a node that matches gains.'),
  preference: NodeSelectorTerm,
});
export type PreferredSchedulingTerm = z.output<typeof PreferredSchedulingTerm>;

export const NodeAffinity = z.strictObject({
  requiredDuringSchedulingIgnoredDuringExecution: z
    .strictObject({ nodeSelectorTerms: z.array(NodeSelectorTerm).describe('A node must match one of them.') })
    .optional()
    .describe('Only nodes that match are taken.'),
  preferredDuringSchedulingIgnoredDuringExecution: z.array(PreferredSchedulingTerm).optional().describe('Nodes that match are preferred.'),
});
export type NodeAffinity = z.output<typeof NodeAffinity>;

export const Affinity = z.strictObject({ nodeAffinity: NodeAffinity.optional().describe('Which nodes the machine needs or prefers.') });
export type Affinity = z.output<typeof Affinity>;

export const TopologySpreadConstraint = z.strictObject({
  maxSkew: z.number().int().describe('How many more machines one domain may hold than the emptiest.'),
  topologyKey: z.string().describe('The node label whose values are the domains.'),
  whenUnsatisfiable: z.enum(['DoNotSchedule', 'ScheduleAnyway']).describe('Whether the constraint is a rule or a preference.'),
  labelSelector: LabelSelector.optional().describe('The machines of this namespace that are counted; none when empty.'),
});
export type TopologySpreadConstraint = z.output<typeof TopologySpreadConstraint>;

/** The part of a machine's spec that says where it may go and before whom. */
export const PLACEMENT_FIELDS = {
  nodeSelector: z.record(z.string(), z.string()).default({}).describe('Labels a node must carry.'),
  tolerations: z.array(Toleration).optional().describe('Taints of nodes that do not keep the machine away.'),
  affinity: Affinity.optional().describe('Which nodes the machine needs or prefers.'),
  topologySpreadConstraints: z.array(TopologySpreadConstraint).optional().describe('How machines are spread over domains such as zones.'),
  schedulerName: z.string().optional().describe('Who places the machine: default-scheduler, spread-scheduler or bin-pack-scheduler; another name leaves it to a scheduler of yours.'),
  priorityClassName: z.string().optional().describe('The PriorityClass whose value is the machine’s priority.'),
  priority: z.number().int().optional().describe('Who is placed first, and who may take whose place. Filled in from the PriorityClass.'),
  preemptionPolicy: z.enum(['PreemptLowerPriority', 'Never']).optional().describe('Whether the machine may take the place of one of lower priority. Filled in from the PriorityClass.'),
} as const;

export const DEFAULT_SCHEDULER = 'default-scheduler';
/** The scheduler names Corral itself serves. */
export const SCHEDULER_NAMES = [DEFAULT_SCHEDULER, 'spread-scheduler', 'bin-pack-scheduler'] as const;
export type SchedulerName = (typeof SCHEDULER_NAMES)[number];
export const isSchedulerName = (name: string): name is SchedulerName => (SCHEDULER_NAMES as readonly string[]).includes(name);

/** The fields of PLACEMENT_FIELDS that rules beside the schema are about. */
export interface PlacementWish {
  readonly tolerations?: readonly Toleration[] | undefined;
  readonly affinity?: Affinity | undefined;
  readonly topologySpreadConstraints?: readonly TopologySpreadConstraint[] | undefined;
  readonly schedulerName?: string | undefined;
  readonly priorityClassName?: string | undefined;
}

const invalid = (field: string, message: string): FieldProblem => ({ field, reason: 'FieldValueInvalid', message });
const required = (field: string, message: string): FieldProblem => ({ field, reason: 'FieldValueRequired', message });
const forbidden = (field: string, message: string): FieldProblem => ({ field, reason: 'FieldValueForbidden', message });

const NAME_RULE = 'must be a qualified name such as example.com/name';
const VALUE_RULE = "must be at most 63 alphanumeric characters, '-', '_' or '.', and start and end with an alphanumeric character";

/** Everything wrong with a wish, each field by its path under `spec`. */
export function placementProblems(wish: PlacementWish): FieldProblem[] {
  const { tolerations = [], affinity, topologySpreadConstraints = [], schedulerName, priorityClassName } = wish;
  return [
    ...tolerations.flatMap((toleration, index) => tolerationProblems(toleration, `spec.tolerations[${index}]`)),
    ...(affinity?.nodeAffinity ? affinityProblems(affinity.nodeAffinity, 'spec.affinity.nodeAffinity') : []),
    ...spreadProblems(topologySpreadConstraints, 'spec.topologySpreadConstraints'),
    ...(schedulerName === undefined || isDnsSubdomain(schedulerName) ? [] : [invalid('spec.schedulerName', 'must be a DNS subdomain such as default-scheduler')]),
    ...(priorityClassName === undefined || priorityClassName === '' || isDnsSubdomain(priorityClassName) ? [] : [invalid('spec.priorityClassName', 'must be a DNS subdomain')]),
  ];
}

function tolerationProblems({ key = '', operator = 'Equal', value = '', effect, tolerationSeconds }: Toleration, field: string): FieldProblem[] {
  const problems: FieldProblem[] = [];
  if (key !== '' && !isQualifiedName(key)) problems.push(invalid(`${field}.key`, NAME_RULE));
  if (key === '' && operator !== 'Exists') problems.push(invalid(`${field}.operator`, 'must be Exists when key is empty, which means "match all keys and all values"'));
  if (operator === 'Exists' && value !== '') problems.push(invalid(`${field}.value`, 'must be empty when operator is Exists'));
  if (operator === 'Equal' && !isLabelValue(value)) problems.push(invalid(`${field}.value`, VALUE_RULE));
  if (tolerationSeconds !== undefined && effect !== 'NoExecute') problems.push(invalid(`${field}.effect`, 'must be NoExecute when tolerationSeconds is set'));
  return problems;
}

function affinityProblems(affinity: NodeAffinity, field: string): FieldProblem[] {
  const needed = affinity.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  const preferred = affinity.preferredDuringSchedulingIgnoredDuringExecution ?? [];
  const neededField = `${field}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms`;
  const preferredField = `${field}.preferredDuringSchedulingIgnoredDuringExecution`;
  return [
    ...(needed?.length === 0 ? [required(neededField, 'must have at least one node selector term')] : []),
    ...(needed ?? []).flatMap((term, index) => termProblems(term, `${neededField}[${index}]`)),
    ...preferred.flatMap(({ weight, preference }, index) => [
      ...(weight >= 1 && weight <= 100 ? [] : [invalid(`${preferredField}[${index}].weight`, 'must be in the range 1-100')]),
      ...termProblems(preference, `${preferredField}[${index}].preference`),
    ]),
  ];
}

function termProblems({ matchExpressions = [], matchFields = [] }: NodeSelectorTerm, field: string): FieldProblem[] {
  return [
    ...matchExpressions.flatMap((requirement, index) => {
      const at = `${field}.matchExpressions[${index}]`;
      return [...(isQualifiedName(requirement.key) ? [] : [invalid(`${at}.key`, NAME_RULE)]), ...valuesProblems(requirement, at)];
    }),
    ...matchFields.flatMap((requirement, index) => fieldRequirementProblems(requirement, `${field}.matchFields[${index}]`)),
  ];
}

function valuesProblems({ operator, values = [] }: NodeSelectorRequirement, field: string): FieldProblem[] {
  switch (operator) {
    case 'In':
    case 'NotIn':
      return values.length > 0 ? [] : [required(`${field}.values`, 'must be specified when `operator` is In or NotIn')];
    case 'Exists':
    case 'DoesNotExist':
      return values.length === 0 ? [] : [forbidden(`${field}.values`, 'may not be specified when `operator` is Exists or DoesNotExist')];
    case 'Gt':
    case 'Lt':
      if (values.length !== 1) return [required(`${field}.values`, 'must be a single value when `operator` is Lt or Gt')];
      return isInteger(values[0] ?? '') ? [] : [invalid(`${field}.values[0]`, 'must be an integer when `operator` is Lt or Gt')];
  }
}

function fieldRequirementProblems({ key, operator, values = [] }: NodeSelectorRequirement, field: string): FieldProblem[] {
  const problems: FieldProblem[] = [];
  if (key !== 'metadata.name') problems.push(invalid(`${field}.key`, 'not a valid field selector key: only metadata.name is'));
  if (operator !== 'In' && operator !== 'NotIn') return [...problems, invalid(`${field}.operator`, 'not a valid selector operator: must be In or NotIn')];
  if (values.length !== 1) return [...problems, required(`${field}.values`, 'must be only one value when `operator` is In or NotIn for node field selector')];
  return isDnsSubdomain(values[0] ?? '') ? problems : [...problems, invalid(`${field}.values[0]`, 'must be the name of a node')];
}

function spreadProblems(constraints: readonly TopologySpreadConstraint[], field: string): FieldProblem[] {
  const seen = new Set<string>();
  return constraints.flatMap(({ maxSkew, topologyKey, whenUnsatisfiable, labelSelector }, index) => {
    const at = `${field}[${index}]`;
    const pair = `${topologyKey}, ${whenUnsatisfiable}`;
    const isRepeated = seen.has(pair);
    seen.add(pair);
    return [
      ...(maxSkew > 0 ? [] : [invalid(`${at}.maxSkew`, 'must be greater than zero')]),
      ...(topologyKey === '' ? [required(`${at}.topologyKey`, 'can not be empty')] : isQualifiedName(topologyKey) ? [] : [invalid(`${at}.topologyKey`, NAME_RULE)]),
      ...(isRepeated ? [{ field: at, reason: 'FieldValueDuplicate' as const, message: `{${pair}}` }] : []),
      ...(labelSelector ? labelSelectorProblems(labelSelector, `${at}.labelSelector`) : []),
    ];
  });
}

/** A decimal integer that a number holds exactly. */
export const isInteger = (text: string): boolean => /^[+-]?\d+$/.test(text) && Number.isSafeInteger(Number(text));
